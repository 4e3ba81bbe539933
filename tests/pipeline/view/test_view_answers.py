"""What the page is told equals what the run's own tables say; what must not be shown is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import soundfile
from typer.testing import CliRunner

from speech.packaged import TWO_CITIES
from voxmill.manifests.catalog import open_catalog
from voxmill.manifests.errors import UserError
from voxmill.pipeline.cli import app
from voxmill.pipeline.view import segment_table
from voxmill.pipeline.view.answers import Viewer
from voxmill.pipeline.view.run_view import RunView, no_place
from voxmill.pipeline.view.segment_filter import MEASURES

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("view")]


def stated(seen: Path, sql: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = open_catalog(str(seen), sql).execute(sql).fetchall()
    return rows


def test_the_funnel_and_its_reasons_are_those_of_stats(viewer: Viewer, seen: Path) -> None:
    told = viewer.answer("overview", {})
    said = json.loads(CliRunner().invoke(app, ["stats", str(seen), "--json"]).stdout)
    assert told["funnel"] == said["funnel"]
    assert [(row["stage"], row["reason"], row["num_rows"]) for row in told["rejections"]] == [
        (row["stage"], row["reason"], row["num_rows"]) for row in said["rejections"]
    ]
    assert told["totals"]["kept"] == stated(seen, "SELECT count(*) FROM spans WHERE kept")[0][0] > 0


def test_every_reason_leads_to_as_many_as_it_counts(viewer: Viewer) -> None:
    reasons = viewer.answer("overview", {})["rejections"]
    assert {row["position"] >= 3 for row in reasons} == {True, False}
    for row in reasons:
        if row["position"] < 3:
            found = viewer.answer("losses", {"reason": row["reason"]})["total"]
        else:
            found = viewer.answer("segments", {"stage": row["stage"], "reason": row["reason"]})["segments"]
        assert found == row["num_rows"]


@pytest.mark.parametrize("facet", ["language", "domain", "host", "licence", "tier"])
def test_bins_hold_every_segment_that_is_measured(viewer: Viewer, seen: Path, facet: str) -> None:
    told = viewer.answer("distributions", {"by": facet})
    for name in ("seconds", "agreement", "confidence", "chars_per_second", "cutoff_khz"):
        ((wanted,),) = stated(
            seen,
            f"SELECT count(*) FROM spans AS t LEFT JOIN recordings AS b ON b.id = t.recording_id WHERE speech AND t.kind = 'speech' AND {MEASURES[name].sql} IS NOT NULL",
        )
        assert sum(row["segments"] for row in told["measures"][name]) == wanted > 0
    assert {row["value"] for rows in told["measures"].values() for row in rows} <= set(told["groups"])


def test_a_bin_leads_to_its_segments(viewer: Viewer) -> None:
    measure = MEASURES["agreement"]
    for row in viewer.answer("distributions", {"by": "tier"})["measures"]["agreement"]:
        last = round((measure.high - measure.low) / measure.step) - 1
        low, high = round(row["bin"] * measure.step, 4), round((row["bin"] + 1) * measure.step, 4)
        params = {"speech": "yes", "kind": "speech", "tier": row["value"].replace("not known", "")}
        params |= {"min_agreement": str(low)} if row["bin"] else {}
        params |= {"max_agreement": str(high)} if row["bin"] < last else {}
        assert viewer.answer("segments", params)["segments"] == row["segments"]


def test_the_table_is_sorted_and_paged(viewer: Viewer) -> None:
    pages = [viewer.answer("segments", {"sort": "agreement", "order": "desc", "size": "3", "page": str(n)}) for n in range(3)]
    told = [row["agreement"] for page in pages for row in page["rows"] if row["agreement"] is not None]
    assert told == sorted(told, reverse=True)
    assert len({row["segment_id"] for page in pages for row in page["rows"]}) == 9
    assert viewer.answer("segments", {"text": "AGE of wisdom"})["segments"] > 0
    assert viewer.answer("segments", {"text": "never said"})["segments"] == 0


def test_a_page_far_down_has_the_same_rows(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"sort": "cutoff_khz", "order": "desc", "against": "other", "size": "4", "page": "2"}
    whole = viewer.answer("segments", asked)
    monkeypatch.setattr(segment_table, "DEEP", 0)
    assert viewer.answer("segments", asked) == whole
    assert len(whole["rows"]) == 4
    assert viewer.answer("segments", {"page": "100"})["rows"] == []


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("segments", {"sort": "1; DROP TABLE spans"}), ("segments", {"tpyo": "x"}), ("segments", {"min_agreement": "x"}), ("segments", {"page": "-1"}),
        ("segments", {"thresholds": "[1]"}), ("segments", {"thresholds": '{"tpyo": 1}'}), ("distributions", {"by": "text"}), ("retention", {"by": "x"}),
        ("segment", {"id": "nobody"}), ("segment", {}), ("what_if", {"set": "1"}), ("tpyo", {}),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_refused(viewer: Viewer, name: str, params: dict[str, str]) -> None:
    with pytest.raises(UserError):
        viewer.answer(name, params)


def test_text_in_a_filter_stays_a_value(viewer: Viewer) -> None:
    assert viewer.answer("segments", {"tier": "high' OR 'a' = 'a"})["segments"] == 0


def test_a_segment_has_everything_that_is_known_of_it(viewer: Viewer, seen: Path) -> None:
    for row in viewer.answer("segments", {"kept": "yes"})["rows"]:
        told = viewer.answer("segment", {"id": row["segment_id"]})
        assert [one["engine"] for one in told["hypotheses"]] == ["one", "two"]
        assert len(told["consensus"]["slots"]) == 18
        assert told["span"]["kept"]
        assert not [one for one in told["scores"] if one["fails"] and one["reason"] != "tier high"]
        assert told["shard"]
        assert told["licence"]["name"] == "cc0-1.0"
        assert str(TWO_CITIES.path.parent) not in json.dumps(told), "no folder of this machine"
    for row in viewer.answer("segments", {"reason": "select.low_agreement"})["rows"]:
        told = viewer.answer("segment", {"id": row["segment_id"]})
        assert {one["reason"] for one in told["scores"] if one["fails"]} >= {"select.low_agreement"}


def test_sound_has_its_context_and_comes_from_the_shard_where_the_original_is_gone(own_viewer: Viewer, tmp_path: Path) -> None:
    (row,) = own_viewer.answer("segments", {"kept": "yes", "size": "1", "page": "1"})["rows"]
    place = own_viewer.answer("segment", {"id": row["segment_id"]})["audio"]
    assert place["source"] == "original"
    assert place["start"] == max(0, row["start"] - 48_000)
    clip = heard(own_viewer.sound({"id": row["segment_id"]}), tmp_path)
    assert len(clip) == place["num_samples"] > row["num_samples"]
    gone(own_viewer.view)
    told = own_viewer.answer("segment", {"id": row["segment_id"]})["audio"]
    assert (told["source"], told["num_samples"]) == ("shard", row["num_samples"])
    alone = heard(own_viewer.sound({"id": row["segment_id"]}), tmp_path)
    assert (alone == clip[row["start"] - place["start"] :][: row["num_samples"]]).all()
    (lost,) = own_viewer.answer("segments", {"reason": "select.low_agreement", "size": "1"})["rows"]
    assert "not there any more" in own_viewer.answer("segment", {"id": lost["segment_id"]})["audio"]["why"]
    with pytest.raises(UserError):
        own_viewer.sound({"id": lost["segment_id"]})


def test_personal_data_is_masked_everywhere_and_silent(seen: Path, tmp_path: Path) -> None:
    view = Viewer(str(seen), marks=str(tmp_path))
    rows = view.answer("segments", {"kept": "yes"})["rows"]
    masked, other = rows[1]["segment_id"], rows[0]["segment_id"]
    first, end = rows[1]["start"] + 1_000, rows[1]["start"] + 9_000
    plant(view.view, masked, "it was the best of [NAME]", first, end)
    told = view.answer("segment", {"id": masked})
    assert told["text"] == "it was the best of [NAME]"
    assert all(one["text"] is None and one["words"] is None for one in told["hypotheses"])
    assert not told["consensus"]["slots"]
    clip = heard(view.sound({"id": masked}), tmp_path)
    start = told["audio"]["start"]
    assert not clip[first - start : end - start].any()
    assert clip[: first - start].any()
    before = heard(view.sound({"id": other}), tmp_path)  # in its context the same stretch is silent too
    at = view.answer("segment", {"id": other})["audio"]
    assert at["start"] + at["num_samples"] > first
    assert not before[max(0, first - at["start"]) : end - at["start"]].any()
    assert view.answer("segments", {"text": "wisdom", "ids": masked})["segments"] == 0
    with pytest.raises(UserError, match="personal data"):
        mark(view, {"segment_id": masked, "mark": "right"})
    rejected = view.answer("segments", {"reason": "select.low_agreement"})["rows"][0]
    assert rejected["text"] is None, "it was not searched"
    unheard = view.answer("segment", {"id": rejected["segment_id"]})
    assert unheard["withheld"]
    assert unheard["audio"]["source"] is None


def test_a_shown_message_has_no_secret_and_no_folder() -> None:
    told = no_place("/home/me/a b.wav: 'Authorization: Bearer abc123def456' at https://a.net/x?token=Zm9vYmFyYmF6cXV4")
    assert "abc123def456" not in told
    assert "Zm9v" not in told
    assert "/home/me" not in told


def test_what_if_is_that_of_stats_and_lists_what_moves(viewer: Viewer, seen: Path) -> None:
    for set_ in ({}, {"weak": 0.55}, {"high": 1.0, "weak": 0.9}, {"min_confidence": 0.7}):
        options = [word for name, value in set_.items() for word in ("--what-if", f"select.{name}={value}")]
        told = viewer.answer("what_if", {"set": json.dumps(set_)})["rows"]
        if set_:
            assert told == json.loads(CliRunner().invoke(app, ["stats", str(seen), "--json", *options]).stdout)
        moved = viewer.answer("segments", {"thresholds": json.dumps(set_), "moved": "yes", "size": "500"})
        changed = stated(
            seen,
            f"SELECT segment_id FROM judge({', '.join(f'{k} := {v}' for k, v in set_.items())}) WHERE tier <> tier_now OR kept <> kept_now",
        )
        assert {row["segment_id"] for row in moved["rows"]} == {ident for (ident,) in changed}


def test_two_runs_side_by_side_list_exactly_what_moved(viewer: Viewer, seen: Path, laxer: Path) -> None:
    told = viewer.answer("comparison", {})
    assert told["other"] == "laxer"
    sql = "SELECT segment_id, tier, kept FROM spans WHERE speech"
    here, there = ({row[0]: row[1:] for row in stated(run, sql)} for run in (seen, laxer))
    moved = {ident for ident in here if here[ident] != there[ident]}
    listed = viewer.answer("segments", {"against": "other", "moved": "yes", "size": "500"})
    assert {row["segment_id"] for row in listed["rows"]} == moved != set()
    assert sum(row["segments"] for row in told["rows"] if row["moved"]) == len(moved)
    for row in listed["rows"]:
        assert (row["tier_then"], row["kept_then"]) == there[row["segment_id"]]
    ident = min(moved)
    assert viewer.answer("segment", {"id": ident, "run": "other"})["span"]["tier"] == there[ident][0]


def test_errors_are_expected_where_the_run_has_a_calibration(seen: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(seen, tmp_path / "calibrated"))
    view = Viewer(str(run))
    assert view.answer("what_if", {"set": "{}"})["expected"] == []
    rows = view.answer("segments", {"speech": "yes", "size": "500"})["rows"]
    for row in rows:
        if row["agreed"]:
            mark(
                view, {"segment_id": row["segment_id"], "mark": "corrected", "text": " ".join(["it was the best of times"] * 2)}
            )
    done = CliRunner().invoke(app, ["calibrate", str(run), "--reference", str(run / "reference.jsonl"), "--json"])
    assert done.exit_code == 0, done.output
    expected = {row["tier"]: row["expected"] for row in view.answer("what_if", {"set": "{}"})["expected"]}
    tiers = {row["name"]: row["expected"] for row in json.loads(done.stdout)["tiers"]}
    assert expected["high"] == pytest.approx(tiers["high"], rel=0.1)
    assert view.answer("thresholds", {})["calibrated"] == "calibration"


def heard(blob: bytes, folder: Path) -> Any:
    (folder / "clip.flac").write_bytes(blob)
    return soundfile.read(folder / "clip.flac", dtype="float32")[0]


def mark(viewer: Viewer, asked: dict[str, object]) -> Any:
    from voxmill.pipeline.view.listening import mark as set_mark

    return set_mark(viewer.view, viewer.marks, asked)


def gone(view: RunView) -> None:
    """The original is not there any more."""
    view.with_connection(
        lambda con: con.execute(
            "CREATE TABLE r AS FROM recordings; DROP VIEW recordings; ALTER TABLE r RENAME TO recordings; UPDATE recordings SET audio = 'audio/gone'"
        )
    )


def plant(view: RunView, ident: str, text: str, start: int, end: int) -> None:
    """The run has looked for personal data in its kept segments, and found some in one."""
    view.redacts = True
    kept = f"SELECT c.segment_id, c.text, [] AS masked FROM consensus AS c JOIN spans AS t USING (segment_id) WHERE t.kept AND c.segment_id <> '{ident}'"
    found = f"SELECT '{ident}' AS segment_id, '{text}' AS text, [{{entity: 'NAME', \"at\": 19, score: 1.0, start: {start}, \"end\": {end}}}] AS masked"
    view.with_connection(lambda con: con.execute(f"CREATE OR REPLACE VIEW redactions AS {found} UNION ALL {kept}"))
