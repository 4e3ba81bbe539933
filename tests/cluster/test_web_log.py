"""What is read from a web server's log: the checks of a cluster stand on it."""

from __future__ import annotations

from cluster.web import Request, closest, most_at_once, most_within


def asked(*times: tuple[float, float], host: str = "one.test") -> list[Request]:
    return [Request(begun, ended, host, "10.77.0.101", "/000.flac") for begun, ended in times]


def test_requests_at_one_time_are_those_of_one_host() -> None:
    one, two = asked((0, 3), (1, 2), (2, 4)), asked((0, 4), (1, 4), host="two.test")
    assert most_at_once(one) == 2, "what ends when another begins was not there at the same time"
    assert most_at_once([*one, *two]) == 2
    assert most_at_once(asked((0, 3), (1, 3), (2, 3))) == 3


def test_the_rate_is_that_of_one_host() -> None:
    one, two = asked((0, 1), (1, 2), (2, 3), (2.5, 3)), asked((0.1, 1), host="two.test")
    assert most_within([*one, *two], 2) == 3
    assert most_within(one, 1.5) == 2, "a window begins with a request, and its end is not in it"
    assert closest([*one, *two]) == 0.5
