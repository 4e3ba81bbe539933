"""A run of before the journal, as an earlier voxmill wrote it, brought to this form."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from stages import kind
from voxmill.manifests.parquet import read_records
from voxmill.manifests.records import Hypothesis, Recording, Segment
from voxmill.pipeline.cli import app
from voxmill.pipeline.stage import Resources, Stage, no_operator
from voxmill.pipeline.state.chunks import read_costs
from voxmill.pipeline.state.listing import ITEMS, OUTCOMES, RECORDINGS, UNITS
from voxmill.pipeline.state.migrate_run import migrate_run
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError

UNIT = "u0000000-0"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with tarfile.open(Path(__file__).with_name("run_before_the_journal.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "run"


def test_it_is_refused_with_the_command_that_migrates_it(old: Path) -> None:
    with pytest.raises(RunError, match=r"voxmill migrate .*run"):
        list(Run(str(old)).listing.each_unit())


def test_every_row_is_there_afterwards(old: Path) -> None:
    before = {
        "segment": read_records(str(old / "ledger/segment/v1" / f"{UNIT}.parquet"), Segment),
        "transcribe-whisperx": read_records(str(old / "ledger/transcribe-whisperx/v1" / f"{UNIT}.parquet"), Hypothesis),
        "recordings": read_records(str(old / "ledger/recordings/v1" / f"{UNIT}.parquet"), Recording),
        "outcomes": read_records(str(old / "ledger/generations/0000.recordings.parquet"), Recording),
    }
    run = Run(str(old))
    assert migrate_run(run) == 10
    run = Run(str(old))
    state = run.ledger.state
    assert (run.listing.num_units, run.listing.groups(0)) == (1, ["g0000000"])
    assert [unit.id for unit in run.listing.each_unit()] == [UNIT]
    assert [*run.listing.each_recording()] == before["outcomes"]
    assert run.ledger.read(RECORDINGS, UNIT) == before["recordings"]
    for name in ("segment", "transcribe:whisperx"):
        stage = Stage(name, no_operator, kind(name.partition(":")[0]), (), "v1", Resources())
        assert run.ledger.read(stage, UNIT) == before[name.replace(":", "-")]
        (chunk,) = run.ledger.chunk_files(stage)
        assert set(pq.read_table(run.uri(chunk.rows))["unit"].to_pylist()) == {UNIT}
        (cost,) = read_costs(run, chunk).to_pylist()
        assert (cost["unit"], cost["stage"], cost["wall_s"], cost["isa"]) == (UNIT, stage.kind, 1.5, "avx2")
    (item, _) = run.ledger.read(ITEMS, "g0000000")
    (whole, _) = run.private.whole("items/g0000000", run.ledger.read(ITEMS, "g0000000"))
    assert "token=secret" not in item.provenance.url
    assert "token=secret" in whole.provenance.url
    assert {one.key for one in (ITEMS, OUTCOMES, UNITS, RECORDINGS)} <= state.stages.keys()
    assert sorted(path.name for path in (old / "ledger").iterdir()) == ["journal", "unpacked"]
    assert len(list((old / "ledger/unpacked").rglob("*.parquet"))) == 3


def test_the_command_says_what_it_did_and_again_that_there_is_nothing(old: Path) -> None:
    said = [CliRunner().invoke(app, ["migrate", str(old)]).output for _ in range(2)]
    assert "10 files of units brought into tables" in said[0]
    assert "nothing to migrate" in said[1]


def test_killed_before_the_entry_it_is_done_again(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: object, entry: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("voxmill.pipeline.state.ledger.Ledger.append", killed)
        with pytest.raises(KeyboardInterrupt):
            migrate_run(Run(str(old)))
    assert migrate_run(Run(str(old))) == 10
