"""The worker: commits once, takes a poisoned unit apart, and lets no member of a unit spoil the others."""

from __future__ import annotations

import errno
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import stages
from factory import provenance, recording
from voxmill.manifests.parquet import records_bytes
from voxmill.manifests.records import Recording
from voxmill.manifests.storage import NondeterministicError, commit_bytes
from voxmill.operators.contract.unit_input import Operator
from voxmill.pipeline.execution.executor import Job, KeyOnly
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.execution.worker import Worker
from voxmill.pipeline.stage import Resources, Stage
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.run import Run

CRAWL = Stage("crawl", stages.Decoded, stages.kind("crawl"), (), "v1", Resources())


def decode(operator: type[Operator]) -> Stage:
    return Stage("decode", operator, stages.kind("decode"), ("crawl",), "v1", Resources())


def run_with(tmp_path: Path, *titles: str, **units: tuple[str, ...]) -> Run:
    """A run in which unit `g`, and others where they are named, has crawled one recording of each title."""
    run = Run(str(tmp_path))
    for unit, members in {"g": titles, **units}.items():
        rows = [recording(f"{unit}{i}", provenance=replace(provenance(), title=title)) for i, title in enumerate(members)]
        commit_bytes(run.ledger.fragment(CRAWL, unit), records_bytes(rows, Recording))
    return run


def outcome(run: Run, stage: Stage, unit: str = "g") -> list[str]:
    return [r.rejection.reason if r.rejection else "kept" for r in run.ledger.read(stage, unit)]


def marks(run: Run) -> list[str]:
    """What attempts have left in the ledger, that may count against a unit or a member later."""
    return sorted(p.name for p in Path(run.root).rglob("*.try-*"))


def test_commits_and_then_skips(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, "good", "good"), decode(stages.Decoded)
    worker = Worker(run.root, stage, [CRAWL])
    first, again = worker("g"), worker("g")
    assert (first.kept, first.skipped, again.skipped) == (2, False, True)
    assert run.ledger.attempts(stage, "g") == 1


def test_a_member_that_raises_is_quarantined_alone(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, "good", "bad", "good"), decode(stages.Decoded)
    Worker(run.root, stage, [CRAWL])("g")
    assert outcome(run, stage) == ["kept", "decode.failed", "kept"]
    rejection = run.ledger.read(stage, "g")[1].rejection
    assert "cannot be decoded" in rejection.detail
    assert "voxmill replay" in rejection.detail


def test_a_member_that_kills_its_worker_is_quarantined_alone(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, "good", "poison", "good"), decode(stages.Decoded)
    job = Job("decode", partial(KeyOnly, partial(Worker, run.root, stage, [CRAWL])), ("g",), Resources())
    LocalExecutor().run([job], lambda done: None)
    assert outcome(run, stage) == ["kept", "decode.failed", "kept"]


def test_a_broken_set_up_stops_the_run_and_rejects_nothing(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, "good", "good"), decode(stages.Broken)
    with pytest.raises(StageError, match="no weights"):
        Worker(run.root, stage, [CRAWL])("g")
    assert not run.ledger.is_done(stage, "g")


def test_innocent_units_that_were_killed_twice_give_the_same_rows(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, "good", "good"), decode(stages.Decoded)
    run.ledger.begin(stage, "g")
    run.ledger.begin(stage, "g")
    Worker(run.root, stage, [CRAWL])("g")
    assert outcome(run, stage) == ["kept", "kept"]


def test_rejected_recordings_do_not_reach_the_next_stage(tmp_path: Path) -> None:
    run = run_with(tmp_path, "good", "bad")
    first, second = (
        decode(stages.Decoded),
        Stage("later", stages.Decoded, stages.kind("decode"), ("decode",), "v1", Resources()),
    )
    Worker(run.root, first, [CRAWL])("g")
    Worker(run.root, second, [first])("g")
    assert outcome(run, second) == ["kept"]


def test_of_two_types_of_cpu_the_first_to_commit_is_kept_and_the_other_is_noted(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, "good"), decode(stages.Decoded)
    ledger = run.ledger
    ledger.commit(stage, "g", [recording("a")], {"cpu": "Old", "isa": "avx2"})
    ledger.commit(stage, "g", [recording("b")], {"cpu": "New", "isa": "avx512"})
    assert [row.id for row in ledger.read(stage, "g")] == [recording("a").id]
    assert ledger.cost(stage, "g")["cpu"] == "Old"
    assert list(ledger.twice(stage)) == [
        "decode g: made on Old with avx2, and again otherwise on New with avx512; the first is kept"
    ]
    assert ledger.done(stage) == {"g"}
    with pytest.raises(NondeterministicError):
        ledger.commit(stage, "g", [recording("b")], {"cpu": "Old", "isa": "avx2"})


def test_a_workers_cost_says_on_which_cpu_it_worked(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, "good"), decode(stages.Decoded)
    Worker(run.root, stage, [CRAWL])("g")
    cost = run.ledger.cost(stage, "g")
    assert cost["cpu"]
    assert cost["isa"]


def test_other_bytes_under_the_same_name_are_an_error(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, "good"), decode(stages.Decoded)
    run.ledger.commit(stage, "g", [recording("a")], {})
    with pytest.raises(NondeterministicError):
        run.ledger.commit(stage, "g", [recording("b")], {})


