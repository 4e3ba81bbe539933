"""What was heard comes back from its file as it was, and a recording that is made otherwise is not taken for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.heard import ENGINES, RECONCILE, Heard, work_of
from benchmarks.mixed import Mixed, Spoken
from benchmarks.remembered import differing, recall, remember
from voxmill.manifests.errors import UserError
from voxmill.manifests.ids import segment_id
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Hypothesis, Segment
from voxmill.operators.reconcile.reconcile import Reconcile

Said = tuple[int, tuple[str, float | None], tuple[str, float | None]]
"""Where a segment begins, and text and confidence of each engine."""

SAID: tuple[Said, ...] = (
    (16_000, ("the cat sat", 0.91), ("the cat sad", None)),
    (64_000, ("“no”, he said", 0.5), ("no he said", None)),
)


def heard(folder: Path, said: Sequence[Said] = SAID) -> Heard:
    path = folder / "one.wav"
    path.touch()
    mixed = Mixed("one", "clean", path, 200_000, "f" * 64, (Spoken("clip", "the cat sat", 17_000, 30_000),))
    segments, hypotheses = [], {engine.name: dict[str, Hypothesis]() for engine in ENGINES}
    for start, *texts in said:
        segment = Segment(segment_id(mixed.pcm_sha256, start, start + 32_000), mixed.pcm_sha256, start, 32_000)
        segments.append(segment)
        for engine, (text, confidence) in zip(ENGINES, texts, strict=True):
            hypotheses[engine.name][segment.id] = Hypothesis(segment.id, engine.name, "m@1", text, confidence=confidence)
    every = tuple(hypothesis for rows in hypotheses.values() for hypothesis in rows.values())
    found = Reconcile(RECONCILE, tuple(hypotheses))(replace(work_of(mixed, segments), hypotheses=every))
    aside = replace(segments[0], id="aside", start=0, num_samples=16_000, rejection=reject("segment.no_speech"))
    return Heard(mixed, (aside, *segments), hypotheses, {one.segment_id: one for one in found})


def test_what_was_heard_comes_back(tmp_path: Path) -> None:
    one = heard(tmp_path)
    remember([one], tmp_path / "heard.jsonl.gz")
    [back] = recall([one.mixed], tmp_path / "heard.jsonl.gz")
    assert back.consensus == one.consensus
    assert back.segments == one.segments[1:]
    assert len(back.consensus) == len(SAID)
    assert differing(one, back) == (0, 6)
    rounded = replace(one.mixed, pcm_sha256="0" * 64)
    assert len(recall([rounded], tmp_path / "heard.jsonl.gz")[0].consensus) == len(SAID)


def test_words_that_come_out_otherwise_are_counted(tmp_path: Path) -> None:
    other: tuple[Said, ...] = ((16_000, ("the dog sat", 0.91), ("the cat sad", None)), SAID[1])
    assert differing(heard(tmp_path), heard(tmp_path, other)) == (1, 6)


def test_a_recording_that_is_made_otherwise_is_not_there(tmp_path: Path) -> None:
    one = heard(tmp_path)
    remember([one], tmp_path / "heard.jsonl.gz")
    with pytest.raises(UserError, match="does not hold 1 of 1 recordings"):
        recall([replace(one.mixed, num_samples=200_001)], tmp_path / "heard.jsonl.gz")
