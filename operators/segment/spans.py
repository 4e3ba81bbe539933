"""From P(speech) over time to segments. Pure arithmetic, no model.

1. Hysteresis: speech starts at `threshold` and ends below `neg_threshold`; pauses shorter than `min_silence_seconds` and speech
   shorter than `min_speech_seconds` are ignored.
2. Runs of speech are padded, each side by at most half of the pause, and joined over pauses shorter than `merge_seconds`.
3. What is still shorter than `min_seconds` joins a neighbour, smallest pauses first, none above `absorb_seconds`.
4. What is longer than `max_seconds` is cut at its largest pause, repeatedly. A pause counts where both sides keep `min_seconds`.
   Without one it is cut at the lowest dip of P(speech) below `threshold`; without a dip at `max_seconds`.
5. What is shorter than `min_seconds` in the end is rejected as `segment.too_short`; everything else is `segment.no_speech`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from typing_extensions import Self

from voxmill.manifests.config_base import Settings
from voxmill.manifests.records import SAMPLE_RATE

Probabilities = NDArray[np.float32]
"""P(speech) for every `hop` samples, shape (ceil(total / hop),)."""

DIP_SECONDS = 0.16
"""P(speech) is averaged over this window before the lowest dip is found, so that no single frame decides."""


class SpanConfig(Settings):
    """What counts as speech, as a pause and as one segment."""

    threshold: float = Field(default=0.5, gt=0, le=1)
    """P(speech) at which speech begins."""
    neg_threshold: float = Field(default=0.35, ge=0, le=1)
    """P(speech) below which it ends."""
    min_silence_seconds: float = Field(default=0.1, ge=0)
    """Shorter silence inside speech is not a pause (s)."""
    min_speech_seconds: float = Field(default=0.1, ge=0)
    """Shorter speech, before anything is joined, is a click (s)."""
    pad_seconds: float = Field(default=0.2, ge=0)
    """Kept on each side of speech (s), so that soft beginnings and ends are not lost."""
    merge_seconds: float = Field(default=0.5, ge=0)
    """Speech is one segment over pauses shorter than this (s)."""
    absorb_seconds: float = Field(default=2.0, ge=0)
    """The largest pause (s) over which speech shorter than `min_seconds` joins a neighbour."""
    min_seconds: float = Field(default=2.0, ge=0)
    """Shorter segments are rejected (s)."""
    max_seconds: float = Field(default=30.0, gt=0)
    """Longer segments are cut (s)."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.neg_threshold > self.threshold:
            raise ValueError("neg_threshold is above threshold")
        if self.max_seconds < 2 * self.min_seconds:
            raise ValueError("max_seconds must be at least twice min_seconds, or what is cut has no room")
        return self


@dataclass(frozen=True, slots=True)
class Stretch:
    """`[start, end)` in samples, its mean P(speech), and the reason if it is no segment."""

    start: int
    end: int
    speech: float
    reason: str | None = None


def spans_from_probs(probs: Probabilities, hop: int, total: int, config: SpanConfig) -> list[Stretch]:
    """The speech in `total` samples: segments, and what is too short to be one; sorted and disjoint."""
    pauses = _pauses(_runs(probs, hop, total, config), total, config)
    spans = (span for group in _join(pauses, config) for span in _cut(group, probs, hop, config))
    least, mean = _samples(config.min_seconds), _mean(probs, hop)
    return [
        Stretch(start, end, mean(start, end), None if end - start >= least else "segment.too_short") for start, end in spans
    ]


def tile(stretches: Iterable[Stretch], probs: Probabilities, hop: int, total: int) -> list[Stretch]:
    """The stretches and, between them, the rest as `segment.no_speech`: every sample of `[0, total)` in exactly one."""
    mean = _mean(probs, hop)
    tiles: list[Stretch] = []
    place = 0
    for stretch in (*stretches, Stretch(total, total, 0.0)):
        if stretch.start > place:
            tiles.append(Stretch(place, stretch.start, mean(place, stretch.start), "segment.no_speech"))
        if stretch.end > stretch.start:
            tiles.append(stretch)
        place = stretch.end
    return tiles


@dataclass(frozen=True, slots=True)
class _Pause:
    """Silence `[end, start)` between two runs of speech, and how far into it each side is padded."""

    end: int
    start: int
    left: int
    """Padded end of the speech before."""
    right: int
    """Padded start of the speech after."""

    @property
    def length(self) -> int:
        return self.start - self.end


@dataclass(frozen=True, slots=True)
class _Group:
    """Speech `[start, end)`, padded, that is to be one segment, and the pauses inside it."""

    start: int
    end: int
    pauses: Sequence[_Pause]

    def cuts(self, least: int) -> list[int]:
        """The pauses at which the group may be cut: `least` samples stay on both sides."""
        return [i for i, p in enumerate(self.pauses) if p.left - self.start >= least and self.end - p.right >= least]

    def at(self, index: int) -> tuple[_Group, _Group]:
        pause = self.pauses[index]
        left = _Group(self.start, pause.left, self.pauses[:index])
        return left, _Group(pause.right, self.end, self.pauses[index + 1 :])

    def __len__(self) -> int:
        return self.end - self.start


