"""Captions and speech brought together: by how much captions are early or late, and which of their words belong to which segment."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from voxmill.manifests.records import SAMPLE_RATE, Segment
from voxmill.operators.decode.cues import Cue

STEP = 0.1
"""Resolution of the offset (s)."""
FARTHEST = 10.0
"""Largest offset that is looked for (s)."""
GAIN = 0.05
"""Share of the captions' time that has to fall on speech more than without an offset; else there is none."""
FEWEST = 3
"""Cues in a part from which an offset is estimated."""
BESIDE = 0.5
"""A word this close to a segment belongs to it (s); one farther from all of them to none."""

_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


def caption_offset(cues: Sequence[Cue], segments: Sequence[Segment]) -> float:
    """How much later the captions have to be shown (s; negative: earlier) so that most of their time falls on speech.

    `segments`: those of speech of one part of a recording, in order of time. 0 where nothing is gained.
    """
    if not segments:
        return 0.0
    first, last = segments[0].start / SAMPLE_RATE, segments[-1].end / SAMPLE_RATE
    near = [cue for cue in cues if cue.end > first - FARTHEST and cue.start < last + FARTHEST]
    if len(near) < FEWEST:
        return 0.0
    begin, reach = first - 2 * FARTHEST, round(FARTHEST / STEP)
    length = round((last - first + 4 * FARTHEST) / STEP)
    spoken = _activity([(one.start / SAMPLE_RATE, one.end / SAMPLE_RATE) for one in segments], begin, length)
    shown = _activity([(cue.start, cue.end) for cue in near], begin, length)
    both = np.array([float(np.roll(shown, shift) @ spoken) for shift in range(-reach, reach + 1)])
    if both.max() - both[reach] < GAIN * float(shown.sum()):
        return 0.0
    best = np.flatnonzero(both >= both.max() - 0.5)
    return round(float(best[np.abs(best - np.median(best)).argmin()] - reach) * STEP, 1)


def _activity(spans: Sequence[tuple[float, float]], begin: float, length: int) -> np.ndarray:
    active = np.zeros(length)
    for start, end in spans:
        active[max(0, round((start - begin) / STEP)) : max(0, round((end - begin) / STEP))] = 1.0
    return active


def words_by_segment(cues: Sequence[Cue], segments: Sequence[Segment], offset: float) -> dict[str, str]:
    """Segment id -> the words of the captions in it; segments without any are left out. The words of a cue are spread evenly over it."""
    found: dict[str, list[str]] = {}
    for cue in cues:
        words = _WORD.findall(cue.text)
        for number, word in enumerate(words):
            when = cue.start + offset + (cue.end - cue.start) * (number + 0.5) / len(words)
            home = _home(when, segments)
            if home is not None:
                found.setdefault(home.id, []).append(word)
    return {key: _joined(words) for key, words in found.items()}


def _home(when: float, segments: Sequence[Segment]) -> Segment | None:
    """The segment at a time, else the nearest one within `BESIDE`."""
    place = when * SAMPLE_RATE
    nearest = min(segments, key=lambda one: max(one.start - place, place - one.end, 0.0), default=None)
    if nearest is None or max(nearest.start - place, place - nearest.end) > BESIDE * SAMPLE_RATE:
        return None
    return nearest


def _joined(words: Sequence[str]) -> str:
    """Words with spaces between them, but for scripts that have none."""
    return re.sub(rf"(?<=[{_UNSPACED}]) (?=[{_UNSPACED}])", "", " ".join(words))
