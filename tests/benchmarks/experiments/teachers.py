"""What the teachers hear in the spans of the test, under each condition: the line's own recognisers, and what reconciliation chooses.

Where reconciliation gives no label, because one of them heard nothing, their choice is what the preferred one said. Clean spans are read from `calibrate.heard.jsonl.gz`; in the others the recognisers run, some spans at a time, and what they heard is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks.experiments.hard import Condition
from benchmarks.experiments.spans import Span
from benchmarks.experiments.trainings import Clock
from benchmarks.heard import ENGINES, RECONCILE, transcribed, work_of
from benchmarks.mixed import Mixed
from voxmill.manifests.ids import segment_id
from voxmill.manifests.records import Segment
from voxmill.operators.reconcile.reconcile import Reconcile

CHOICE = "their choice"
TEACHERS = (*(engine.name for engine in ENGINES), CHOICE)
CHUNK = 64
"""Spans between two looks at the clock: recognisers are loaded for each."""


def taught_clean(spans: Sequence[Span]) -> dict[str, dict[str, str]]:
    """By teacher and key, as they heard the spans when the line heard them."""
    found = {name: {one.key: one.heard[place] for one in spans} for place, name in enumerate(TEACHERS[:-1])}
    return {**found, CHOICE: {one.key: one.label.text or one.heard[0] for one in spans}}


def taught_in(recordings: Sequence[Mixed], condition: Condition, clock: Clock) -> dict[str, dict[str, str]]:
    """By teacher and the recording's id, each of which is one span. Raises OutOfTime."""
    found: dict[str, dict[str, str]] = {name: {} for name in TEACHERS}
    for at in range(0, len(recordings), CHUNK):
        clock.check()
        for name, said in _heard(recordings[at : at + CHUNK], condition).items():
            found[name] |= said
    return found


def _heard(recordings: Sequence[Mixed], condition: Condition) -> Mapping[str, dict[str, str]]:
    works = [(one, work_of(one, [whole(one)])) for one in recordings]
    rows = transcribed(works, lambda line: print(f"  … {condition}, {line}", flush=True) if line.endswith("0") else None)
    reconcile = Reconcile(RECONCILE, tuple(rows))
    said: dict[str, dict[str, str]] = {name: {} for name in TEACHERS}
    for place, (mixed, work) in enumerate(works):
        hypotheses = [heard[place][0] for heard in rows.values()]
        said |= {one.engine: said[one.engine] | {mixed.id: one.text} for one in hypotheses}
        (chosen,) = reconcile(replace(work, hypotheses=tuple(hypotheses)))
        said[CHOICE][mixed.id] = chosen.text or hypotheses[0].text
    return said


def whole(recording: Mixed) -> Segment:
    """All of a recording as one span."""
    end = recording.num_samples
    return Segment(segment_id(recording.pcm_sha256, 0, end), recording.pcm_sha256, 0, end)
