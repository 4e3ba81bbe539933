"""Packing from a ledger: a sample that fails or kills the packer is an outcome, and the books stay balanced."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

import jobs
from factory import item
from rows import listed, put
from samples import recording, sample
from spoilt_packer import SpoiltPacker
from stages import kind
from voxmill.manifests.catalog import open_catalog
from voxmill.manifests.records import Part, Unit
from voxmill.pipeline.books import JournalBooks
from voxmill.pipeline.config import PackConfig
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.packing.failures import pack_stage, upstream_of
from voxmill.pipeline.packing.packer import Packer, packed_tables, packing
from voxmill.pipeline.packing.plan import plan
from voxmill.pipeline.reports.proof import Balance
from voxmill.pipeline.reports.verify_run import verify
from voxmill.pipeline.stage import Done, Resources, Stage
from voxmill.pipeline.state.listing import ITEMS, OUTCOMES, RECORDINGS, UNITS
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.table_writer import write_tables
from voxmill.sharding.index import INDEX, write_index
from voxmill.sharding.sample import Sample, document_bytes

SECONDS = 8
"""Of each recording: four segments of two seconds, all of them kept."""


def stage(name: str) -> Stage:
    return Stage(name, jobs.nothing, kind(name.split(":")[0]), (), "v1", Resources())


CHAIN = [
    stage("segment"),
    stage("transcribe:whisperx"),
    stage("transcribe:paraformer"),
    stage("reconcile"),
    stage("select"),
]
STAGES = {s.name: s for s in [stage("crawl"), stage("decode"), OUTCOMES, UNITS, RECORDINGS, *CHAIN]}


def selected(tmp_path: Path, *titles: str) -> Run:
    """A run whose recordings, one of each title, are selected whole and not packed."""
    run = Run(str(tmp_path / "run"))
    recordings, samples = [], []
    for number, title in enumerate(titles):
        made = recording(f"{number}", SECONDS, "cc0-1.0")
        path = tmp_path / f"{number}.wav"
        noise = np.random.default_rng(number).integers(-1000, 1000, SECONDS * 16000, np.int16)
        soundfile.write(path, noise, 16000)
        made = replace(made, audio=str(path), provenance=replace(made.provenance, title=title))
        recordings.append(made)
        samples += [replace(sample(made, second, 2, order=number), labels=None) for second in range(0, SECONDS, 2)]
    unit = Unit("u0000000-0", 0, 0, tuple(Part(r.id, 0, r.num_samples) for r in recordings))
    items = [item(str(n), id=r.item_id) for n, r in enumerate(recordings)]
    fragments: list[tuple[Stage, str, Sequence[object]]] = [
        (ITEMS, "g0000000", items),
        (STAGES["crawl"], "g0000000", recordings),
        (STAGES["decode"], "g0000000", recordings),
        (OUTCOMES, "g0000000", recordings),
        (UNITS, unit.id, [unit]),
        (RECORDINGS, unit.id, recordings),
        (CHAIN[0], unit.id, [s.segment for s in samples]),
        (CHAIN[1], unit.id, [s.hypotheses[0] for s in samples]),
        (CHAIN[2], unit.id, [s.hypotheses[1] for s in samples]),
        (CHAIN[3], unit.id, [s.consensus for s in samples]),
        (CHAIN[4], unit.id, [s.selection for s in samples]),
    ]
    listed(run, groups=1, units=1)
    for of, key, rows in fragments:
        put(run, of, key, rows)
    run.save({"buckets": 1, "config": {}})
    return run


def pack(run: Run, packer: type[Packer] = SpoiltPacker, *, in_process: bool = True, parts: float = 100) -> list[Done]:
    """One bucket in shards of so many MB, by a packer that cannot read everything. What is there already is left alone."""
    wanted = packing(run, STAGES, plan(run, STAGES, PackConfig(shard_mb=parts), 1), Resources())
    make = partial(packer, *wanted.job.make.args)  # type: ignore[attr-defined]
    done: list[Done] = []
    books = JournalBooks(run, {"pack": pack_stage(upstream_of(STAGES))}).for_executor(print, holds=False)
    LocalExecutor(in_process=in_process, workers=1).run([replace(wanted.job, make=make)], done.append, books)
    write_index(run.shards_dir)
    return done


def books(run: Run) -> Balance:
    report = verify(run, STAGES)
    assert report.problems == []
    return report.balances[-1]


def tars(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(run.shards_dir).glob("*.tar")}


def aside(run: Run) -> dict[str, str]:
    """Start (s) of every sample that was put aside, and why."""
    (table,) = [list(parts) for name, parts in packed_tables(run, STAGES).items() if name == "unpacked"]
    rows = [row for part in table for row in part.to_pylist()]
    assert {row["reason"] for row in rows} <= {"pack.failed"}
    return {f"{row['segment_id'][-21:-11].lstrip('0') or '0'}": row["detail"] for row in rows}


def test_all_is_packed_where_nothing_fails(tmp_path: Path) -> None:
    run = selected(tmp_path, "good", "good")
    (done,) = pack(run)
    assert (done.kept, done.rejected) == (8, 0)
    assert books(run) == Balance("pack", 8, 8, 0, 256_000, 256_000, 0)
    assert pack(run) == []
    assert list(Path(run.root, "ledger").rglob("*.try-*")) == []


def test_a_packing_that_was_broken_off_is_not_there_yet_and_no_fault(tmp_path: Path) -> None:
    run = selected(tmp_path, "good", "good")
    pack(run, parts=0.1)
    last = max(Path(run.shards_dir).glob("*.tar"))
    for file in Path(run.shards_dir).rglob(f"{last.stem}*"):
        file.unlink()
    Path(run.shards_dir, INDEX).unlink()
    report = verify(run, STAGES)
    (said,) = [one for one in report.pending if one.startswith("pack")]
    waiting = int(said.split()[1])
    assert 0 < waiting < 8
    assert (said, report.problems) == (f"pack: {waiting} of 8 segments", [])
    run.ledger.append({"packed": "all", "packed_units": 1})  # and once it was there, it is
    assert any(one.startswith("missing") for one in verify(run, STAGES).problems)


def test_spans_that_fail_are_put_aside_and_the_books_are_balanced(tmp_path: Path) -> None:
    run = selected(tmp_path, "good", "fails 3", "good")
    (done,) = pack(run)
    assert (done.kept, done.rejected) == (9, 3)
    assert books(run) == Balance("pack", 12, 9, 3, 384_000, 288_000, 96_000)
    assert list(aside(run)) == ["32000", "64000", "96000"]
    assert "ValueError: spoilt at 3 s" in aside(run)["32000"]
    assert "reproduce: voxmill replay RUN --stage pack --unit train-cc0-1_0-00000-000 --only " in aside(run)["32000"]
    assert pack(run) == []  # the plan leaves them out


def test_one_sample_that_cannot_be_written_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def written(of: Sample) -> bytes:
        if of.segment.start == 32_000 and of.recording.provenance.title == "worse":
            raise ValueError("Out of range float values are not JSON compliant")
        return document_bytes(of)

    run = selected(tmp_path, "good", "worse")
    monkeypatch.setattr("voxmill.sharding.writer.document_bytes", written)
    (done,) = pack(run)
    assert (done.kept, done.rejected) == (7, 1)
    assert books(run).rejected == 1
    with pytest.raises(ValueError, match="JSON compliant"):
        Packer(run.root, STAGES, {}).replay(run.ledger.read(CHAIN[0], "u0000000-0")[5].id)


def test_a_span_that_kills_is_put_aside_with_what_comes_after_it(tmp_path: Path) -> None:
    run = selected(tmp_path, "good", "kills 3", "good")
    (done,) = pack(run, in_process=False)
    assert (done.kept, done.rejected) == (9, 3)
    assert books(run).rejected == 3
    assert {start: detail.split(";")[0][:20] for start, detail in aside(run).items()} == {
        "32000": "the worker died on t",
        "64000": "not tried: the worke",
        "96000": "not tried: the worke",
    }
    assert pack(run) == []
    packed = tars(run)
    shutil.rmtree(run.shards_dir)
    pack(run, Packer)
    assert tars(run) == packed  # the outcome stays, on whatever machine the shard is made again


def test_a_shard_of_which_nothing_is_left_is_no_shard(tmp_path: Path) -> None:
    run = selected(tmp_path, "good", "fails 5")
    dones = pack(run, parts=0.03)  # a sample a shard
    assert sorted((d.kept, d.rejected) for d in dones) == [*[(0, 1)] * 2, *[(1, 0)] * 6]
    assert books(run).rejected == 2
    assert len(tars(run)) == 6
    assert pack(run, parts=0.03) == []


def test_a_machine_that_fails_puts_nothing_aside(tmp_path: Path) -> None:
    run = selected(tmp_path, "good", "full 3")
    with pytest.raises(StageError, match=r"stage pack stopped at shard train-cc0-1_0-00000-000: .*make room"):
        pack(run)
    assert aside(run) == {}
    assert list(Path(run.root, "ledger").rglob("*.try-*")) == []


def test_a_packer_that_can_do_nothing_puts_nothing_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no encoder")

    run = selected(tmp_path, "good", "good")
    monkeypatch.setattr("voxmill.sharding.flac.encode", broken)
    with pytest.raises(StageError, match="stage pack fails on all 8 samples of train-cc0-1_0-00000-000: RuntimeError"):
        pack(run)
    assert aside(run) == {}


def test_the_funnel_tells_of_what_could_not_be_packed(tmp_path: Path) -> None:
    run = selected(tmp_path, "good", "fails 3")
    pack(run)
    write_tables(run, [ITEMS, *STAGES.values()], packed_tables(run, STAGES))
    con = open_catalog(run.root, "funnel rejections conservation timeline")
    assert con.execute("SELECT rows_in, rows_kept, rows_rejected, balanced FROM funnel WHERE stage = 'pack'").fetchall() == [
        (8, 5, 3, True)
    ]
    assert con.execute("SELECT reason, num_rows, seconds FROM rejections").fetchall() == [("pack.failed", 3, 6.0)]
    assert con.execute("FROM conservation").fetchall() == []
    assert con.execute("SELECT count(*) FILTER (kept), count(*) FILTER (selected) FROM timeline").fetchone() == (5, 8)
