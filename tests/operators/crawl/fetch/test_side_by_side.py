"""Many fetches at once: the order of results, lanes, errors and interruptions."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.operators.crawl.fetch.side_by_side import FetchStopped, Lane, fetch_all


@given(st.lists(st.sampled_from("abc"), max_size=20), st.integers(1, 3), st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_results_have_the_order_of_the_items_and_lanes_their_width(hosts: list[str], width: int, threads: int) -> None:
    lock, busy, most = threading.Lock(), Counter[str](), Counter[str]()

    def fetch(item: tuple[int, str]) -> int:
        number, host = item
        with lock:
            busy[host] += 1
            most[host] = max(most[host], busy[host])
        time.sleep(0.001 * (number % 3))
        with lock:
            busy[host] -= 1
        return number

    items = list(enumerate(hosts))
    got = fetch_all(items, fetch, lambda item: Lane(item[1], width), threads, lambda: None)
    assert got == list(range(len(items)))
    assert all(number <= width for number in most.values())


def test_a_full_lane_holds_up_no_other() -> None:
    others = threading.Event()

    def fetch(item: str) -> str:
        if item.startswith("slow"):
            assert others.wait(30)
        elif item == "last":
            others.set()
        return item

    items = [*(f"slow{n}" for n in range(6)), "quick", "last"]
    lanes = lambda item: Lane("slow" if item.startswith("slow") else "quick", 2)
    assert fetch_all(items, fetch, lanes, 4, lambda: None) == items


def test_the_first_error_ends_the_others_and_is_raised() -> None:
    stopped, begun = threading.Event(), list[int]()

    def fetch(item: int) -> int:
        begun.append(item)
        if item == 2:
            raise OSError("disk full")
        if not stopped.wait(30):
            raise AssertionError("was not stopped")
        raise FetchStopped

    with pytest.raises(OSError, match="disk full"):
        fetch_all(range(20), fetch, lambda item: Lane("h", 4), 4, stopped.set)
    assert len(begun) < 20
    assert not [thread for thread in threading.enumerate() if thread.name == "fetch"]


def test_an_interruption_stops_them_and_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = threading.Event()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    def fetch(item: int) -> int:
        assert stopped.wait(30)
        raise FetchStopped

    monkeypatch.setattr("voxmill.operators.crawl.fetch.side_by_side._Batch.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch_all(range(4), fetch, lambda item: Lane("h", 4), 4, stopped.set)
    assert stopped.is_set()
