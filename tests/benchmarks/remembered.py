"""What the engines said of recordings that take an hour of two cores to hear: kept in a file, and read again in a second.

The file is written by a full run of `bench-calibrate`, one line a recording: its spans of speech, and what each engine heard there. It
is data like the reference words, and to be doubted like them: a run that reads it hears a part of it again, another part each time,
and says how many words come out otherwise.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.heard import ENGINES, RECONCILE, Heard, work_of
from benchmarks.mixed import Mixed
from benchmarks.words import edits, english
from speech import acted, prompts
from speech.packaged import PYANNOTE_SAMPLE, TWO_CITIES
from voxmill.manifests.errors import UserError
from voxmill.manifests.ids import digest, segment_id
from voxmill.manifests.records import Hypothesis, Segment
from voxmill.operators.reconcile.reconcile import Reconcile

FILE = Path(__file__).parent / "calibrate.heard.jsonl.gz"
NOTICE = (
    f"What speech recognisers made of recordings, which are not in here: {prompts.ATTRIBUTION} ({prompts.LICENCE}); "
    f"{acted.ATTRIBUTION} ({acted.LICENCE}); {TWO_CITIES.attribution} ({TWO_CITIES.licence}); {PYANNOTE_SAMPLE.attribution}"
)
"""The first line of the file."""


def remember(heard: Sequence[Heard], file: Path = FILE) -> None:
    """Writes what was heard, in the order of the recordings' ids."""
    rows = [json.dumps({"notice": NOTICE})]
    for one in sorted(heard, key=lambda one: one.mixed.id):
        spans = [
            {"start": span.start, "num_samples": span.num_samples, **_said(one, span)}
            for span in one.segments
            if span.rejection is None
        ]
        rows.append(json.dumps({"id": one.mixed.id, "reference": _reference(one.mixed), "spans": spans}, ensure_ascii=False))
    file.write_bytes(gzip.compress(("\n".join(rows) + "\n").encode(), mtime=0))


def _said(one: Heard, span: Segment) -> dict[str, tuple[str, float | None]]:
    return {engine: (said[span.id].text, said[span.id].confidence) for engine, said in one.hypotheses.items()}


def _reference(mixed: Mixed) -> str:
    """A hash of what is said in it and when. Not of its samples: processors round the last bit of a noise differently."""
    clips = (f"{clip.start} {clip.end} {clip.text}" for clip in mixed.spoken)
    return digest([mixed.id, str(mixed.num_samples), *clips])


def recall(recordings: Sequence[Mixed], file: Path = FILE) -> list[Heard]:
    """What was heard of these recordings, reconciled as the pipeline does today. Raises UserError where one of them is not in the file."""
    _, *lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    rows = {row["reference"]: row for row in map(json.loads, lines)}
    if unknown := [mixed.id for mixed in recordings if _reference(mixed) not in rows]:
        raise UserError(
            f"{file} does not hold {len(unknown)} of {len(recordings)} recordings ({unknown[0]}, …): they are made otherwise now; "
            "hear all of them with `python tests/benchmarks/bench_calibrate.py --full --store`"
        )
    return [_heard(mixed, rows[_reference(mixed)]["spans"]) for mixed in recordings]


def _heard(mixed: Mixed, spans: Sequence[Mapping[str, Any]]) -> Heard:
    """As `hear` would give it, but for words with times, spans that were put aside and languages: only English is here."""
    recording = mixed.pcm_sha256
    segments = tuple(
        Segment(
            segment_id(recording, row["start"], row["start"] + row["num_samples"]), recording, row["start"], row["num_samples"]
        )
        for row in spans
    )
    said = {
        engine.name: {
            span.id: Hypothesis(span.id, engine.name, "", row[engine.name][0], confidence=row[engine.name][1], language="en")
            for span, row in zip(segments, spans, strict=True)
        }
        for engine in ENGINES
    }
    every = tuple(hypothesis for rows in said.values() for hypothesis in rows.values())
    consensus = Reconcile(RECONCILE, tuple(said))(replace(work_of(mixed, segments), hypotheses=every))
    return Heard(mixed, segments, said, {one.segment_id: one for one in consensus})


def differing(before: Heard, again: Heard) -> tuple[int, int]:
    """Words of the labels that come out otherwise, and words that there were."""
    was, now = (english(" ".join(one.consensus[key].text for key in sorted(one.consensus))) for one in (before, again))
    return edits(was, now).errors, len(was)