def test_stopping_while_a_unit_is_taken_apart_marks_nobody(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, "stop", "good"), decode(stages.Stopped)
    for _ in range(3):
        with pytest.raises(SystemExit):
            Worker(run.root, stage, [CRAWL])("g")
    assert run.ledger.attempts(stage, "g") == 0
    Worker(run.root, decode(stages.Decoded), [CRAWL])("g")
    assert outcome(run, stage) == ["kept", "kept"]


def test_drivers_that_are_killed_say_little_of_what_they_worked_on(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, "good", "good"), decode(stages.Decoded)
    for number in range(7):
        Ledger(run, f"driver {number}").begin(stage, "g")
        Ledger(run, f"driver {number}").begin(stage, "g", recording("g0").item_id)
    assert Ledger(run, "now").strikes(stage, "g") == 1
    Worker(run.root, stage, [CRAWL], "now")("g")
    assert outcome(run, stage) == ["kept", "kept"]


def test_a_missing_package_names_its_fix(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, "good"), decode(stages.Uninstalled)
    with pytest.raises(StageError, match=r"a_package_that_is_not_installed.*pip install 'voxmill\[all\]'"):
        Worker(run.root, stage, [CRAWL])("g")


@pytest.mark.parametrize("operator", [stages.DiskFull, stages.OutOfGpu])
@pytest.mark.parametrize("titles", [("large",), ("good", "large", "good")])
def test_what_the_machine_cannot_do_stops_the_run_and_rejects_nothing(
    tmp_path: Path, operator: type[Operator], titles: tuple[str, ...]
) -> None:
    run, stage = run_with(tmp_path, *titles), decode(operator)
    with pytest.raises(StageError, match=r"stage decode stopped at unit g: .*(make room|the GPU fails)"):
        Worker(run.root, stage, [CRAWL])("g")
    assert not run.ledger.is_done(stage, "g")
    assert marks(run) == []
    Worker(run.root, decode(stages.Decoded), [CRAWL])("g")
    assert outcome(run, stage) == ["kept"] * len(titles)


def test_a_store_that_fails_to_keep_a_fragment_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, stage = run_with(tmp_path, "good"), decode(stages.Decoded)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(Ledger, "commit", full)
    with pytest.raises(StageError, match="disk quota"):
        Worker(run.root, stage, [CRAWL])("g")


def test_a_stage_that_fails_on_its_only_input_is_asked_for_what_any_machine_can_do(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, "good"), decode(stages.Broken)
    with pytest.raises(StageError, match=r"fails on unit g and on a plain sound: RuntimeError: no weights"):
        Worker(run.root, stage, [CRAWL])("g")
    assert marks(run) == []


@pytest.mark.parametrize("count", [1, 2, 10])
def test_inputs_that_fail_alike_are_odd_where_a_plain_sound_works(tmp_path: Path, count: int) -> None:
    run, stage = run_with(tmp_path, *["bad"] * count, h=("bad",)), decode(stages.Decoded)
    for unit in ("g", "h"):
        Worker(run.root, stage, [CRAWL])(unit)
    assert outcome(run, stage) == ["decode.failed"] * count
    assert outcome(run, stage, "h") == ["decode.failed"]


def test_a_stage_that_reads_more_than_sound_is_compared_with_other_units(tmp_path: Path) -> None:
    run = run_with(tmp_path, "good", h=("good",))
    stage = Stage("relabel", stages.Broken, replace(stages.kind("decode"), hears=False), ("crawl",), "v1", Resources())
    with pytest.raises(StageError, match=r"fails on unit g and on all of 2 inputs: RuntimeError: no weights"):
        Worker(run.root, stage, [CRAWL])("g")


def test_a_unit_of_bad_members_is_data_where_others_work(tmp_path: Path) -> None:
    run, stage = run_with(tmp_path, "bad", "bad", h=("bad",), i=("good",)), decode(stages.Decoded)
    Worker(run.root, stage, [CRAWL])("g")
    assert outcome(run, stage) == ["decode.failed", "decode.failed"]


def test_a_stage_that_breaks_while_it_works_rejects_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, stage = run_with(tmp_path, "good", "bad", h=("good", "good"), i=("good",)), decode(stages.Unwell)
    worker = Worker(run.root, stage, [CRAWL])
    worker("g")
    assert outcome(run, stage) == ["kept", "decode.failed"]
    monkeypatch.setattr(stages.Unwell, "well", False)
    for unit in ("h", "i"):
        with pytest.raises(StageError, match="what it could do before"):
            worker(unit)
        assert not run.ledger.is_done(stage, unit)


def test_copies_of_a_run_quarantine_with_the_same_words(tmp_path: Path) -> None:
    details = []
    for name in ("a", "b"):
        run, stage = run_with(tmp_path / name, "good", "lost"), decode(stages.Lost)
        Worker(run.root, stage, [CRAWL])("g")
        details.append(run.ledger.read(stage, "g")[1].rejection.detail)
    assert details[0] == details[1]
    assert "no file at RUN/audio/" in details[0]
    assert "reproduce: voxmill replay RUN --stage decode --unit g --only" in details[0]
