"""The shortest time in which hosts can be crawled politely. No machine shortens it: the rate of a host holds over all workers together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voxmill.operators.crawl.policy.host_limit import GateSettings


@dataclass(frozen=True, slots=True)
class SlowestHost:
    """The host that takes longest, and how long it takes at least."""

    host: str
    requests: int
    interval_s: float
    """Seconds between two requests to it."""
    least_s: float
    """From the first request to the last: (requests - 1) intervals, which no run can beat."""
    likely_s: float
    """`least_s`, or how long its transfers take with as many at once as are allowed, if that is longer."""


def least_seconds(requests: int, interval_s: float) -> float:
    """Seconds from the first of so many requests to the last.

    >>> least_seconds(1, 1.0), least_seconds(3601, 1.0)
    (0.0, 3600.0)
    """
    return max(0, requests - 1) * interval_s


def slowest_host(
    items: Mapping[str, int],
    rules: GateSettings,
    *,
    per_item: Mapping[str, float] | None = None,
    delays: Mapping[str, float] | None = None,
    transfer_s: float = 0.0,
) -> SlowestHost | None:
    """The host that bounds a crawl of so many `items` by host; None without any.

    `per_item`: requests that one item of a host takes (a stream takes many), 1 where nothing is known. `delays`: seconds between
    requests that robots.txt asks for. `transfer_s`: how long one item was on its way.
    """
    found = []
    for host, count in items.items():
        requests = round(count * max(1.0, (per_item or {}).get(host, 1.0)))
        interval = max(1 / rules.requests_per_second, (delays or {}).get(host, 0.0))
        least = least_seconds(requests, interval)
        found.append(SlowestHost(host, requests, interval, least, max(least, count * transfer_s / rules.max_in_flight)))
    return max(found, key=lambda one: (one.likely_s, one.host), default=None)
