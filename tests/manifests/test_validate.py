from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Annotation, Labels, Mark, Rejection, Word
from voxmill.manifests.schema import SchemaError
from voxmill.manifests.validate import validate

from .factory import MadeUpRun, made_up_run

RUN = made_up_run(seed=2)
SPEECH = [s for s in RUN.tables["segments"] if s.rejection is None]
LATER = next(s for s in SPEECH if s.start > 0)
GOOD = next(r for r in RUN.tables["recordings"] if r.rejection is None)
HEARD = next(h for h in RUN.tables["hypotheses"] if h.words)
KEPT = next(x for x in RUN.tables["selections"] if x.rejection is None)
AGREED = next(c for c in RUN.tables["consensus"] if c.rejection is None)
LOST = next(c for c in RUN.tables["consensus"] if c.rejection is not None)
LABELS = RUN.tables["labels"][0]


@pytest.mark.parametrize("seed", range(4))
def test_a_sound_run_has_no_problems(seed: int) -> None:
    run = made_up_run(seed)
    assert validate(run.tables) == []
    assert validate({name: table for name, table in run.arrow().items() if name in run.tables}) == []


def test_only_what_is_there_is_checked() -> None:
    assert validate({}) == []
    for name, rows in RUN.tables.items():
        assert validate({name: rows}) == [], name
    assert validate({"recordings": RUN.tables["recordings"], "segments": RUN.tables["segments"]}) == []


def _edit(name: str, row: Any, **changes: Any) -> MadeUpRun:
    return RUN.changed(**{name: [replace(r, **changes) if r is row else r for r in RUN.tables[name]]})


def _drop(name: str, row: Any) -> MadeUpRun:
    return RUN.changed(**{name: [r for r in RUN.tables[name] if r is not row]})


