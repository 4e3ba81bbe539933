"""Which units lie in one file of a stage: ranges that follow from the set of units alone, and of which few change when units are added.

Units are counted in chunks of `UNITS`. A chunk that is whole is one file. Of a chunk that is not, each half that is whole is one file, and the
other half is divided in the same way, down to `LEAST` units. So the last chunk of a stage is a few files, each at most half as long as the
one before it:

>>> done = Positions([[0, 7_700]])
>>> [(one.start, len(one)) for number in (0, 1) for one in ranges(done, number)]
[(0, 4096), (4096, 2048), (6144, 1024), (7168, 512), (7680, 512)]

and one unit more rewrites the last of them, however many units there are.
"""

from __future__ import annotations

from collections.abc import Iterator

from voxmill.pipeline.state.positions import Positions

UNITS = 4096
"""Units (or groups of items) in a chunk, and most in one file: at 17 segments a unit some 70,000 rows."""
LEAST = 512
"""Units of the shortest range: at most so many are written again when one is added."""


def chunk_of(position: int) -> int:
    """The chunk that a unit belongs to."""
    return position // UNITS


def chunks_of(units: Positions) -> Iterator[int]:
    """The chunks that any of these units belongs to, in order."""
    last = -1
    for first, end in units.runs:
        yield from range(max(chunk_of(first), last + 1), chunk_of(end - 1) + 1)
        last = chunk_of(end - 1)


def ranges(done: Positions, number: int) -> list[range]:
    """The ranges into which the units that are done divide a chunk, in order."""
    return list(_divided(done, number * UNITS, UNITS))


def all_ranges(done: Positions) -> list[range]:
    """The ranges of all chunks."""
    return [one for number in chunks_of(done) for one in ranges(done, number)]


def lengths() -> Iterator[int]:
    """How many units a range may have, from the longest."""
    length = UNITS
    while True:
        yield length
        if length <= LEAST:
            return
        length //= 2


def _divided(done: Positions, first: int, length: int) -> Iterator[range]:
    if not done.meets(first, first + length):
        return
    if length <= LEAST or done.holds(first, first + length):
        yield range(first, first + length)
    else:
        yield from _divided(done, first, length // 2)
        yield from _divided(done, first + length // 2, length // 2)
