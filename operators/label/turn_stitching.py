"""Who speaks when inside one segment, from a network that tells a few speakers apart in short windows. Pure arithmetic.

Each window orders its speakers differently. Neighbours overlap, so the order that agrees best over the overlap joins them. Voices
are not compared: a speaker who is silent for longer than a window may come back under another name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

import numpy as np
from numpy.typing import NDArray

Activity = NDArray[np.float32]
"""P(speaker talks), shape (frames, speakers)."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Speaker `who` talks in the frames [start, end)."""

    who: int
    start: int
    end: int
    confidence: float
    """Mean probability over the turn."""


def stitch(windows: Sequence[Activity], step: int) -> Activity:
    """Joins windows of equal shape, each `step` frames after the last: speakers matched, overlaps averaged."""
    frames, speakers = windows[0].shape
    total = np.zeros(((len(windows) - 1) * step + frames, speakers), np.float64)
    count = np.zeros((len(total), 1))
    for index, window in enumerate(windows):
        place = slice(index * step, index * step + frames)
        if index:
            before, now = (total[place] / np.maximum(count[place], 1))[: frames - step], window[: frames - step]
            best = min(permutations(range(speakers)), key=lambda order: float(((before - now[:, order]) ** 2).sum()))
            window = window[:, best]
        total[place] += window
        count[place] += 1
    return (total / count).astype(np.float32)


def turns(activity: Activity, threshold: float, least: int, gap: int) -> list[Turn]:
    """Turns in order of time, speakers numbered as they appear.

    Silences of a speaker shorter than `gap` frames are bridged, then turns shorter than `least` are dropped.
    """
    found = []
    for speaker in range(activity.shape[1]):
        for start, end in _runs(activity[:, speaker] >= threshold, gap):
            if end - start >= least:
                found.append((start, end, speaker, float(activity[start:end, speaker].mean())))
    found.sort()
    names: dict[int, int] = {}
    return [Turn(names.setdefault(who, len(names)), start, end, sure) for start, end, who, sure in found]


def changes(found: Sequence[Turn]) -> list[int]:
    """Frames at which a turn starts whose speaker differs from that of the turn before."""
    return [turn.start for before, turn in pairwise(found) if turn.who != before.who]


def _runs(talks: NDArray[np.bool_], gap: int) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], talks, [False]]).astype(np.int8)))
    start = end = -1
    for begin, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if start >= 0 and begin - end < gap:
            end = stop
            continue
        if start >= 0:
            yield start, end
        start, end = begin, stop
    if start >= 0:
        yield start, end
