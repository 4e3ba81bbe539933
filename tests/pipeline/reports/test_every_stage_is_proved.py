"""`verify` proves every stage of the table: a run that has lost all fragments of any one of them is found out, and the stage is named."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import jobs
from rows import put, put_again
from stages import kind
from voxmill.manifests.duplicate_records import Duplicate, Fingerprint, Shingles
from voxmill.manifests.records import Labels, Opinion, Pictures
from voxmill.manifests.redaction_records import Redaction
from voxmill.pipeline.config import PackConfig
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.packing.packer import packed_tables, packing
from voxmill.pipeline.packing.plan import plan
from voxmill.pipeline.reports.verify_run import verify
from voxmill.pipeline.stage import Resources, Stage, StageKind
from voxmill.pipeline.stages import KINDS
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.table_writer import write_tables
from voxmill.sharding.index import write_index

from ..packing.test_packer import STAGES, selected

UNIT = "u0000000-0"


@dataclass(frozen=True)
class Pace:
    """A row of a stage of the user's own."""

    segment_id: str
    words: int = 0


def stage(of: StageKind, name: str | None = None) -> Stage:
    return Stage(name or of.name, jobs.nothing, of, ("segment",), "v1", Resources())


MORE = {
    one.name: one
    for one in (
        stage(kind("frames")),
        stage(kind("label"), "label:endpoints"),
        stage(next(k for k in KINDS if k.record is Labels)),
        stage(kind("fingerprint")),
        stage(kind("shingle")),
        stage(kind("duplicates")),
        stage(kind("redact")),
        stage(replace(kind("python"), record=Pace, table="pace"), "pace"),
    )
}
ALL = {**STAGES, **MORE}


def rows_of(one: Stage, run: Run) -> list[Any]:
    """What a stage says of the unit."""
    (unit,) = run.listing.each_unit()
    keys = [s.id for s in run.ledger.read(STAGES["segment"], UNIT)]
    make: dict[type, Any] = {
        Pictures: lambda: [Pictures(key) for key in keys],
        Opinion: lambda: [Opinion(key, "endpoints", ()) for key in keys],
        Labels: lambda: [Labels(key) for key in keys],
        Redaction: lambda: [Redaction(key, "", ()) for key in keys],
        Pace: lambda: [Pace(key, 3) for key in keys],
        Fingerprint: lambda: [Fingerprint(p.recording_id, p.start, p.num_samples, ()) for p in unit.parts],
        Shingles: lambda: [Shingles(p.recording_id, p.start, p.num_samples, (), (), (), ()) for p in unit.parts],
        Duplicate: list,
    }
    rows: list[Any] = make[one.writes]()
    return rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with every kind of stage."""
    run: Run = selected(tmp_path_factory.mktemp("proof"), "good", "good")
    for one in MORE.values():
        put(run, one, UNIT, rows_of(one, run))
    wanted = packing(run, ALL, plan(run, ALL, PackConfig(), 1), Resources())
    LocalExecutor(in_process=True).run([wanted.job], lambda done: None)
    write_index(run.shards_dir)
    write_tables(run, [*ALL.values()], packed_tables(run, ALL))
    assert verify(run, ALL).problems == []
    return run


def test_every_kind_is_here() -> None:
    assert {one.of.name for one in ALL.values()} | {"items"} == {one.name for one in KINDS}


@pytest.mark.parametrize("name", ["items", *ALL])
def test_a_stage_that_has_lost_its_fragments_is_named(whole: Run, name: str, tmp_path: Path) -> None:
    shutil.copytree(whole.root, tmp_path / "run")
    folders = [path for path in (tmp_path / "run" / "manifests").iterdir() if path.name == name.replace(":", "-")]
    assert len(folders) == 1
    shutil.rmtree(folders[0])
    problems = verify(Run(str(tmp_path / "run")), ALL).problems
    assert any(name in problem for problem in problems), problems


@pytest.mark.parametrize("name", [name for name, one in ALL.items() if one.of.rows in ("segments", "parts", "tiles")])
def test_a_stage_that_has_lost_a_row_is_named(whole: Run, name: str, tmp_path: Path) -> None:
    shutil.copytree(whole.root, tmp_path / "run")
    run = Run(str(tmp_path / "run"))
    rows = run.ledger.read(ALL[name], UNIT)
    put_again(run, ALL[name], UNIT, rows[1:])
    problems = verify(run, ALL).problems
    assert any(name in problem for problem in problems), problems
