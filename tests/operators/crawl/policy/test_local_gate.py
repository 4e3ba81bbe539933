from __future__ import annotations

import json
import pickle
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.operators.crawl.policy.host_limit import (
    Ask,
    Begun,
    Ended,
    GateAnswer,
    GateMessage,
    GateSettings,
    Go,
    Refused,
    Wait,
)
from voxmill.operators.crawl.policy.local_gate import NOTES_SAVED, SWEEP_SECONDS, LocalGate


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ask(gate: LocalGate, host: str = "a.example", min_interval: float = 0.0, ticket: str = "") -> GateAnswer:
    return gate.exchange(GateMessage(asks=(Ask(host, min_interval, ticket),))).answers[0]


def go(gate: LocalGate, host: str = "a.example", min_interval: float = 0.0, ticket: str = "") -> str:
    """A turn that begins at once."""
    answer = ask(gate, host, min_interval, ticket)
    assert isinstance(answer, Go), answer
    gate.exchange(GateMessage(begun=(Begun(host, answer.lease, 0.0),)))
    return answer.lease


def give_back(gate: LocalGate, host: str, lease: str, num_bytes: int) -> None:
    gate.exchange(GateMessage(ended=(Ended(host, lease, num_bytes),)))


def test_the_rate_of_a_host(clock: Clock) -> None:
    gate = LocalGate(GateSettings(requests_per_second=4, max_in_flight=9), clock=clock)
    go(gate)
    assert ask(gate, "a.example") == Wait(0.25, "rate")
    go(gate, "b.example")  # another host, another rate
    clock.now += 0.25
    go(gate)


def test_crawl_delay_only_slows_down(clock: Clock) -> None:
    gate = LocalGate(GateSettings(requests_per_second=1), clock=clock)
    go(gate, min_interval=10.0)
    assert ask(gate, "a.example") == Wait(10.0, "rate")
    go(gate, "b.example", min_interval=0.1)
    assert ask(gate, "b.example") == Wait(1.0, "rate")


def test_a_delay_beyond_reason_is_no_nap_for_a_worker(clock: Clock) -> None:
    gate = LocalGate(GateSettings(max_retry_after=600), clock=clock)
    go(gate, min_interval=86_400.0)
    answer = ask(gate, "a.example", 86_400.0)
    assert isinstance(answer, Refused)
    assert "86400 s between requests" in answer.detail


@given(st.lists(st.floats(0, 3), min_size=1, max_size=30), st.floats(0.2, 5))
def test_no_pattern_of_asking_beats_the_rate(pauses: list[float], rate: float) -> None:
    clock = Clock()
    gate = LocalGate(GateSettings(requests_per_second=rate, max_in_flight=1000), clock=clock)
    granted = []
    for pause in pauses:
        clock.now += pause
        if isinstance(ask(gate, "a.example"), Go):
            granted.append(clock.now)
    assert all(b - a >= 1 / rate - 1e-9 for a, b in pairwise(granted))


def test_requests_in_flight_and_leases_that_expire(clock: Clock) -> None:
    gate = LocalGate(GateSettings(requests_per_second=1000, max_in_flight=2, lease_seconds=60), clock=clock)
    first = go(gate)
    clock.now += 1
    go(gate)
    clock.now += 1
    assert isinstance(ask(gate, "a.example"), Wait)
    give_back(gate, "a.example", first, 10)
    go(gate)
    clock.now += 1
    assert isinstance(ask(gate, "a.example"), Wait)
    clock.now += 61  # their holders died
    go(gate)


def test_a_place_that_is_renewed_is_kept_and_one_that_is_not_is_lost(clock: Clock) -> None:
    gate = LocalGate(GateSettings(requests_per_second=1000, max_in_flight=2, lease_seconds=20), clock=clock)
    kept = go(gate)
    clock.now += 1
    left = go(gate)
    for _ in range(8):
        clock.now += 5
        gate.exchange(GateMessage(held=(("a.example", kept),)))
    assert gate.num_held == 1
    assert go(gate) not in (kept, left)
    assert isinstance(ask(gate), Wait)
    reply = gate.exchange(GateMessage(held=(("a.example", kept), ("a.example", left), ("b.example", "7"))))
    assert reply.lost == (("a.example", left), ("b.example", "7"))
    give_back(gate, "a.example", left, 1)  # whoever comes too late with a lease takes no place from anybody
    assert isinstance(ask(gate), Wait)


def test_the_interval_counts_from_when_a_request_began(clock: Clock) -> None:
    gate = LocalGate(GateSettings(requests_per_second=1, max_in_flight=9), clock=clock)
    answer = ask(gate)
    assert isinstance(answer, Go)
    clock.now += 1.5
    assert isinstance(ask(gate), Wait)  # it may begin any moment
    clock.now += 0.1
    gate.exchange(GateMessage(begun=(Begun("a.example", answer.lease, 0.2),)))  # it did, 0.2 s ago
    waiting = ask(gate)
    assert isinstance(waiting, Wait)
    assert waiting.seconds == pytest.approx(0.8)


