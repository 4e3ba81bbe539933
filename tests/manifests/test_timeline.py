"""Derived tables: the same from chunks of units as from the whole run, and the same as views that compute them anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from voxmill.manifests.catalog import open_catalog, query
from voxmill.manifests.catalog_script import FILES, catalog_sql
from voxmill.manifests.derived_records import DERIVED
from voxmill.manifests.ids import segment_id
from voxmill.manifests.parquet import table_bytes
from voxmill.manifests.schema import schema_of

from .factory import MadeUpRun, derived_tables, made_up_run

Tables = Mapping[str, pa.Table]
OF_SEGMENT = {"segments": "id", "samples": "segment_id"}


@pytest.fixture(scope="module")
def run() -> MadeUpRun:
    return made_up_run(seed=3, recordings=9)


def chunk(run: MadeUpRun, units: set[str]) -> dict[str, pa.Table]:
    """The rows of some units, and all recordings."""
    inside = [s for s, u in run.units_of.items() if u in units]
    tables = run.arrow()
    for name in ("segments", "hypotheses", "consensus", "opinions", "labels", "selections", "samples"):
        column = OF_SEGMENT.get(name, "segment_id")
        tables[name] = tables[name].filter(pc.is_in(tables[name][column], pa.array(inside, pa.string())))
    tables["units"] = tables["units"].filter(pc.is_in(tables["units"]["id"], pa.array(sorted(units), pa.string())))
    return tables


def chunks(run: MadeUpRun) -> list[dict[str, pa.Table]]:
    """Two, cut within a recording where it has two units."""
    units = [unit.id for unit in run.tables["units"]]
    return [chunk(run, set(units[:1])), chunk(run, set(units[1:]))]


def ordered(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=repr)


def test_chunks_make_what_the_whole_run_makes(run: MadeUpRun) -> None:
    assert run.tables["units"][0].parts[0].recording_id == run.tables["units"][1].parts[0].recording_id
    whole = derived_tables(run.arrow())
    parts = [derived_tables(one) for one in chunks(run)]
    assert pa.concat_tables(part["spans"] for part in parts).equals(whole["spans"])
    assert {tuple(r.values()) for p in parts for r in p["fates"].to_pylist()} == {
        tuple(r.values()) for r in whole["fates"].to_pylist()
    }
    assert [len(part["violations"]) for part in [whole, *parts]] == [0, 0, 0]
    assert sum(row["num_asked"] for part in parts for row in part["label_counts"].to_pylist()) == sum(
        row["num_asked"] for row in whole["label_counts"].to_pylist()
    )


def test_the_same_rows_make_the_same_bytes_in_whatever_order_they_come(run: MadeUpRun) -> None:
    tables = run.arrow()
    turned = {name: table.take(pa.array(range(len(table))[::-1], pa.int64())) for name, table in tables.items()}
    for name, table in derived_tables(tables).items():
        assert table_bytes(table) == table_bytes(derived_tables(turned)[name]), name
        assert table.schema.equals(schema_of(DERIVED[name]), check_metadata=True)


ASKED = (
    "timeline",
    "verdicts",
    "outcomes",
    "funnel",
    "rejections",
    "label_coverage",
    "marginal_loss",
    "factors",
    "conservation",
)


@pytest.fixture(scope="module")
def anew_and_written(run: MadeUpRun, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The run without derived tables, and in chunks that have them."""
    root = run.write(tmp_path_factory.mktemp("chunks") / "run")
    before = files_of(root)
    bare = {name: paths for name, paths in before.items() if name not in DERIVED}
    (root / "catalog.sql").write_text(catalog_sql(bare), encoding="utf-8")
    anew = open_catalog(str(root), *ASKED)
    for number, part in enumerate(map(derived_tables, chunks(run))):
        for name, table in part.items():
            bare.setdefault(name, []).append(f"manifests/{name}-1{number:04d}.parquet")
            (root / bare[name][-1]).write_bytes(table_bytes(table))
    (root / "catalog.sql").write_text(catalog_sql(bare), encoding="utf-8")
    return anew, open_catalog(str(root), *ASKED)


@pytest.mark.parametrize("view", ASKED)
def test_a_run_in_chunks_answers_like_a_run_without_derived_tables(anew_and_written: tuple[Any, Any], view: str) -> None:
    anew, written = (ordered(query(con, f"FROM {view}")) for con in anew_and_written)
    assert len(written) == len(anew)
    for one, other in zip(written, anew, strict=True):
        assert one == pytest.approx(other, nan_ok=True)


def test_an_engine_that_is_silent_in_a_whole_chunk_is_missed(run: MadeUpRun, tmp_path: Path) -> None:
    """The chunk does not know of it; the run does."""
    first = run.tables["units"][0].id
    silent = [h for h in run.tables["hypotheses"] if h.engine == "moonshine" and run.units_of[h.segment_id] == first]
    speech = [s for s in run.tables["segments"] if s.rejection is None and run.units_of[s.id] == first]
    assert len(silent) == len(speech) > 0
    lost = run.changed(hypotheses=[h for h in run.tables["hypotheses"] if h not in silent])
    rows = query(open_catalog(str(lost.write(tmp_path / "run")), "conservation"), "FROM conservation").to_pylist()
    assert {(r["stage"], r["what"], r["expected"], r["found"]) for r in rows} == {
        ("transcribe:moonshine", "hypotheses of a segment", 1, 0)
    }
    assert {r["id"] for r in rows} == {s.id for s in speech}


def test_the_stages_of_a_user_have_verdicts(run: MadeUpRun) -> None:
    """One that filters and one that does not."""
    speech = [s for s in run.tables["segments"] if s.rejection is None]
    ids = pa.array([s.id for s in speech])
    loud = pa.table({"segment_id": ids, "rejection": [{"reason": "loud.clipped", "detail": ""}] + [None] * (len(ids) - 1)})
    tables = run.arrow() | {"loud": loud, "pitch": pa.table({"segment_id": ids})}
    own = {"loud": loud.schema, "pitch": tables["pitch"].schema}
    rows = derived_tables(tables, own)["fates"].to_pylist()
    assert {(r["stage"], r["kept"], r["reason"]) for r in rows if r["position"] == 5 and r["stage"] != "reconcile"} == {
        ("loud", True, None),
        ("loud", False, "loud.clipped"),
        ("pitch", True, None),
    }


def test_segments_that_do_not_join_across_a_chunk_of_units_are_named(run: MadeUpRun) -> None:
    part = run.tables["units"][1].parts[0]
    at = segment_id(part.recording_id, part.start, part.start)[:24]
    tables = chunks(run)[1]
    first = min(s.start for s in run.tables["segments"] if s.id.startswith(at) and s.start >= part.start)
    assert first == part.start, "the second unit begins within the recording"
    tables["segments"] = tables["segments"].filter(
        pc.invert(
            pc.and_(
                pc.equal(tables["segments"]["recording_id"], part.recording_id), pc.equal(tables["segments"]["start"], first)
            )
        )
    )
    named = {(r["stage"], r["what"], r["expected"]) for r in derived_tables(tables)["violations"].to_pylist()}
    assert ("segment", "start of a segment, where the one before it ends", part.start) in named
    assert ("segment", "samples in the segments of a part", part.num_samples) in named


def files_of(root: Path) -> dict[str, list[str]]:
    files: dict[str, list[str]] = json.loads(
        (root / "catalog.sql").read_text(encoding="utf-8").partition("\n")[0].removeprefix(FILES)
    )
    return files
