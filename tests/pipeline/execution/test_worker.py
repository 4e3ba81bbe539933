"""The worker: commits once, takes a poisoned unit apart, and lets no member of a unit spoil the others."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import stages
from factory import provenance, recording
from rows import put, work
from voxmill.manifests.records import Recording
from voxmill.operators.contract.unit_input import Operator
from voxmill.pipeline.books import JournalBooks, WorkerBuffer
from voxmill.pipeline.execution.executor import Job
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.execution.worker import Worker
from voxmill.pipeline.stage import Resources, Stage
from voxmill.pipeline.state.chunks import read_costs
from voxmill.pipeline.state.fragment import Cost, FragmentWriter
from voxmill.pipeline.state.member_marks import MemberMarks
from voxmill.pipeline.state.run import Run

CRAWL = Stage("crawl", stages.Decoded, stages.kind("crawl"), (), "v1", Resources())


def decode(operator: type[Operator]) -> Stage:
    return Stage("decode", operator, stages.kind("decode"), ("crawl",), "v1", Resources())


G, H, I = "g0000000", "g0000001", "g0000002"


def run_with(tmp_path: Path, *groups: Sequence[str]) -> Run:
    """A run in which the groups `G`, `H` and `I` (as many as are given) have crawled one recording of each title."""
    run = Run(str(tmp_path))
    for unit, members in zip((G, H, I), groups, strict=False):
        put(run, CRAWL, unit, titled(unit, members))
    return run


def titled(unit: str, titles: Sequence[str]) -> list[Recording]:
    return [recording(f"{unit}{i}", provenance=replace(provenance(), title=title)) for i, title in enumerate(titles)]


def outcome(run: Run, stage: Stage, unit: str = G) -> list[str]:
    return [r.rejection.reason if r.rejection else "kept" for r in run.ledger.read(stage, unit)]


def marks(run: Run) -> list[str]:
    """What attempts have left in the ledger, that may count against a unit or a member later."""
    return sorted(p.name for p in Path(run.root).rglob("*.try-*"))


def test_commits_and_then_skips(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, ["good", "good"]), decode(stages.Decoded)
    first, again = (work(run, Worker(run.root, stage, [CRAWL]), G) for _ in range(2))
    assert (first.kept, first.skipped, again.skipped) == (2, False, True)


def test_a_member_that_raises_is_quarantined_alone(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, ["good", "bad", "good"]), decode(stages.Decoded)
    work(run, Worker(run.root, stage, [CRAWL]), G)
    assert outcome(run, stage) == ["kept", "decode.failed", "kept"]
    rejection = run.ledger.read(stage, G)[1].rejection
    assert "cannot be decoded" in rejection.detail
    assert "voxmill replay" in rejection.detail
    assert not [*Path(run.root, "ledger").rglob("*.ended"), *marks(run)], "of a unit that is done nothing is left"


def test_members_that_fail_together_and_never_alone_are_outcomes_and_stop_nothing(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, ["good", "good"]), decode(stages.OneByOne)
    work(run, Worker(run.root, stage, [CRAWL]), G)
    assert outcome(run, stage) == ["decode.failed", "decode.failed"]
    detail = run.ledger.read(stage, G)[0].rejection.detail
    assert "too much at once" in detail
    assert "though on none of its members alone" in detail


def test_a_member_that_kills_its_worker_is_quarantined_alone(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, ["good", "poison", "good"]), decode(stages.Decoded)
    job = Job("decode", partial(Worker, run.root, stage, [CRAWL]), (G,), Resources())
    LocalExecutor().run([job], lambda done: None, JournalBooks(run, {"decode": stage}).for_executor(print))
    assert outcome(run, stage) == ["kept", "decode.failed", "kept"]


def test_a_broken_set_up_stops_the_run_and_rejects_nothing(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, ["good", "good"]), decode(stages.Broken)
    with pytest.raises(StageError, match="no weights"):
        work(run, Worker(run.root, stage, [CRAWL]), G)
    assert not run.ledger.is_done(stage, G)


def test_innocent_units_that_were_killed_twice_give_the_same_rows(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, ["good", "good"]), decode(stages.Decoded)
    work(run, Worker(run.root, stage, [CRAWL]), G, strikes=2)
    assert outcome(run, stage) == ["kept", "kept"]
    assert list(Path(run.root, "ledger").rglob("*.ended")) == []


def test_rejected_recordings_do_not_reach_the_next_stage(tmp_path: Path) -> None:
    run = run_with(tmp_path, ["good", "bad"])
    first, second = (
        decode(stages.Decoded),
        Stage("later", stages.Decoded, stages.kind("decode"), ("decode",), "v1", Resources()),
    )
    work(run, Worker(run.root, first, [CRAWL]), G)
    work(run, Worker(run.root, second, [first]), G)
    assert outcome(run, second) == ["kept"]


def test_what_is_made_twice_and_otherwise_is_kept_once_and_noted(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, ["good"]), decode(stages.Decoded)
    cost = partial(Cost, G, "decode", None, 1.0, 1.0, 1, "host", "cpu", 1)
    for name, made in (("a", cost("Old", "avx2")), ("a", cost("Old", "avx2")), ("b", cost("New", "avx512"))):
        writer = FragmentWriter(run)
        writer.add(stage, G, [recording(name)], made)
        run.ledger.append({"fragments": [info.to_json() for info in writer.flush()]})
    run.ledger.fold()
    assert [row.id for row in run.ledger.read(stage, G)] == [recording("a").id]
    (chunk,) = run.ledger.chunk_files(stage)
    assert read_costs(run, chunk).column("cpu").to_pylist() == ["Old"]
    assert run.ledger.state.notes == [
        "decode unit 0: made twice, and otherwise the second time on New with avx512; the first is kept"
    ]


def test_a_workers_cost_says_on_which_cpu_it_worked(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, ["good"]), decode(stages.Decoded)
    work(run, Worker(run.root, stage, [CRAWL]), G)
    (cost,) = read_costs(run, *run.ledger.chunk_files(stage)).to_pylist()
    assert cost["cpu"]
    assert cost["isa"]


def test_rows_come_along_from_the_step_before(tmp_path: Path) -> None:
    """No fragment is read back for what the same worker has just made, or the pool before."""
    run, first = Run(str(tmp_path)), decode(stages.Decoded)
    second = Stage("later", stages.Decoded, stages.kind("decode"), ("decode",), "v1", Resources())
    writer = FragmentWriter(run)
    carried: dict[str, Any] = {"crawl": titled(G, ["good", "bad"])}
    Worker(run.root, first, [CRAWL])(G, carried, writer)
    Worker(run.root, second, [first])(G, carried, writer)
    assert set(carried) == {"crawl", "decode", "later"}
    (info,) = writer.flush()
    run.ledger.append({"fragments": [info.to_json()]})
    assert outcome(run, second) == ["kept"]


def test_stopping_while_a_unit_is_taken_apart_marks_nobody(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, ["stop", "good"]), decode(stages.Stopped)
    for _ in range(3):
        with pytest.raises(SystemExit):
            work(run, Worker(run.root, stage, [CRAWL]), G)
    assert marks(run) == []
    work(run, Worker(run.root, decode(stages.Decoded), [CRAWL]), G)
    assert outcome(run, stage) == ["kept", "kept"]


def test_drivers_that_are_killed_say_little_of_what_they_worked_on(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, ["good", "good"]), decode(stages.Decoded)
    for _ in range(7):
        run.ledger.append({"in_flight": [f"{stage.key} {G}"]})
        run.ledger.append({"begins": True})
        MemberMarks(run, stage, G, f"driver {_}").begin(recording(f"{G}0").item_id)
    assert run.ledger.strikes(stage, G) == 1
    assert MemberMarks(run, stage, G, "now").strikes(recording(f"{G}0").item_id) == 1
    work(run, Worker(run.root, stage, [CRAWL], "now"), G, strikes=1)
    assert outcome(run, stage) == ["kept", "kept"]


def test_a_missing_package_names_its_fix(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, ["good"]), decode(stages.Uninstalled)
    with pytest.raises(StageError, match=r"a_package_that_is_not_installed.*pip install 'voxmill\[all\]'"):
        work(run, Worker(run.root, stage, [CRAWL]), G)


@pytest.mark.parametrize("operator", [stages.DiskFull, stages.OutOfGpu])
@pytest.mark.parametrize("titles", [("large",), ("good", "large", "good")])
def test_what_the_machine_cannot_do_stops_the_run_and_rejects_nothing(
    tmp_path: Path, operator: type[Operator], titles: tuple[str, ...]
) -> None:
    run, stage = run_with(tmp_path, [*titles]), decode(operator)
    with pytest.raises(StageError, match=r"stage decode stopped at unit g0000000: .*(make room|the GPU fails)"):
        work(run, Worker(run.root, stage, [CRAWL]), G)
    assert not run.ledger.is_done(stage, G)
    assert marks(run) == []
    work(run, Worker(run.root, decode(stages.Decoded), [CRAWL]), G)
    assert outcome(run, stage) == ["kept"] * len(titles)


def test_a_store_that_fails_to_keep_a_fragment_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, stage = run_with(tmp_path, ["good"]), decode(stages.Decoded)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    buffer = WorkerBuffer(run)
    Worker(run.root, stage, [CRAWL])(G, {}, buffer)
    monkeypatch.setattr("voxmill.pipeline.state.fragment.commit_bytes", full)
    with pytest.raises(StageError, match="disk quota"):
        buffer.flush()


def test_a_stage_that_fails_on_its_only_input_is_asked_for_what_any_machine_can_do(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, ["good"]), decode(stages.Broken)
    with pytest.raises(StageError, match=r"fails on unit g0000000 and on a plain sound: RuntimeError: no weights"):
        work(run, Worker(run.root, stage, [CRAWL]), G)
    assert marks(run) == []


@pytest.mark.parametrize("count", [1, 2, 10])
def test_inputs_that_fail_alike_are_odd_where_a_plain_sound_works(tmp_path: Path, count: int) -> None:
    run, stage = run_with(tmp_path, [*["bad"] * count], ["bad"]), decode(stages.Decoded)
    for unit in (G, H):
        work(run, Worker(run.root, stage, [CRAWL]), unit)
    assert outcome(run, stage) == ["decode.failed"] * count
    assert outcome(run, stage, H) == ["decode.failed"]


def test_a_stage_that_reads_more_than_sound_is_compared_with_other_units(tmp_path: Path) -> None:
    run = run_with(tmp_path, ["good"], ["good"])
    stage = Stage("relabel", stages.Broken, replace(stages.kind("decode"), hears=False), ("crawl",), "v1", Resources())
    with pytest.raises(StageError, match=r"fails on unit g0000000 and on all of 2 inputs: RuntimeError: no weights"):
        work(run, Worker(run.root, stage, [CRAWL]), G)


def test_a_unit_of_bad_members_is_data_where_others_work(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, ["bad", "bad"], ["bad"], ["good"]), decode(stages.Decoded)
    work(run, Worker(run.root, stage, [CRAWL]), G)
    assert outcome(run, stage) == ["decode.failed", "decode.failed"]


def test_a_stage_that_breaks_while_it_works_rejects_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, stage = run_with(tmp_path, ["good", "bad"], ["good", "good"], ["good"]), decode(stages.Unwell)
    worker = Worker(run.root, stage, [CRAWL])
    work(run, worker, G)
    assert outcome(run, stage) == ["kept", "decode.failed"]
    monkeypatch.setattr(stages.Unwell, "well", False)
    for unit in (H, I):
        with pytest.raises(StageError, match="what it could do before"):
            work(run, worker, unit)
        assert not run.ledger.is_done(stage, unit)


def test_copies_of_a_run_quarantine_with_the_same_words(tmp_path: Path) -> None:
    details = []
    for name in ("a", "b"):
        run, stage = run_with(tmp_path / name, ["good", "lost"]), decode(stages.Lost)
        work(run, Worker(run.root, stage, [CRAWL]), G)
        details.append(run.ledger.read(stage, G)[1].rejection.detail)
    assert details[0] == details[1]
    assert "no file at RUN/audio/" in details[0]
    assert "reproduce: voxmill replay RUN --stage decode --unit g0000000 --only" in details[0]