def test_a_turn_that_nobody_used_blocks_its_host_for_seconds_only(clock: Clock) -> None:
    rules = GateSettings(requests_per_second=1, max_in_flight=9)
    gate = LocalGate(rules, clock=clock)
    assert isinstance(ask(gate), Go)
    clock.now += rules.start_seconds + 0.9
    assert isinstance(ask(gate), Wait)  # it may have begun at the last moment
    clock.now += 0.2
    go(gate)
    clock.now += 1
    unused = ask(gate)
    assert isinstance(unused, Go)
    give_back(gate, "a.example", unused.lease, 0)
    go(gate)  # it did not begin: no time is lost


def test_first_come_first_served(clock: Clock) -> None:
    gate = LocalGate(GateSettings(requests_per_second=1), clock=clock)
    give_back(gate, "a.example", go(gate), 0)
    waits = [ask(gate, ticket=name) for name in ("one", "two", "three")]
    assert waits == [Wait(1.0, "rate"), Wait(2.0, "rate"), Wait(3.0, "rate")]
    clock.now += 1
    assert isinstance(ask(gate, ticket="two"), Wait)
    assert isinstance(ask(gate), Wait)
    give_back(gate, "a.example", go(gate, ticket="one"), 0)
    clock.now += 1
    assert isinstance(ask(gate, ticket="three"), Wait)
    clock.now += 5  # "two" does not come
    give_back(gate, "a.example", go(gate, ticket="three"), 0)
    clock.now += 1
    go(gate)  # nobody is in the queue


def test_retry_after_holds_the_host(clock: Clock) -> None:
    gate = LocalGate(GateSettings(requests_per_second=1000), clock=clock)
    go(gate)
    assert gate.report("a.example", 503, retry_after=20.0) is None
    clock.now += 5
    assert ask(gate, "a.example") == Wait(15.0, "retry_after")
    clock.now += 15
    go(gate)


def test_a_host_that_asks_for_too_long_a_pause_is_left_alone_until_then(clock: Clock) -> None:
    gate = LocalGate(GateSettings(max_retry_after=600), clock=clock)
    refusal = gate.report("a.example", 503, retry_after=3600.0)
    assert isinstance(refusal, Refused)
    assert refusal.reason == "crawl.blocked"
    assert ask(gate, "a.example") == refusal
    clock.now += 3600
    go(gate)


def test_429_without_retry_after_cools_off(clock: Clock) -> None:
    gate = LocalGate(GateSettings(cooloff_seconds=30), clock=clock)
    gate.report("a.example", 429)
    assert ask(gate, "a.example") == Wait(30.0, "retry_after")


def test_the_breaker_opens_after_refusals_in_a_row(clock: Clock) -> None:
    gate = LocalGate(GateSettings(breaker_refusals=2, breaker_seconds=100), clock=clock)
    assert gate.report("a.example", 403) is None
    assert gate.report("a.example", 200) is None  # not in a row
    assert gate.report("a.example", 403) is None
    assert gate.report("a.example", 500) is None  # says nothing about us
    refused = gate.report("a.example", 403)
    assert isinstance(refused, Refused)
    assert ask(gate, "a.example") == Refused("crawl.blocked", "HTTP 403, 2 refusals in a row")
    assert isinstance(ask(gate, "b.example"), Go)
    clock.now += 100
    go(gate)  # half open: one may try
    assert isinstance(gate.report("a.example", 403), Refused)  # and one more refusal is enough


def test_a_bot_page_opens_it_at_once(clock: Clock) -> None:
    gate = LocalGate(GateSettings(), clock=clock)
    assert isinstance(gate.report("a.example", 200, bot_page="captcha"), Refused)
    assert ask(gate, "a.example") == Refused("crawl.blocked", "a page for humans only (captcha)")


def test_the_byte_budget_is_the_run_s(clock: Clock) -> None:
    gate = LocalGate(GateSettings(byte_budget=100), clock=clock)
    give_back(gate, "a.example", go(gate), 60)
    give_back(gate, "b.example", go(gate, "b.example"), 40)
    assert ask(gate, "c.example") == Refused("crawl.budget", "100 of 100 bytes")


def test_its_state_survives_as_json(clock: Clock) -> None:
    rules = GateSettings(byte_budget=100, breaker_refusals=1, max_in_flight=1)
    gate = LocalGate(rules, clock=clock)
    gate.report("closed.example", 403)
    go(gate, "busy.example")
    give_back(gate, "spent.example", go(gate, "spent.example"), 99)
    gate.remember("http://a.example", "robots", "text", 50)
    again = LocalGate(rules, json.loads(json.dumps(gate.state())), clock=clock)
    assert isinstance(ask(again, "closed.example"), Refused)
    assert again.recall("http://a.example", "robots") == "text"
    clock.now += 1
    give_back(again, "busy.example", go(again, "busy.example"), 1)  # nobody is left who held that lease
    assert ask(again, "spent.example") == Refused("crawl.budget", "100 of 100 bytes")
    clock.now += 50
    assert again.recall("http://a.example", "robots") is None


