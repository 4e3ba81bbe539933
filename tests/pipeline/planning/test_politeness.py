"""The bound of a host is exact: the gate of the crawl itself, driven as fast as it lets anybody, is the judge."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.operators.crawl.policy.host_limit import Ask, Begun, Ended, GateMessage, GateReply, GateSettings, Go, Wait
from voxmill.operators.crawl.policy.local_gate import LocalGate
from voxmill.pipeline.planning.politeness import slowest_host

RATES = st.sampled_from([0.1, 0.5, 1.0, 4.0])


def fetched(requests: int, rules: GateSettings, delay: float, lasts_s: float = 0.0) -> float:
    """When the last of so many requests starts, at the gate's own clock, each asked for as soon as the gate allows one."""
    now, running = 0.0, list[tuple[float, str]]()
    gate, last = LocalGate(rules, clock=lambda: now), 0.0

    def told(**what: Any) -> GateReply:
        return gate.exchange(GateMessage(held=tuple(("a.org", lease) for _, lease in running), **what))

    for _ in range(requests):
        while not isinstance(answer := told(asks=(Ask("a.org", delay, "t"),)).answers[0], Go):
            assert isinstance(answer, Wait)
            step = min([now + answer.seconds, *(ends for ends, _ in running if ends > now)])
            now = max(step, now + 1e-9)
            for ends, lease in [one for one in running if one[0] <= now]:
                told(ended=(Ended("a.org", lease, 0, begun_ago=lasts_s),))
                running.remove((ends, lease))
        last = now
        running.append((now + lasts_s, answer.lease))
        told(begun=(Begun("a.org", answer.lease, 0.0),))
    return last


@given(st.integers(1, 60), RATES, st.sampled_from([0.0, 0.3, 5.0]))
def test_no_crawl_can_be_quicker_than_the_bound_and_the_quickest_takes_just_as_long(
    requests: int, rate: float, delay: float
) -> None:
    rules = GateSettings(requests_per_second=rate, max_in_flight=1000)
    found = slowest_host({"a.org": requests}, rules, delays={"a.org": delay})
    assert found is not None
    assert found.least_s == pytest.approx(fetched(requests, rules, delay))


@given(st.integers(1, 40), RATES, st.floats(0.1, 30))
def test_long_transfers_never_undercut_it(requests: int, rate: float, lasts_s: float) -> None:
    rules = GateSettings(requests_per_second=rate)
    found = slowest_host({"a.org": requests}, rules, transfer_s=lasts_s)
    assert found is not None
    assert found.least_s <= fetched(requests, rules, 0.0, lasts_s) + 1e-6
    assert found.likely_s >= found.least_s


def test_the_slowest_host_counts_and_streams_take_many_requests() -> None:
    rules = GateSettings(requests_per_second=2.0)
    found = slowest_host({"many.org": 1000, "few.org": 10, "live.org": 5}, rules, per_item={"live.org": 300.0})
    assert found is not None
    assert (found.host, found.requests, found.least_s) == ("live.org", 1500, 1499 / 2)
    assert slowest_host({}, rules) is None
