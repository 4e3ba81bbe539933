"""Repairs samples that are NaN, infinite or absurdly large, from float PCM or from a decoder on damaged data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from voxmill.operators.decode.lost_audio import LostAudio

FLOATS: dict[str, np.dtype[Any]] = {
    "flt": np.dtype("f4"), "fltp": np.dtype("f4"), "dbl": np.dtype("f8"), "dblp": np.dtype("f8")
}  # fmt: skip

LARGEST = float(1 << 17)
"""Larger values are damage: full scale is 1, or 32768 in some files."""

SMALLEST = 1e-20
"""Smaller values become 0: denormal numbers are slow and inaudible."""


def is_readable(frame: AudioFrame) -> bool:
    """Whether the samples can be read: PyAV loses planes of frames with eight or more planes."""
    return not frame.format.is_planar or frame.layout.nb_channels < 8


def repair_samples(frame: AudioFrame, lost: LostAudio) -> AudioFrame:
    """The frame; NaN becomes 0 and infinite or absurd values full scale, counted in `lost.odd`."""
    kind = FLOATS.get(frame.format.name)
    if kind is None or not is_readable(frame):
        return frame
    length = frame.samples * _width(frame)
    planes = [np.frombuffer(memoryview(plane), kind)[:length] for plane in frame.planes]
    if _are_quiet(planes):
        return frame
    if all(bool((np.abs(plane) <= LARGEST).all()) for plane in planes):
        return frame
    values = frame.to_ndarray()
    odd = ~(np.abs(values) <= LARGEST)
    lost.odd += int(odd.sum())
    values = np.where(odd, np.sign(np.nan_to_num(values)), values)
    values[np.abs(values) < SMALLEST] = 0
    clean = AudioFrame.from_ndarray(np.ascontiguousarray(values.astype(kind)), frame.format.name, frame.layout.name)
    clean.sample_rate = frame.sample_rate
    return clean


@np.errstate(over="ignore", invalid="ignore")
def _are_quiet(planes: Sequence[NDArray[Any]]) -> bool:
    """Quick; false where any sample is NaN."""
    return all(plane.dot(plane) <= LARGEST**2 for plane in planes)


def _width(frame: AudioFrame) -> int:
    return 1 if frame.format.is_planar else frame.layout.nb_channels