def test_it_stays_in_its_process() -> None:
    with pytest.raises(TypeError, match="stays in its process"):
        pickle.dumps(LocalGate(GateSettings()))


def test_threads_share_one_rate() -> None:
    gate = LocalGate(GateSettings(requests_per_second=0.001, max_in_flight=99))
    granted: list[object] = []
    threads = [threading.Thread(target=lambda: granted.append(ask(gate, "a.example"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(answer, Go) for answer in granted) == 1


DAYS = 86_400.0


@pytest.mark.parametrize("ahead", [3 * DAYS, -3 * DAYS, 0.0])
def test_a_state_saved_by_a_clock_that_was_wrong_blocks_nobody_and_keeps_its_waits(clock: Clock, ahead: float) -> None:
    clock.now = 1e9
    rules = GateSettings(requests_per_second=0.1, breaker_refusals=1)
    wrong = Clock()
    wrong.now = clock.now + ahead
    gate = LocalGate(rules, clock=wrong)
    go(gate, "fast.example")
    gate.report("later.example", 503, retry_after=60.0)
    gate.report("shut.example", 403)
    gate.remember("https://a.example", "robots", "x", 3600.0)
    again = LocalGate(rules, json.loads(json.dumps(gate.state())), clock=clock)
    late = ahead < 0  # a clock behind says that three days have passed since, and nobody can tell
    fast, later = ask(again, "fast.example"), ask(again, "later.example")
    assert isinstance(fast, Go) if late else fast == Wait(10.0, "rate")
    assert isinstance(later, Go) if late else later == Wait(60.0, "retry_after")
    assert isinstance(ask(again, "shut.example"), Go if late else Refused)
    assert again.recall("https://a.example", "robots") == (None if late else "x")


def test_a_state_of_an_older_version_from_the_future_blocks_nobody_for_days(clock: Clock) -> None:
    gate = LocalGate(GateSettings(), {"hosts": {"a.example": {"next_at": clock.now + 3 * DAYS}}}, clock=clock)
    answer = ask(gate, "a.example")
    assert isinstance(answer, Wait)
    assert answer.seconds <= 600


def test_a_clock_that_is_set_moves_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = LocalGate(GateSettings(requests_per_second=0.01))
    go(gate)
    for ahead in (3 * DAYS, -3 * DAYS):
        monkeypatch.setattr("voxmill.operators.crawl.policy.local_gate.time.time", lambda ahead=ahead: 1e9 + ahead)
        answer = ask(gate, "a.example")
        assert isinstance(answer, Wait)
        assert 90 < answer.seconds <= 100


def test_hosts_are_forgotten_once_nothing_of_them_matters(clock: Clock) -> None:
    rules = GateSettings(breaker_refusals=2, breaker_seconds=1000)
    gate = LocalGate(rules, clock=clock)
    for n in range(1000):
        host = f"{n}.example"
        give_back(gate, host, go(gate, host), 10)
        gate.remember(f"https://{host}", "robots", "text", 100)
    gate.report("suspect.example", 403)
    for _ in range(2):
        gate.report("shut.example", 403)
    assert gate.num_known == 2002
    clock.now += max(SWEEP_SECONDS, 100)
    ask(gate, "other.example", ticket="t")
    assert gate.num_known == 3
    again = LocalGate(rules, json.loads(json.dumps(gate.state())), clock=clock)
    assert isinstance(ask(again, "shut.example"), Refused)
    assert isinstance(again.report("suspect.example", 403), Refused)  # the second in a row
    assert again.state()["num_bytes"] == 10_000
    clock.now += 2001
    give_back(gate, "a.example", go(gate), 0)
    assert gate.num_known == 1


def test_what_is_saved_of_many_hosts_is_small(clock: Clock) -> None:
    gate = LocalGate(GateSettings(), clock=clock)
    for n in range(3000):
        host = f"{n}.example"
        give_back(gate, host, go(gate, host), 10)
        gate.remember(f"https://{host}", "robots", "x" * 1000, 86_400)
        clock.now += 0.1
    saved = json.dumps(gate.state())
    assert len(saved) < 1.2 * NOTES_SAVED
    again = LocalGate(GateSettings(), json.loads(saved), clock=clock)
    assert again.recall("https://2999.example", "robots")
    assert again.recall("https://0.example", "robots") is None  # asked for once more


def test_a_state_of_a_version_that_counted_bytes_by_host(clock: Clock) -> None:
    old = {"leases": {"3": 5e9}, "num_requests": 4, "num_bytes": 60, "next_at": 0.0}
    gate = LocalGate(GateSettings(byte_budget=100), {"hosts": {"a.example": old, "b.example": old}}, clock=clock)
    assert isinstance(ask(gate), Refused)