def _runs(probs: Probabilities, hop: int, total: int, config: SpanConfig) -> list[tuple[int, int]]:
    """Runs of speech in samples, at least `min_silence_seconds` apart and `min_speech_seconds` long."""
    frames = np.arange(len(probs))
    decided = np.where((probs >= config.threshold) | (probs < config.neg_threshold), frames, -1)
    last = np.maximum.accumulate(decided)
    speech = (last >= 0) & (probs[last] >= config.threshold)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], speech, [False]]).astype(np.int8)))
    runs: list[tuple[int, int]] = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        start, end = start * hop, min(end * hop, total)
        if runs and start - runs[-1][1] < _samples(config.min_silence_seconds):
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return [(start, end) for start, end in runs if end - start >= max(1, _samples(config.min_speech_seconds))]


def _pauses(runs: Sequence[tuple[int, int]], total: int, config: SpanConfig) -> list[_Pause]:
    """One pause before, between and after the runs each."""
    pad = _samples(config.pad_seconds)
    ends, starts = [0, *(end for _, end in runs)], [*(start for start, _ in runs), total]
    pauses = []
    for index, (end, start) in enumerate(zip(ends, starts, strict=True)):
        outer = index in (0, len(runs))
        room = start - end if outer else (start - end) // 2
        pauses.append(_Pause(end, start, end + min(pad, room), start - min(pad, room)))
    return pauses


def _join(pauses: Sequence[_Pause], config: SpanConfig) -> list[_Group]:
    """Runs joined over short pauses, and over longer ones where that saves speech from being too short.

    A group only grows, so one pass over the pauses, the smallest first, is enough.
    """
    least, widest, close = map(_samples, (config.min_seconds, config.absorb_seconds, config.merge_seconds))
    first, last = list(range(len(pauses) - 1)), list(range(len(pauses) - 1))
    """Groups of runs: `first[i]` is valid for the last member of a group, `last[i]` for its first."""

    def group(begin: int, end: int) -> _Group:
        return _Group(pauses[begin].right, pauses[end + 1].left, pauses[begin + 1 : end + 1])

    for index in sorted(range(1, len(pauses) - 1), key=lambda index: (pauses[index].length, index)):
        begin, end = first[index - 1], last[index]
        if pauses[index].length >= close:
            left, right = pauses[index].left - pauses[begin].right, pauses[end + 1].left - pauses[index].right
            if pauses[index].length > widest or min(left, right) >= least:
                continue
            if not _bearable(group(begin, end), max(left, right), config):
                continue
        first[end], last[begin] = begin, end
    begins = [begin for begin, end in enumerate(last) if first[end] == begin]
    return [group(begin, last[begin]) for begin in begins]


def _bearable(group: _Group, longest: int, config: SpanConfig) -> bool:
    """Whether a group that took in something short is no worse to cut than its `longest` member was."""
    most = max(longest, _samples(config.max_seconds))
    halves = (group.at(index) for index in group.cuts(_samples(config.min_seconds)))
    return len(group) <= most or any(max(map(len, pair)) <= most for pair in halves)


def _cut(group: _Group, probs: Probabilities, hop: int, config: SpanConfig) -> Iterator[tuple[int, int]]:
    """The group in pieces of at most `max_seconds`, in order of time."""
    least, most = _samples(config.min_seconds), _samples(config.max_seconds)
    stack = [group]
    while stack:
        piece = stack.pop()
        if len(piece) <= most:
            yield piece.start, piece.end
        elif cuts := piece.cuts(least):
            middle = (piece.start + piece.end) // 2  # between equal pauses, the most central one
            best = min(cuts, key=lambda i: (-piece.pauses[i].length, abs(piece.pauses[i].end - middle)))
            stack += reversed(piece.at(best))
        else:
            low, high = piece.start + max(least, hop), min(piece.start + most, piece.end - least)
            place = _lowest(probs, hop, low, high, config.threshold)
            yield piece.start, place
            stack.append(_Group(place, piece.end, [pause for pause in piece.pauses if pause.end >= place]))


def _lowest(probs: Probabilities, hop: int, low: int, high: int, threshold: float) -> int:
    """The place in `[low, high]` where P(speech) dips lowest, or `high` where it does not dip below the threshold."""
    width = max(1, round(DIP_SECONDS * SAMPLE_RATE / hop))
    begin, end = low // hop, min(len(probs), high // hop + 1)
    around = probs[max(0, begin - width) : end + width]
    smooth = np.convolve(around, np.full(width, 1 / width), "same")[begin - max(0, begin - width) :][: end - begin]
    dip = int(smooth.argmin())
    return min(max((begin + dip) * hop + hop // 2, low), high) if smooth[dip] < threshold else high


def _mean(probs: Probabilities, hop: int) -> Callable[[int, int], float]:
    """Mean P(speech) over the frames that `[start, end)` touches."""
    sums = np.concatenate([[0.0], np.cumsum(probs, dtype=np.float64)])

    def mean(start: int, end: int) -> float:
        begin, stop = start // hop, -(-end // hop)
        return float(np.clip((sums[stop] - sums[begin]) / (stop - begin), 0, 1))

    return mean


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)
