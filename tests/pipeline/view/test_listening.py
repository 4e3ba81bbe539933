"""Marks become a reference that `voxmill calibrate` takes, and what to hear next narrows the interval most."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from voxmill.manifests.errors import UserError
from voxmill.pipeline.cli import app
from voxmill.pipeline.view.answers import Viewer
from voxmill.pipeline.view.listening import MARKS, REFERENCE, Marks, mark, next_tier, reference_rows, wilson


def stratum(tier: str, hours: float, heard: int, wrong: int, prior: float = 0.2, segments: int = 1000) -> dict[str, Any]:
    return {"tier": tier, "hours": hours, "heard": heard, "wrong": wrong, "prior": prior, "segments": segments}


def test_the_larger_and_the_more_doubtful_tier_is_heard_first() -> None:
    assert next_tier([stratum("high", 10, 0, 0), stratum("weak", 1, 0, 0)]) == "high"
    assert next_tier([stratum("high", 5, 20, 0), stratum("weak", 5, 20, 10)]) == "weak"
    assert next_tier([stratum("high", 10, 3, 0, segments=3), stratum("weak", 1, 0, 0)]) == "weak"
    assert next_tier([stratum("high", 10, 3, 0, segments=3)]) is None


def test_proposals_come_near_the_best_allocation() -> None:
    """Neyman 1934: heard in proportion to hours times standard deviation."""
    tiers = [stratum("high", 8, 0, 0, 0.05), stratum("weak", 2, 0, 0, 0.5)]
    for _ in range(400):
        row = next(one for one in tiers if one["tier"] == next_tier(tiers))
        row["heard"] += 1
        row["wrong"] = round(row["prior"] * row["heard"])
    best = 8 * (0.05 * 0.95) ** 0.5 / (8 * (0.05 * 0.95) ** 0.5 + 2 * 0.5)
    assert tiers[0]["heard"] / 400 == pytest.approx(best, abs=0.05)


def test_an_interval_holds_its_share() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    for wrong, heard in ((0, 5), (5, 5), (3, 40)):
        low, high = wilson(wrong, heard)
        assert 0 <= low <= wrong / heard <= high <= 1


def test_marks_stay_and_the_reference_has_those_whose_words_are_known(tmp_path: Path) -> None:
    marks = Marks(str(tmp_path))
    marks.put("a", "right", "it was")
    marks.put("b", "wrong", None)
    marks.put("c", "corrected", "")
    marks.put("a", "corrected", "it is")
    marks.put("d", "right", "x")
    marks.put("d", None, None)
    again = Marks(str(tmp_path))
    assert again.rows == marks.rows
    assert list(again.rows) == ["b", "c", "a"]
    lines = [json.loads(line) for line in (tmp_path / REFERENCE).read_text().splitlines()]
    assert (
        lines
        == reference_rows(list(marks.rows.values()))
        == [{"segment_id": "c", "text": ""}, {"segment_id": "a", "text": "it is"}]
    )
    (tmp_path / MARKS).write_text("{\n")
    with pytest.raises(UserError, match="line 1"):
        Marks(str(tmp_path))


@pytest.mark.slow
@pytest.mark.xdist_group("view")
def test_calibrate_takes_what_was_marked(own_viewer: Viewer, seen: Path, tmp_path: Path) -> None:
    for number in range(4):
        ident = own_viewer.answer("next", {})["segment_id"]
        assert ident not in own_viewer.marks.rows
        told = mark(
            own_viewer.view,
            own_viewer.marks,
            {"segment_id": ident, "mark": "corrected" if number else "right", "text": "it was the worst"},
        )
    assert sum(row["heard"] for row in told["tiers"]) == 4
    done = CliRunner().invoke(app, ["calibrate", str(seen), "--reference", str(tmp_path / REFERENCE), "--json"])
    (seen / "calibration.json").unlink(missing_ok=True)
    assert done.exit_code == 0, done.output
    assert {row["segment_id"] for row in map(json.loads, (tmp_path / REFERENCE).read_text().splitlines())} == set(
        own_viewer.marks.rows
    )


@pytest.mark.slow
@pytest.mark.xdist_group("view")
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"segment_id": "nobody", "mark": "right"},
        {"mark": "right"},
        {"segment_id": 1, "mark": "right"},
        {"segment_id": "x", "mark": "tpyo"},
    ],
)
def test_a_mark_of_nothing_is_refused(viewer: Viewer, asked: dict[str, object]) -> None:
    with pytest.raises(UserError):
        mark(viewer.view, viewer.marks, asked)