def _again(name: str, row: Any) -> MadeUpRun:
    return RUN.changed(**{name: [*RUN.tables[name], row]})


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (_again("items", RUN.tables["items"][0]), f"items {RUN.tables['items'][0].id}: expected 1 row, found 2"),
        (_again("hypotheses", HEARD), f"hypotheses {HEARD.segment_id}/{HEARD.engine}: expected 1 row, found 2"),
        (_again("selections", KEPT), f"selections {KEPT.segment_id}: expected 1 row, found 2"),
        (
            _again("recordings", replace(GOOD, item_id="new")),
            f"recording {GOOD.id}: expected 1 kept recording with these bytes, found 2",
        ),
        (_edit("recordings", GOOD, num_samples=0), f"recording {GOOD.id}: kept, expected more than 0 samples, found 0"),
        (_drop("recordings", GOOD), f"item {GOOD.item_id}: expected 1 recording, found 0"),
        (_edit("recordings", GOOD, item_id="new"), "recording of item new: expected 1 listed item, found 0"),
        (
            _edit("recordings", GOOD, num_samples=GOOD.num_samples + 5),
            f"units of recording {GOOD.id}: they end at {GOOD.num_samples}, expected {GOOD.num_samples + 5}",
        ),
        (
            _edit("recordings", GOOD, rejection=reject("decode.corrupt")),
            f"recording {GOOD.id}: it is in 3 units, expected 0: it was not kept",
        ),
        (_drop("segments", LATER), f"one starts at {LATER.end}, expected {LATER.start}, where the one before it ends"),
        (
            _edit("segments", LATER, num_samples=LATER.num_samples + 1),
            f"starts at {LATER.end}, expected {LATER.end + 1}, where the one",
        ),
        (_edit("segments", LATER, num_samples=0), f"[{LATER.start}, {LATER.start}) is empty, expected more than 0 samples"),
        (
            _edit("segments", LATER, num_samples=10**9),
            f"segment {LATER.id}: [{LATER.start}, {LATER.start + 10**9}) is outside its recording, [0, ",
        ),
        (_edit("segments", LATER, id="another-name"), "segment another-name: its span says " + LATER.id),
        (
            _edit("segments", LATER, recording_id="ff" * 32),
            f"segment {LATER.id}: expected 1 kept recording {'ff' * 32}, found 0",
        ),
        (
            _edit("hypotheses", HEARD, segment_id="nobody"),
            f"hypotheses of {HEARD.engine} nobody: expected 1 kept segment, found 0: there is none",
        ),
        (_drop("hypotheses", HEARD), f"hypotheses of {HEARD.engine} {HEARD.segment_id}: expected 1 row, found 0"),
        (_drop("consensus", AGREED), f"consensus {AGREED.segment_id}: expected 1 row, found 0"),
        (_drop("selections", KEPT), f"selections {KEPT.segment_id}: expected 1 row, found 0"),
        (
            _edit("segments", next(s for s in SPEECH if s.id == AGREED.segment_id), rejection=reject("segment.no_speech")),
            f"consensus {AGREED.segment_id}: expected 1 kept segment, found 0: it was rejected",
        ),
        (
            _edit("hypotheses", HEARD, confidence=1.5),
            f"hypothesis {HEARD.segment_id} of {HEARD.engine}: confidence is 1.5, expected 0 to 1",
        ),
        (_edit("hypotheses", HEARD, words=(Word("麦", 5, 3),)), "'麦' ends at 3, before its start at 5"),
        (
            _edit("hypotheses", HEARD, words=(Word("麦", 10**9, 10**9 + 1),)),
            "'麦' starts at 1000000000, outside [",
        ),
        (_edit("consensus", AGREED, agreement=-0.1), f"consensus {AGREED.segment_id}: agreement is -0.1, expected 0 to 1"),
        (
            _edit("consensus", AGREED, normalised=("one",)),
            f"consensus {AGREED.segment_id}: expected 2 normalised texts, one per engine, found 1",
        ),
        (
            _edit("consensus", AGREED, slots=(replace(AGREED.slots[0], words=("mill",)),)),
            f"consensus {AGREED.segment_id}: slot 0: expected 2 words, one per engine, found 1",
        ),
        (
            _edit("consensus", AGREED, num_ties=9),
            f"consensus {AGREED.segment_id}: expected 1 ties, as many as its slots have, found 9",
        ),
        (
            _edit("labels", LABELS, emotion=Annotation((Mark("calm", 0, -8),), "teller")),
            f"emotion of {LABELS.segment_id}: 'calm' ends at -8, before its start at 0",
        ),
        (
            _edit("selections", KEPT, rejection=Rejection("select.mood")),
            f"selections {KEPT.segment_id}: no reason is called 'select.mood'",
        ),
        (
            _edit("segments", LATER, rejection=reject("select.licence")),
            f"segments {LATER.id}: 'select.licence' is a reason of another stage, expected one of ['segment']",
        ),
        (_edit("selections", KEPT, tier="rejected"), f"selection {KEPT.segment_id}: rejected, expected 1 reason, found 0"),
        (
            _edit("selections", KEPT, rejection=reject("select.licence")),
            f"selection {KEPT.segment_id}: its tier is {KEPT.tier}, expected no reason, found 'select.licence'",
        ),
        (
            _edit("selections", next(x for x in RUN.tables["selections"] if x.segment_id == LOST.segment_id), rejection=None),
            f"selection {LOST.segment_id}: kept, though its consensus was rejected for",
        ),
    ],
    ids=lambda value: None if isinstance(value, MadeUpRun) else str(value)[:40],
)
def test_a_problem_is_told_with_its_id_and_both_numbers(damaged: MadeUpRun, message: str) -> None:
    problems = validate(damaged.tables)
    assert any(message in problem for problem in problems), problems


def test_words_may_reach_out_of_their_segment_a_little() -> None:
    segment = next(s for s in SPEECH if s.id == HEARD.segment_id)
    late = _edit("hypotheses", HEARD, words=(Word("mill", segment.start, segment.end + 100),)).tables
    assert validate(late) == []
    [problem] = validate(late, word_tolerance=99)
    assert f"ends at {segment.end + 100}, outside [{segment.start}, {segment.end}) by more than 99" in problem


def test_unknown_columns_are_refused() -> None:
    table = RUN.arrow()["segments"]
    with pytest.raises(SchemaError, match="unknown"):
        validate({"segments": table.append_column("mood", pa.array(["good"] * len(table)))})


def test_labels_are_not_missed_where_nobody_labelled() -> None:
    assert validate({**RUN.tables, "labels": ()}) == []
    assert validate({**RUN.tables, "labels": (Labels(SPEECH[0].id),)}) == []
