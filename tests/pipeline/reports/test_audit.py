"""Ranked suspects on a made-up run whose given transcripts are known to be wrong or right."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from voxmill.manifests.errors import UserError
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import GivenSpan, Hypothesis
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.reports.audit import CALIBRATION, FILE, LEAST, audit
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError

from ...manifests.factory import MadeUpRun, made_up_run  # type: ignore[import-not-found]  # tests are no package to mypy

WRONG = "nothing of this was ever said by anybody"
CONFIG = RunConfig.model_validate(
    {
        "sources": [{"name": "s", "path": "."}],
        "transcribe": [{"kind": "pocketsphinx", "name": "sphinx"}, {"kind": "given", "name": "given"}],
    }
)


@pytest.fixture(scope="module")
def made() -> tuple[MadeUpRun, set[str]]:
    """Recognisers that agree, and a given transcript that differs in every seventh segment."""
    run = made_up_run(seed=3, recordings=12)
    wrong, consensus, hypotheses = set(), [], list(run.tables["hypotheses"])
    spoken = {one.id: one for one in run.tables["segments"]}
    for number, one in enumerate(row for row in run.tables["consensus"] if row.agreement is not None):
        text = f"segment number {number} says what the two of them hear"
        given = text
        if number % 7 == 0:
            wrong.add(one.segment_id)
            given = WRONG
        names = (*one.engines, "given")
        slots = tuple(replace(slot, words=(*slot.words, None)) for slot in one.slots)
        consensus.append(replace(one, engines=names, normalised=(text, text, given), slots=slots, language="en"))
        hypotheses.append(Hypothesis(one.segment_id, "given", "given", given))
    spans: dict[str, list[GivenSpan]] = {}
    for one in consensus:
        its = spoken[one.segment_id]
        spans.setdefault(its.recording_id, []).append(GivenSpan(its.start, its.num_samples, one.normalised[2]))
    recordings = [replace(one, given=tuple(spans.get(one.id, ())) or None) for one in run.tables["recordings"]]
    return run.changed(consensus=consensus, hypotheses=hypotheses, recordings=recordings), wrong


@pytest.fixture
def root(made: tuple[MadeUpRun, set[str]], tmp_path: Path) -> Path:
    written: Path = made[0].write(tmp_path / "run")
    return written


def suspects(root: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (root / FILE).read_text(encoding="utf8").splitlines()]


def test_the_wrong_ones_come_first_and_the_file_has_them_all(made: tuple[MadeUpRun, set[str]], root: Path) -> None:
    found = audit(Run(str(root)), CONFIG, top=3)
    assert not found.calibrated
    assert found.compared == len(made[0].tables["consensus"])
    assert found.expected_wrong == pytest.approx(len(made[1]), abs=1)
    rows = suspects(root)
    assert {row["segment_id"] for row in rows[: len(made[1])]} == made[1]
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1)) == list(range(1, found.suspects + 1))
    assert all(LEAST <= float(str(row["wrong"])) <= 1 for row in rows)
    assert [one.segment_id for one in found.first] == [row["segment_id"] for row in rows[:3]]
    assert (found.first[0].given, set(found.first[0].heard)) == (WRONG, {"whisperx", "moonshine"})
    assert audit(Run(str(root)), CONFIG, top=3) == found


def test_a_sample_that_was_listened_to_calibrates(made: tuple[MadeUpRun, set[str]], root: Path, tmp_path: Path) -> None:
    """Somebody finds that a part of what looked right is wrong too: what is expected follows."""
    run, wrong = made
    texts = {one.segment_id: one.normalised[2] for one in run.tables["consensus"]}
    rows = [{"segment_id": key, "text": "something else" if key in wrong else text} for key, text in sorted(texts.items())]
    reference = tmp_path / "listened.jsonl"
    reference.write_text("".join(json.dumps(row) + "\n" for row in rows[:5]))
    with pytest.raises(UserError, match="the least to calibrate with"):
        audit(Run(str(root)), CONFIG, 1, reference)
    assert not (root / CALIBRATION).exists()
    reference.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = audit(Run(str(root)), CONFIG, 1, reference)
    assert found.calibrated
    assert found.listened == len(rows)
    assert found.expected_wrong == pytest.approx(len(wrong), abs=1.5)
    again = audit(Run(str(root)), CONFIG, 1)
    assert again == found
    (root / CALIBRATION).write_text("{}")
    with pytest.raises(UserError, match="no calibration of an audit"):
        audit(Run(str(root)), CONFIG, 1)


def test_a_run_without_given_transcripts_says_what_is_missing(tmp_path: Path) -> None:
    plain = made_up_run().write(tmp_path / "plain")
    with pytest.raises(RunError, match="no given transcript beside"):
        audit(Run(str(plain)), CONFIG, 1)
    sphinx = CONFIG.model_copy(update={"transcribe": CONFIG.transcribe[:1]})
    with pytest.raises(RunError, match="kind: given"):
        audit(Run(str(plain)), sphinx, 1)


def test_spans_that_were_not_compared_are_counted_by_reason(made: tuple[MadeUpRun, set[str]], tmp_path: Path) -> None:
    run = made[0]
    first = next(one for one in run.tables["recordings"] if one.given)
    more = replace(first, given=(*(first.given or ()), GivenSpan(10**9, 5, "beyond", rejection=reject("decode.given_outside"))))
    changed = run.changed(recordings=[more if one is first else one for one in run.tables["recordings"]])
    found = audit(Run(str(changed.write(tmp_path / "run"))), CONFIG, 1)
    assert found.not_compared == {"decode.given_outside": 1}
