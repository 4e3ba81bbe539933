from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from voxmill.manifests.schema import SCHEMA_VERSION, SchemaError
from voxmill.pipeline.reports.stats import DIMENSIONS, print_stats
from voxmill.pipeline.state.run_dir import RunError

from ...manifests.factory import made_up_run  # type: ignore[import-not-found]  # tests are no package to mypy


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(made_up_run(seed=1, recordings=12).write(tmp_path_factory.mktemp("stats") / "run"))


def shown(root: str, width: int = 140, **asked: Any) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    print_stats(root, console=console, **asked)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_the_overview_begins_with_the_funnel_and_explains_every_loss(root: str) -> None:
    text = shown(root)
    lines = text.splitlines()
    assert lines[0].startswith("Funnel")
    stages = [line.split()[0] for line in lines[2:11]]
    assert stages == [
        "list", "crawl", "decode", "segment", "transcribe:moonshine", "transcribe:whisperx", "reconcile", "select", "pack",
    ]  # fmt: skip
    assert "≠" not in text
    order = ["Funnel", "Retention by language", "Why the rest was not kept", "What each filter costs", "Cost"]
    assert [text.index(title) for title in order] == sorted(text.index(title) for title in order)
    assert "robots.txt disallows the address for our user agent" in text
    assert "per kept hour" in lines[-1]


def test_numbers_shown_are_those_of_the_catalog(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_stats(root, as_json=True)
    answer = json.loads(capsys.readouterr().out)
    line = next(line for line in shown(root).splitlines() if line.startswith("select")).split()
    select = next(row for row in answer["funnel"] if row["stage"] == "select")
    assert line[1:5] == ["segments", *(str(select[f"rows_{k}"]) for k in ("in", "kept", "rejected"))]
    assert line[5:7] == ["=", f"{select['seconds_in'] / 60:.1f}"]


def test_json_holds_every_section_and_every_row(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_stats(root, as_json=True, limit=1)
    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == [
        "funnel", *(f"retention_by_{d}" for d in DIMENSIONS if d != "reason"), "rejections", "marginal_loss", "unread_numbers", "label_coverage",
        "cost_by_stage", "cost", "service_cost", "conservation",
    ]  # fmt: skip
    assert len(answer["funnel"]) == 9
    assert answer["conservation"] == []
    assert {row["reason"] for row in answer["rejections"]} >= {"crawl.robots", "select.licence"}


def test_csv_is_one_table(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_stats(root, as_csv=True)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["stage"] for row in rows][:2] == ["list", "crawl"]
    assert all(int(row["rows_in"]) == int(row["rows_kept"]) + int(row["rows_rejected"]) for row in rows)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_a_breakdown_by_each_property(root: str, dimension: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_stats(root, by=dimension, as_csv=True)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    text = shown(root, by=dimension, width=200)
    assert f"Retention by {dimension}" in text
    for row in rows:
        assert (row["value"] or ("kept" if dimension == "reason" else "not ")) in text
    assert ("Kept by each stage" in text) == (dimension not in ("tier", "reason"))


def test_a_breakdown_by_host_follows_it_through_the_stages(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_stats(root, by="host", as_json=True)
    answer = json.loads(capsys.readouterr().out)
    hosts = {row["value"] for row in answer["stages_by_host"]}
    assert hosts == {"books.example", "radio.example", "talks.example"}
    crawled = sum(row["rows_in"] for row in answer["stages_by_host"] if row["stage"] == "crawl")
    assert crawled == 12 + 4, "items of every host, but for the source that could not be listed"


def test_what_if_shows_now_and_then(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(root, what_if={"select.weak": 0.99})
    assert text.startswith("What if")
    told = shown(root, what_if={"select.agreement": 0.99})
    assert told.partition("What if")[2] == text.partition("What if")[2]
    assert "select.agreement is no key of a config: it stands for select.weak" in " ".join(told.split())
    assert [line.split()[0] for line in text.splitlines()[2:]][-1] == "kept"
    print_stats(root, what_if={"select.agreement": 0.99}, as_json=True)
    kept = json.loads(capsys.readouterr().out)[-1]
    assert kept["hours_then"] < kept["hours_now"]


def test_any_select_can_be_asked(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    sql = "SELECT sum(num_samples) AS n, any_value(rejection) AS r, 'nan'::DOUBLE AS x, NULL AS y, DATE '2026-01-02' AS d FROM segments"
    print_stats(root, sql=sql, as_json=True)
    [row] = json.loads(capsys.readouterr().out)
    assert isinstance(row["n"], int)
    assert set(row["r"]) == {"reason", "detail"}
    assert (row["x"], row["y"], row["d"]) == (None, None, "2026-01-02")
    print_stats(root, sql=sql, as_csv=True)
    header, line = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == ["n", "r", "x", "y", "d"]
    assert json.loads(line[1]) == row["r"]
    assert "… and" in shown(root, sql="FROM segments", limit=3)


def test_what_is_lost_is_said_in_the_overview(tmp_path: Path) -> None:
    run = made_up_run(seed=1)
    lost = next(c for c in run.tables["consensus"] if c.rejection is None)
    damaged = run.changed(consensus=[c for c in run.tables["consensus"] if c is not lost])
    text = shown(str(damaged.write(tmp_path / "run")))
    assert "≠" in text
    assert f"reconcile {lost.segment_id}: consensus of a segment: expected 1, found 0" in text.replace("\n", " ")
    assert "reconcile has not answered for them: continue the run" in text.replace("\n", " ")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"by": "hots"}, "no breakdown by `hots`; did you mean `host`?"),
        ({"what_if": {"select.agrement": 0.9}}, "did you mean `select.weak`? There are, under `select`: "),
        ({"what_if": {"mood": 0.9}}, "no threshold `mood`; there are, under `select`: "),
        ({"what_if": {"select.weak": "much"}}, "select.weak=much: not a value of this kind"),
        ({"sql": "DELETE FROM segments"}, "only a single SELECT"),
        ({"sql": "SELECT mood FROM segments"}, 'the query fails: Binder Error: Referenced column "mood" not found'),
    ],
)
def test_a_wrong_question_is_answered_in_one_line(root: str, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError) as error:
        print_stats(root, **asked)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_run_that_is_not_there_or_not_finished_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no run at .*: check the path, or start one with `voxmill run"):
        print_stats(str(tmp_path / "none"))
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(RunError, match="has no tables yet: finish it with the same `voxmill run` command"):
        print_stats(str(tmp_path))
    (tmp_path / "run.json").write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(SchemaError, match="upgrade voxmill"):
        print_stats(str(tmp_path))
