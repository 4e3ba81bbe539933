"""Many fetches at once, in threads: results in the order of the items, whatever the order in which they arrive."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

LEAVE_S = 2.0
"""How long threads may take to end when this process is being stopped (s); what they fetch can be resumed."""

T = TypeVar("T")
R = TypeVar("R")


class FetchStopped(Exception):
    """This process was told to fetch no more: the work ends where it is and can be resumed. Never an outcome of an item."""


class Lane(NamedTuple):
    """Where an item is fetched from, and how many items of one lane are fetched at once: more would wait for each other."""

    name: str
    width: int


def fetch_all(
    items: Sequence[T],
    fetch: Callable[[T], R],
    lane_of: Callable[[T], Lane],
    max_threads: int,
    stop: Callable[[], None],
) -> list[R]:
    """`fetch(item)` for every item, lanes side by side.

    Raises what a `fetch` raised first. Then, and where this thread is interrupted, `stop()` is called: it has to end the other fetches soon.
    Items that were not begun by then are not begun.
    """
    lanes = [lane_of(item) for item in items]
    useful = sum(min(lane.width, number) for lane, number in Counter(lanes).items())
    if useful <= 1 or max_threads <= 1:
        return [fetch(item) for item in items]
    batch = _Batch(items, fetch, lanes)
    threads = [threading.Thread(target=batch.work, name="fetch", daemon=True) for _ in range(min(useful, max_threads))]
    for thread in threads:
        thread.start()
    try:
        batch.wait()
    except BaseException:
        _end(batch, stop, threads, LEAVE_S)
        raise
    if batch.error is not None:
        _end(batch, stop, threads, None)
        raise batch.error
    for thread in threads:
        thread.join()
    return [batch.results[index] for index in range(len(items))]


class _Batch(Generic[T, R]):
    """Items that are waiting, in their order, and what came of the others."""

    def __init__(self, items: Sequence[T], fetch: Callable[[T], R], lanes: Sequence[Lane]) -> None:
        self.results: dict[int, R] = {}
        self.error: BaseException | None = None
        self._items, self._fetch, self._lanes = items, fetch, lanes
        self._waiting = dict.fromkeys(range(len(items)))
        self._busy: Counter[Lane] = Counter()
        self._changed = threading.Condition()

    def wait(self) -> None:
        """Returns once every item is fetched, or one has failed."""
        with self._changed:
            self._changed.wait_for(lambda: self.error is not None or len(self.results) == len(self._items))

    def give_up(self) -> None:
        """Begins no further item."""
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()

    def work(self) -> None:
        """What each thread does: fetches the next item whose lane has room, until none is left."""
        while (index := self._next()) is not None:
            error: BaseException | None = None
            try:
                self.results[index] = self._fetch(self._items[index])
            except FetchStopped:
                pass
            except BaseException as raised:  # noqa: BLE001 - raised again by the thread that waits for this batch
                error = raised
            self._done(index, error)

    def _next(self) -> int | None:
        with self._changed:
            while True:
                for index in self._waiting:
                    lane = self._lanes[index]
                    if self._busy[lane] < lane.width:
                        del self._waiting[index]
                        self._busy[lane] += 1
                        return index
                if not self._waiting:
                    return None
                self._changed.wait()

    def _done(self, index: int, error: BaseException | None) -> None:
        with self._changed:
            self._busy[self._lanes[index]] -= 1
            self.error = self.error or error
            if error is not None:
                self._waiting.clear()
            self._changed.notify_all()


def _end(batch: _Batch[T, R], stop: Callable[[], None], threads: Sequence[threading.Thread], seconds: float | None) -> None:
    batch.give_up()
    stop()
    until = None if seconds is None else time.monotonic() + seconds
    for thread in threads:
        thread.join(None if until is None else max(0.0, until - time.monotonic()))
