"""Records of what is nearly the same: how a part sounds and what it says, and the verdict that a stretch is there already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

By = Literal["bytes", "samples", "acoustic", "text"]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """How a part of a recording sounds. `values[i]` is Chromaprint's own encoding, at the i-th speed of the config."""

    recording_id: str
    """The recording."""
    start: int
    """First sample of the part."""
    num_samples: int
    """Length in samples."""
    values: tuple[str, ...]
    """Empty where the part is too short to be known by its sound."""


@dataclass(frozen=True, slots=True)
class Shingles:
    """What is said in a part of a recording: hashes of runs of neighbouring words, in their order."""

    recording_id: str
    """The recording."""
    start: int
    """First sample of the part."""
    num_samples: int
    """Length in samples."""
    values: tuple[int, ...]
    """64-bit hashes. Empty where nothing was agreed on, or too little to be compared."""
    segments: tuple[int, ...]
    """For each value, in which of the part's segments with an agreed text it begins."""
    starts: tuple[int, ...]
    """First sample of each of these segments."""
    ends: tuple[int, ...]
    """One past the last sample of each."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A stretch that is in another recording too, or in an evaluation set. The first listed stays and has no such row."""

    recording_id: str
    """The recording that is not kept, or not wholly."""
    start: int
    """First sample of the stretch."""
    num_samples: int
    """The stretch, in samples of this recording."""
    reason: str
    """`select.duplicate` or `select.contaminated`."""
    by: By
    """What showed it: equal bytes, equal samples, the sound, or the text."""
    partner: str
    """The recording that stays, or the name of the evaluation clip."""
    of: str
    """Where the partner is: empty for this run, else the other run or the evaluation set, as the config names it."""
    score: float
    """In [0, 1]: the share of the shorter one that matches."""
    speed: float | None = None
    """How much faster the partner was, by sound; None where the text or the bytes decided."""
