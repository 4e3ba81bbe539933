"""Spans of made-up recordings, as the line would find them: for the harness of what students are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.experiments import spans
from benchmarks.experiments.spans import Span
from benchmarks.heard import ENGINES, RECONCILE, Heard, work_of
from benchmarks.mixed import Mixed, Spoken
from speech.waves import write_wave
from voxmill.manifests.ids import segment_id
from voxmill.manifests.records import Hypothesis, Segment
from voxmill.operators.reconcile.reconcile import Reconcile

SAID = (("thank you for the music", "thank you for the music"), ("thank you for the music", "thank you of the music"))
"""By whisperX and by Moonshine: agreed on, and not."""
WORDS = frozenset(["thank", "you", "for", "the", "music", "one", "two", "good", "bye"])


def recording(folder: Path, name: str, clips: Sequence[Spoken], seconds: float = 4.0, condition: str = "acted") -> Mixed:
    path = folder / f"{name}.wav"
    wave = (2000 * np.sin(np.arange(int(16_000 * seconds)) * 0.05 * (1 + len(name)))).astype(np.int16)
    write_wave(path, wave)
    return Mixed(name, condition, path, len(wave), f"{name:0<64}", tuple(clips))


def heard(mixed: Mixed, at: Sequence[tuple[float, float]], said: Sequence[tuple[str, str]]) -> Heard:
    segments, hypotheses = [], {engine.name: dict[str, Hypothesis]() for engine in ENGINES}
    for (start, end), texts in zip(at, said, strict=True):
        first, last = round(16_000 * start), round(16_000 * end)
        segments.append(Segment(segment_id(mixed.pcm_sha256, first, last), mixed.pcm_sha256, first, last - first))
        for engine, text in zip(ENGINES, texts, strict=True):
            hypotheses[engine.name][segments[-1].id] = Hypothesis(segments[-1].id, engine.name, "m@1", text, language="en")
    every = tuple(one for rows in hypotheses.values() for one in rows.values())
    found = Reconcile(RECONCILE, tuple(hypotheses))(replace(work_of(mixed, segments), hypotheses=every))
    return Heard(mixed, tuple(segments), hypotheses, {one.segment_id: one for one in found})


def found(one: Heard, said_by: dict[str, str | None]) -> list[Span | str]:
    return [spans._span(one, segment, said_by, WORDS) for segment in one.segments]


def made(folder: Path, count: int, speakers: int) -> list[Span]:
    """Spans of so many speakers in turn, a third of them disputed."""
    found: list[Span] = []
    for index in range(count):
        clip = Spoken(f"line-{index}", "Thank you for the music!", 8000, 8000 + 8000 * (1 + index % 4))
        mixed = recording(folder, f"scene{index:02d}", [clip])
        one = heard(mixed, [(0.4, 1.1 + 0.5 * (index % 4))], [SAID[index % 3 == 0]])
        span = spans._span(one, one.segments[0], {clip.id: f"speaker-{index % speakers}"}, WORDS)
        assert isinstance(span, Span)
        found.append(span)
    return found
