"""Removes the DC offset that cheap sound cards add to every sample, and that may drift or jump.

The offset is the mean of each fifth of a second, interpolated linearly between their middles: a high-pass of about 1 Hz. Fifths
are counted from the first sample of the recording, so the result does not depend on where reading started.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import Audio

CELL = SAMPLE_RATE // 5
"""Samples whose mean is taken: whole periods of mains hum, of 50 Hz and of 60."""

_HALF = CELL // 2
_RAMP: NDArray[np.float32] = ((np.arange(CELL) + 0.5) / CELL).astype(np.float32)


def read_start(start: int) -> int:
    """Sample at which reading must start for sample `start` to come out right: at a cell, two cells earlier."""
    return max(0, start // CELL - 2) * CELL


def remove_offset(arrays: Iterable[Audio], start: int) -> Iterator[Audio]:
    """Removes the offset. `arrays` start at sample `read_start(start)`; the result starts at `start`."""
    skip = start - read_start(start)
    for array in _levelled(_cells(arrays)):
        yield array[skip:]
        skip = max(0, skip - len(array))


def _levelled(cells: Iterable[Audio]) -> Iterator[Audio]:
    """Subtracts from each cell the line that joins the means at the middles of neighbouring cells."""
    before: np.float32 | None = None
    held: tuple[Audio, np.float32] | None = None
    for cell in cells:
        offset = np.float32(cell.mean(dtype=np.float64))
        if held is not None:
            if len(cell) < CELL:  # too short for a mean of its own
                offset = held[1] if before is None else 2 * held[1] - before
            yield _off(*held, 2 * held[1] - offset if before is None else before, offset)
            before = held[1]
        held = cell, offset
    if held is not None:
        earlier = held[1] if before is None else before
        yield _off(*held, earlier, 2 * held[1] - earlier)


def _off(cell: Audio, offset: np.float32, before: np.float32, after: np.float32) -> Audio:
    line = np.concatenate([before + (offset - before) * _RAMP[_HALF:], offset + (after - offset) * _RAMP[:_HALF]])
    steadied: Audio = cell - line[: len(cell)]
    return steadied


def _cells(arrays: Iterable[Audio]) -> Iterator[Audio]:
    """The same samples in arrays of `CELL`; the last may be shorter."""
    rest = np.zeros(0, np.float32)
    for array in arrays:
        rest = np.concatenate([rest, array])
        whole = len(rest) // CELL * CELL
        yield from rest[:whole].reshape(-1, CELL)
        rest = rest[whole:]
    if len(rest):
        yield rest
