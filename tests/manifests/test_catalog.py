from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest

from voxmill.manifests import schema
from voxmill.manifests.catalog import CatalogError, open_catalog, query
from voxmill.manifests.catalog_script import catalog_sql, table_schemas
from voxmill.manifests.parquet import table_bytes
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import SAMPLE_RATE, Rejection
from voxmill.manifests.schema import SCHEMA_VERSION, SchemaError
from voxmill.manifests.what_if import what_if

from .factory import ENGINES, MadeUpRun, made_up_run

pytestmark = pytest.mark.xdist_group("catalog")

VIEWS = (
    "timeline", "verdicts", "outcomes", "funnel", "rejections", "retention", "retention_by_host", "thresholds", "marginal_loss",
    "cost_by_stage", "cost", "service_cost", "conservation", "reasons", "run", "judge()", "what_if()",
)  # fmt: skip
DUCKDB = Path(sys.executable).with_name("duckdb")
"""The command line tool: another program, of another version than the library."""

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def run() -> MadeUpRun:
    return made_up_run(seed=1, recordings=12)


@pytest.fixture(scope="module")
def root(run: MadeUpRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run.write(tmp_path_factory.mktemp("run") / "it's, [a] run")


@pytest.fixture(scope="module")
def con(root: Path) -> Any:
    return open_catalog(str(root))


def ask(con: Any, sql: str) -> Rows:
    rows: Rows = query(con, sql).to_pylist()
    return rows


def answer(root: Path, sql: str) -> Rows:
    """What a connection answers that is opened for this query."""
    return ask(open_catalog(str(root), sql), sql)


@pytest.fixture(scope="module", params=range(4))
def seeded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[MadeUpRun, Path]:
    run = made_up_run(request.param)
    return run, run.write(tmp_path_factory.mktemp("seeded") / "run")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without tables."""
    root = tmp_path_factory.mktemp("empty")
    (root / "run.json").write_text("{}")
    (root / "catalog.sql").write_text(catalog_sql({}))
    return root


@pytest.fixture(scope="module")
def nothing(empty: Path) -> Any:
    return open_catalog(str(empty))


def seconds(rows: Any) -> float:
    samples: int = sum(row.num_samples for row in rows)
    return samples / SAMPLE_RATE


def test_the_funnel_is_what_counting_records_says(seeded: tuple[MadeUpRun, Path]) -> None:
    run, root = seeded
    rows = {row["stage"]: row for row in answer(root, "FROM funnel")}
    assert list(rows) == [
        "list",
        "crawl",
        "decode",
        "segment",
        *(f"transcribe:{e}" for e in sorted(ENGINES)),
        "reconcile",
        "select",
        "pack",
    ]
    assert all(row["balanced"] for row in rows.values())
    assert all(row["rows_in"] == row["rows_kept"] + row["rows_rejected"] for row in rows.values())
    for row in rows.values():  # `balanced` compares whole samples
        assert row["seconds_in"] == pytest.approx(row["seconds_kept"] + row["seconds_rejected"])

    t = run.tables
    good = [r for r in t["recordings"] if r.rejection is None]
    speech = {s.id: s for s in t["segments"] if s.rejection is None}
    agreed = [c for c in t["consensus"] if c.rejection is None]
    chosen = [x for x in t["selections"] if x.rejection is None]
    counts = {name: (row["rows_in"], row["rows_kept"]) for name, row in rows.items()}
    assert counts["list"] == (len(t["items"]), len(t["items"]) - 2)
    assert counts["crawl"] == (len(t["items"]) - 2, len(good) + 2)
    assert counts["decode"] == (len(good) + 2, len(good))
    assert counts["segment"] == (len(t["segments"]), len(speech))
    for engine in ENGINES:
        heard = [h for h in t["hypotheses"] if h.engine == engine and h.rejection is None]
        assert counts[f"transcribe:{engine}"] == (len(speech), len(heard))
    assert counts["reconcile"] == (len(speech), len(agreed))
    assert counts["select"] == (len(agreed), len(chosen))
    assert counts["pack"] == (len(chosen), len(run.samples))
    assert rows["segment"]["seconds_in"] == seconds(good)
    assert rows["segment"]["seconds_kept"] == seconds(speech.values())
    assert rows["reconcile"]["seconds_kept"] == seconds(speech[c.segment_id] for c in agreed)
    assert rows["pack"]["seconds_kept"] == seconds(speech[x.segment_id] for x in chosen)


@pytest.mark.parametrize("dimension", ["language", "domain", "host", "source", "licence", "tier", "bandwidth", "reason"])
def test_retention_is_what_adding_up_segments_says(run: MadeUpRun, con: Any, dimension: str) -> None:
    t = run.tables
    recordings = {r.id: r for r in t["recordings"] if r.rejection is None}
    consensus = {c.segment_id: c for c in t["consensus"]}
    selections = {x.segment_id: x for x in t["selections"]}
    want: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0])
    for s in t["segments"]:
        r, c, x = recordings[s.recording_id], consensus.get(s.id), selections.get(s.id)
        lost = s.rejection or (c and c.rejection) or (x and x.rejection)
        value = {
            "language": c.language if c else r.language, "domain": r.domain, "host": r.provenance.host,
            "source": r.provenance.source, "licence": r.licence.name, "tier": x and x.tier, "bandwidth": r.bandwidth,
            "reason": lost.reason if lost else None,
        }[dimension]  # fmt: skip
        for place, counts in enumerate((True, s.rejection is None, lost is None)):
            want[value][place] += s.num_samples * counts
    got = {r["value"]: [r["source_s"], r["speech_s"], r["kept_s"]] for r in ask(con, f"FROM retention_by_{dimension}")}
    assert got == {value: [n / SAMPLE_RATE for n in numbers] for value, numbers in want.items()}
    whole = ask(con, f"FROM retention WHERE dimension = '{dimension}'")
    assert {r["value"]: r["kept_s"] for r in whole} == {value: kept for value, (_, _, kept) in got.items()}


def test_rejections_come_with_their_meaning(run: MadeUpRun, con: Any) -> None:
    rows = {(row["stage"], row["reason"]): row for row in ask(con, "FROM rejections")}
    assert rows["crawl", "crawl.robots"]["num_rows"] == 1
    duplicate = next(r for r in run.tables["recordings"] if r.rejection and r.rejection.reason == "crawl.duplicate")
    assert rows["crawl", "crawl.duplicate"]["seconds"] == duplicate.num_samples / SAMPLE_RATE
    assert all(row["meaning"] and row["advice"] for row in rows.values())


def test_outcomes_share_out_all_that_was_spent(run: MadeUpRun, con: Any) -> None:
    spent: Counter[str] = Counter()
    for cost in run.costs:
        spent[f"transcribe:{cost['engine']}" if cost["engine"] else cost["stage"]] += cost["wall_s"]
    shared = {row["stage"]: row["s"] for row in ask(con, "SELECT stage, sum(cost_s) AS s FROM outcomes GROUP BY stage")}
    judged = {
        unit
        for segment, unit in run.units_of.items()
        if segment in {c.segment_id for c in run.tables["consensus"] if not c.rejection}
    }
    spent["select"] = sum(c["wall_s"] for c in run.costs if c["stage"] == "select" and c["unit"] in judged)
    assert {stage: shared[stage] for stage in spent} == pytest.approx(dict(spent))


def test_costs_are_per_stage_engine_and_kept_hour(run: MadeUpRun, con: Any) -> None:
    [total] = ask(con, "FROM cost")
    assert total["wall_hours"] == pytest.approx(sum(c["wall_s"] for c in run.costs) / 3600)
    assert total["gpu_hours"] == pytest.approx(sum(c["wall_s"] for c in run.costs if c["device"] != "cpu") / 3600)
    assert total["cpu_per_kept_hour"] == pytest.approx(total["cpu_hours"] / total["kept_hours"])
    stages = ask(con, "FROM cost_by_stage")
    assert [s["stage"] for s in stages][:3] == ["crawl", "decode", "segment"]
    assert sum(s["wall_hours"] for s in stages) == pytest.approx(total["wall_hours"])
    assert sum(s["retries"] for s in stages) == sum(c["attempts"] - 1 for c in run.costs)
    whisper = next(s for s in stages if s["engine"] == "whisperx")
    assert whisper["times_real_time"] == pytest.approx(total["speech_hours"] / whisper["wall_hours"])


def test_a_sound_run_conserves_everything(seeded: tuple[MadeUpRun, Path]) -> None:
    assert answer(seeded[1], "FROM conservation") == []


@pytest.mark.parametrize("view", ["conservation", "outcomes", "label_coverage", "what_if(weak := 0.9)", "retention_by_host"])
def test_a_connection_for_one_query_answers_like_one_with_every_view(root: Path, con: Any, view: str) -> None:
    for alone, among_all in zip(answer(root, f"FROM {view} ORDER BY ALL"), ask(con, f"FROM {view} ORDER BY ALL"), strict=True):
        assert alone == pytest.approx(among_all, nan_ok=True)
    with pytest.raises(CatalogError, match="thresholds"):
        ask(open_catalog(str(root), "FROM recordings"), "FROM thresholds")


def _without(name: str, which: Callable[[Any], bool] = lambda row: row.rejection is None) -> Callable[[MadeUpRun], MadeUpRun]:
    def damage(run: MadeUpRun) -> MadeUpRun:
        lost = next(row for row in run.tables[name] if which(row))
        return run.changed(**{name: [row for row in run.tables[name] if row is not lost]})

    return damage


def _twice(name: str) -> Callable[[MadeUpRun], MadeUpRun]:
    return lambda run: run.changed(**{name: [*run.tables[name], next(r for r in run.tables[name] if r.rejection is None)]})


def _edit(name: str, which: Callable[[Any], bool], **changes: Any) -> Callable[[MadeUpRun], MadeUpRun]:
    def damage(run: MadeUpRun) -> MadeUpRun:
        first = next(row for row in run.tables[name] if which(row))
        return run.changed(**{name: [replace(row, **changes) if row is first else row for row in run.tables[name]]})

    return damage


def _kept(row: Any) -> bool:
    return row.rejection is None


@pytest.mark.parametrize(
    ("damage", "stage", "what", "expected", "found"),
    [
        (_without("recordings", lambda r: r.rejection is not None), "crawl", "recordings of a listed item", 1, 0),
        (_without("items"), "crawl", "listed items of a recording", 1, 0),
        (_twice("recordings"), "decode", "kept recordings with these bytes", 1, 2),
        (_edit("recordings", _kept, silent_samples=9, lost_samples=5, lost_why="x"), "decode",
         "samples of silence for lost ones: no more than are lost, and than there are", 5, 9),
        (_edit("recordings", _kept, lost_samples=5), "decode", "recordings that say why audio is lost", 1, 0),
        (_edit("recordings", _kept, num_samples=7), "segment", "samples in the units of a recording", 7, None),
        (_without("segments", lambda s: s.start > 0), "segment", "samples in the segments of a part", None, None),
        (_edit("segments", lambda s: s.start > 0, start=1), "segment", "start of a segment, where the one before it ends", None, 1),
        (_without("hypotheses"), "transcribe:whisperx", "hypotheses of a segment", 1, 0),
        (_edit("hypotheses", _kept, segment_id="nobody"), "transcribe:whisperx", "segments of a hypothesis", 1, 0),
        (_without("consensus"), "reconcile", "consensus of a segment", 1, 0),
        (_twice("consensus"), "reconcile", "consensus of a segment", 1, 2),
        (_edit("consensus", _kept, segment_id="nobody"), "reconcile", "segments of a consensus", 1, 0),
        (_without("selections"), "select", "selections of a consensus", 1, 0),
        (_edit("selections", _kept, segment_id="nobody"), "select", "consensus of a selection", 1, 0),
        (_edit("selections", lambda x: x.rejection and x.rejection.reason.startswith("reconcile."), rejection=None), "select",
         "selections kept of a rejected consensus", 0, 1),
        (lambda run: replace(run, samples=run.samples[1:]), "pack", "packed samples of a kept segment", 1, 0),
        (lambda run: replace(run, samples=(*run.samples, run.samples[0])), "pack", "packed samples of a kept segment", 1, 2),
        (lambda run: replace(run, samples=({**run.samples[0], "segment_id": "nobody"}, *run.samples[1:])), "pack",
         "kept segments of a packed sample", 1, 0),
        (lambda run: replace(run, samples=({**run.samples[0], "num_samples": 5}, *run.samples[1:])), "pack",
         "audio samples in the shard", None, 5),
        (_edit("selections", lambda x: x.rejection and x.rejection.reason.startswith("select."), rejection=Rejection("select.mood")),
         "select", "rejections for a reason that this stage does not have", 0, 1),
        (_edit("segments", lambda s: s.rejection, rejection=reject("select.licence")), "segment",
         "rejections for a reason that this stage does not have", 0, 1),
    ],
)  # fmt: skip
def test_whatever_is_lost_is_named(
    damage: Callable[[MadeUpRun], MadeUpRun],
    stage: str,
    what: str,
    expected: int | None,
    found: int | None,
    run: MadeUpRun,
    tmp_path: Path,
) -> None:
    rows = answer(damage(run).write(tmp_path / "run"), "FROM conservation")
    [row] = [r for r in rows if (r["stage"], r["what"]) == (stage, what)][:1] or [{}]
    assert row, rows
    assert row["id"]
    assert expected in (None, row["expected"])
    assert found in (None, row["found"])
    assert row["expected"] != row["found"]


def test_audio_that_was_not_decoded_is_in_the_books(run: MadeUpRun, con: Any, tmp_path: Path) -> None:
    """What is in the file is what was decoded and what was lost of it; silence in its place is lost at `decode`, and audio after it."""
    hurt = _edit("recordings", _kept, lost_samples=3 * SAMPLE_RATE, silent_samples=SAMPLE_RATE, lost_why="2 s broken")(run)
    broken = lambda r: r.rejection is not None and r.rejection.reason.startswith("decode.")
    hurt = _edit("recordings", broken, lost_samples=5 * SAMPLE_RATE, lost_why="5 s promised")(hurt)
    before = {r["stage"]: r for r in ask(con, "FROM funnel")}
    con = open_catalog(str(hurt.write(tmp_path / "run")), "conservation funnel rejections lost")
    assert ask(con, "FROM conservation") == []
    after = {r["stage"]: r for r in ask(con, "FROM funnel")}
    assert all(row["balanced"] for row in after.values())
    decode, was = after.pop("decode"), before.pop("decode")
    assert after.keys() == before.keys()
    assert all(after[stage] == before[stage] for stage in list(after)[2:])
    assert all(after[stage]["seconds_in"] - before[stage]["seconds_in"] == pytest.approx(7) for stage in ("list", "crawl"))
    assert (decode["rows_in"], decode["rows_kept"], decode["rows_rejected"]) == (
        was["rows_in"],
        was["rows_kept"],
        was["rows_rejected"],
    )
    assert decode["seconds_in"] - was["seconds_in"] == pytest.approx(7)
    assert was["seconds_kept"] - decode["seconds_kept"] == pytest.approx(1)
    assert decode["seconds_rejected"] - was["seconds_rejected"] == pytest.approx(8)
    [lost] = ask(con, "FROM rejections WHERE reason = 'decode.lost'")
    assert (lost["num_rows"], lost["seconds"], bool(lost["meaning"])) == (2, 8, True)
    assert [(r["lost_s"], r["silent_s"], r["why"]) for r in ask(con, "FROM lost")] == [
        (5, 0, "5 s promised"),
        (3, 1, "2 s broken"),
    ]


def test_a_missing_answer_unbalances_the_funnel(run: MadeUpRun, tmp_path: Path) -> None:
    rows = {r["stage"]: r for r in answer(_without("consensus")(run).write(tmp_path / "run"), "FROM funnel")}
    assert [stage for stage, row in rows.items() if not row["balanced"]] == ["reconcile", "pack"] or not rows["reconcile"][
        "balanced"
    ]
    assert rows["reconcile"]["rows_in"] == rows["reconcile"]["rows_kept"] + rows["reconcile"]["rows_rejected"] + 1


def test_the_command_line_tool_says_the_same(root: Path, con: Any) -> None:
    for view in (
        "funnel",
        "rejections",
        "retention_by_host",
        "marginal_loss",
        "cost_by_stage",
        "what_if(weak := 0.9)",
        "conservation",
    ):
        for theirs, mine in zip(_duckdb(root, f"FROM {view}"), ask(con, f"FROM {view}"), strict=True):
            assert theirs == pytest.approx(mine), view  # sums of doubles depend on the order of threads


def test_a_run_can_be_moved(run: MadeUpRun, tmp_path: Path) -> None:
    moved = run.write(tmp_path / "here").rename(tmp_path / "there")
    assert _duckdb(moved, "SELECT count(*) AS n FROM segments") == [{"n": len(run.tables["segments"])}]
    assert answer(moved, "SELECT count(*) AS n FROM segments")[0]["n"] == len(run.tables["segments"])


def test_a_bucket_says_the_same(root: Path, con: Any) -> None:
    fs = fsspec.filesystem("memory")
    for path in (p for p in root.rglob("*") if p.is_file()):
        fs.pipe_file(f"/bucket/run/{path.relative_to(root)}", path.read_bytes())
    remote = open_catalog("memory://bucket/run")
    for view in ("funnel", "retention", "marginal_loss", "cost", "conservation"):
        for there, here in zip(ask(remote, f"FROM {view}"), ask(con, f"FROM {view}"), strict=True):
            assert there == pytest.approx(here), view


def test_a_run_without_tables_has_empty_views(empty: Path, nothing: Any) -> None:
    con = nothing
    for name, columns in table_schemas().items():
        assert query(con, f"FROM {name}").num_rows == 0
        assert query(con, f"FROM {name}").column_names == columns.names
    for view in VIEWS:
        query(con, f"FROM {view}")
    assert ask(con, "SELECT sum(kept_s) AS s FROM retention") == [{"s": None}]
    assert [row for row in ask(con, "FROM funnel") if row["rows_in"]] == []
    assert _duckdb(empty, "SELECT count(*) AS n FROM funnel") == [{"n": 0}]


def test_empty_views_have_the_types_of_full_ones(con: Any, nothing: Any) -> None:
    for name in table_schemas():
        described = f"SELECT column_name, column_type FROM (DESCRIBE {name})"
        full = {r["column_name"]: r["column_type"] for r in ask(con, described)}
        assert {r["column_name"]: r["column_type"] for r in ask(nothing, described)} == full


def test_the_catalog_lists_files_and_no_patterns() -> None:
    text = catalog_sql({"segments": ["manifests/segments-00000.parquet", "manifests/segments-00001.parquet"]})
    assert "read_parquet(['manifests/segments-00000.parquet', 'manifests/segments-00001.parquet'])" in text
    assert "*.parquet" not in text
    assert text == catalog_sql({"segments": ("manifests/segments-00000.parquet", "manifests/segments-00001.parquet")})


def test_a_file_that_the_catalog_does_not_list_is_not_read(run: MadeUpRun, tmp_path: Path) -> None:
    root = run.write(tmp_path / "run")
    (root / "manifests/segments-00009.parquet").write_bytes((root / "manifests/segments-00000.parquet").read_bytes())
    assert answer(root, "FROM conservation") == []


def test_an_older_table_is_migrated_and_a_newer_one_refused(
    run: MadeUpRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = run.write(tmp_path / "run")
    monkeypatch.setattr(schema, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    monkeypatch.setattr("voxmill.manifests.catalog.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    monkeypatch.setitem(schema.MIGRATIONS, ("Segment", SCHEMA_VERSION), lambda table: table.slice(0, 1))
    assert answer(root, "SELECT count(*) AS n FROM segments") == [{"n": 2}], "one row of each of two files"
    monkeypatch.undo()
    path = root / "manifests/segments-00000.parquet"
    table = pq.read_table(path)
    newer = {**(table.schema.metadata or {}), b"voxmill.schema_version": str(SCHEMA_VERSION + 1).encode()}
    path.write_bytes(table_bytes(table.replace_schema_metadata(newer)))
    with pytest.raises(SchemaError, match="upgrade voxmill"):
        open_catalog(str(root))


def test_a_run_that_cannot_be_opened_says_why_in_one_line(run: MadeUpRun, tmp_path: Path) -> None:
    def message(kind: type[Exception]) -> str:
        with pytest.raises(kind) as error:
            open_catalog(str(tmp_path / "run"))
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "no run at" in message(CatalogError)
    root = run.write(tmp_path / "run")
    path = root / "manifests/segments-00001.parquet"
    table = pq.read_table(path)
    path.write_bytes(table_bytes(table.drop_columns(["unit"])))
    assert "missing ['unit']" in message(SchemaError)
    path.write_bytes(b"PAR1")
    assert "no readable Parquet file" in message(SchemaError)
    path.unlink()
    assert "segments-00001.parquet is missing: continue the run" in message(CatalogError)
    (root / "catalog.sql").write_text("SELECT 1;")
    assert "not written by voxmill" in message(CatalogError)
    (root / "catalog.sql").unlink()
    assert "has no tables yet: finish it" in message(CatalogError)
    (root / "run.json").write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1}))
    assert "upgrade voxmill" in message(SchemaError)


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW funnel",
        "CREATE TABLE x AS FROM funnel",
        "COPY funnel TO 'x.csv'",
        "SELECT 1; SELECT 2",
        "",
        "SELEKT",
        "FROM nowhere",
    ],
)
def test_only_one_select_is_answered(con: Any, sql: str) -> None:
    with pytest.raises(CatalogError) as error:
        query(con, sql)
    assert "\n" not in str(error.value)


def test_unknown_thresholds_name_the_nearest(con: Any) -> None:
    with pytest.raises(CatalogError, match=r"no threshold `select\.agrement`; did you mean `select\.weak`"):
        what_if(con, {"select.agrement": 0.9})
    with pytest.raises(CatalogError, match=r"did you mean `select\.max_repeats`"):
        what_if(con, {"max_repeat": 2})
    with pytest.raises(CatalogError, match=r"select\.weak=high: not a value of this kind"):
        what_if(con, {"select.weak": "high"})
    with pytest.raises(CatalogError, match=r"select\.weak needs a value"):
        what_if(con, {"select.weak": None})


def _duckdb(root: Path, sql: str) -> Rows:
    """What `cd RUN && duckdb -init catalog.sql` answers."""
    command = [str(DUCKDB), "-init", "catalog.sql", "-json", "-c", sql]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env={**os.environ, "HOME": str(root)}, check=False)
    assert done.returncode == 0, done.stderr
    rows: Rows = json.loads(done.stdout or "[]")
    return rows


def test_labels_that_contradict_each_other_are_rows(tmp_path: Path) -> None:
    """By the factory's rule: every seventh segment is French to one labeller, every fifth unknown to it."""
    run = made_up_run()
    con = open_catalog(str(run.write(tmp_path / "run")), "label_conflicts label_coverage opinion")
    count = len([s for s in run.tables["segments"] if s.rejection is None])
    unsure = len(range(4, count, 5))
    conflicts = sum(n % 7 == 3 and n % 5 != 4 for n in range(count))
    assert con.execute("SELECT count(*), min(said_a), min(said_b) FROM label_conflicts").fetchall() == [(conflicts, "en", "fr")]
    rows = con.execute(
        "SELECT task, labeller, num_asked, num_labelled, num_empty, mean_confidence, num_contradicted FROM label_coverage"
    ).fetchall()
    assert rows == [
        ("language", "tagger", count, count, 0, 0.5, conflicts),
        ("language", "text_lid", count, count - unsure, 0, 0.75, conflicts),
        ("sound_events", "tagger", count, count, count, None, 0),
    ]
    assert con.execute("SELECT DISTINCT said IS NULL, labelled FROM opinion ORDER BY 1").fetchall() == [
        (False, True),
        (True, False),
    ]
