"""A set of positions kept as runs of consecutive numbers: which units of a stage are done, in a few bytes however many there are."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

Runs = Sequence[Sequence[int]]
"""Ranges `[first, end)`, as they are written to JSON."""

_KEY = re.compile(r"[a-z](\d+)")


def position_of(key: str) -> int:
    """The place of a unit or a group of items in its run, which its id begins with. Raises ValueError where it does not.

    >>> position_of("u0000012-5f3a"), position_of("g0000003")
    (12, 3)
    """
    found = _KEY.match(key)
    if not found:
        raise ValueError(f"`{key}` is no id of a unit or of a group of items")
    return int(found[1])


class Positions:
    """Positions of units (or of groups of items), as sorted runs `[first, end)` that neither touch nor overlap.

    >>> done = Positions([[0, 3]])
    >>> done.add(3, 5), done.add(8, 9)
    (None, None)
    >>> done.runs, len(done), 4 in done, "u0000005-ab" in done, list(done.missing(0, 10))
    ([[0, 5], [8, 9]], 6, True, False, [(5, 8), (9, 10)])
    """

    __slots__ = ("_ends", "_firsts")

    def __init__(self, runs: Iterable[Sequence[int]] = ()) -> None:
        self._firsts: list[int] = []
        self._ends: list[int] = []
        self.update(runs)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Positions:
        """The set of these numbers."""
        return cls((number, number + 1) for number in numbers)

    @property
    def runs(self) -> list[list[int]]:
        """The runs in order, ready for JSON."""
        return [[first, end] for first, end in zip(self._firsts, self._ends, strict=True)]

    @property
    def end(self) -> int:
        """One more than the last position; 0 where there is none."""
        return self._ends[-1] if self._ends else 0

    def add(self, first: int, end: int) -> None:
        """Adds the range `[first, end)`."""
        if first >= end:
            return
        low, high = bisect_left(self._ends, first), bisect_right(self._firsts, end)
        if low < high:
            first, end = min(first, self._firsts[low]), max(end, self._ends[high - 1])
        self._firsts[low:high], self._ends[low:high] = [first], [end]

    def update(self, runs: Iterable[Sequence[int]]) -> None:
        """Adds several ranges."""
        for first, end in runs:
            self.add(first, end)

    def discard(self, first: int, end: int) -> None:
        """Takes the range `[first, end)` out."""
        if first >= end:
            return
        kept = [run for a, b in self.runs for run in ((a, min(b, first)), (max(a, end), b)) if run[0] < run[1]]
        self._firsts, self._ends = [run[0] for run in kept], [run[1] for run in kept]

    def within(self, first: int, end: int) -> Positions:
        """The members of `[first, end)`.

        >>> Positions([[0, 3], [5, 9]]).within(2, 7)
        Positions([[2, 3], [5, 7]])
        """
        low, high = bisect_right(self._ends, first), bisect_left(self._firsts, end)
        pairs = zip(self._firsts[low:high], self._ends[low:high], strict=True)
        return Positions((max(a, first), min(b, end)) for a, b in pairs)

    def missing(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The ranges of `[first, end)` that are not in the set."""
        for index in range(bisect_right(self._ends, first), len(self._firsts)):
            if self._firsts[index] >= end:
                break
            if first < self._firsts[index]:
                yield first, self._firsts[index]
            first = self._ends[index]
        if first < end:
            yield first, end

    def holds(self, first: int, end: int) -> bool:
        """Whether all of `[first, end)` is in the set."""
        return next(self.missing(first, end), None) is None

    def meets(self, first: int, end: int) -> bool:
        """Whether any of `[first, end)` is in the set."""
        index = bisect_right(self._ends, first)
        return index < len(self._firsts) and self._firsts[index] < end

    def __contains__(self, key: int | str) -> bool:
        number = position_of(key) if isinstance(key, str) else key
        index = bisect_right(self._firsts, number) - 1
        return index >= 0 and number < self._ends[index]

    def __iter__(self) -> Iterator[int]:
        for first, end in zip(self._firsts, self._ends, strict=True):
            yield from range(first, end)

    def __len__(self) -> int:
        return sum(self._ends) - sum(self._firsts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Positions) and self.runs == other.runs

    def __hash__(self) -> int:
        raise TypeError("a set of positions changes")

    def __repr__(self) -> str:
        return f"Positions({self.runs})"
