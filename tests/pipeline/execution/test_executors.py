"""One contract, two executors: the same jobs and keys give the same files, whatever dies on the way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import jobs
from voxmill.pipeline.execution.executor import Books, Executor, Job, KeyOnly
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.execution.malloc import KEEP_MEMORY, keep_memory
from voxmill.pipeline.stage import Done, Resources

KEYS = tuple(f"k{i:02d}" for i in range(12))


RAY = [pytest.mark.ray, pytest.mark.xdist_group("ray")]


ALONE = [pytest.param("in-process"), pytest.param("local"), pytest.param("ray", marks=RAY)]
CLUSTER = pytest.param("cluster", marks=RAY)
"""Ray that is there already, and may grow: for tests of what is another path there, since each start of its workers takes seconds."""

everywhere = pytest.mark.parametrize("executor", [*ALONE, CLUSTER], indirect=True)


@pytest.fixture(params=ALONE)
def executor(request: pytest.FixtureRequest) -> Executor:
    if request.param in ("in-process", "local"):
        return LocalExecutor(in_process=request.param == "in-process")
    request.getfixturevalue("local_ray")
    from voxmill.pipeline.execution.ray_executor import RayExecutor

    return RayExecutor("auto" if request.param == "cluster" else None)


def job(kind: type[jobs.Touch], folder: Path, name: str, keys: tuple[str, ...] = KEYS, after: str | None = None) -> Job:
    return Job(name, partial(KeyOnly, partial(kind, str(folder), name, after)), keys, Resources(workers=2, cpus=0.2))


def sharing(*chain: Job) -> list[Job]:
    return [replace(one, shares=True) for one in chain]


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


@everywhere
def test_every_key_passes_every_job_in_order(executor: Executor, tmp_path: Path) -> None:
    reports: list[Done] = []
    executor.run([job(jobs.Touch, tmp_path, "a"), job(jobs.Touch, tmp_path, "b", after="a")], reports.append)
    assert names(tmp_path) == {f"{n}-{k}" for n in "ab" for k in KEYS}
    assert sorted((r.stage, r.unit) for r in reports) == sorted((n, k) for n in "ab" for k in KEYS)


def test_jobs_that_share_their_workers_do_the_same(executor: Executor, tmp_path: Path) -> None:
    reports: list[Done] = []
    executor.run(sharing(job(jobs.Touch, tmp_path, "a"), job(jobs.Touch, tmp_path, "b", after="a")), reports.append)
    wanted = sorted((n, k) for n in "ab" for k in KEYS)
    assert sorted((r.stage, r.unit) for r in reports) == wanted
    assert names(tmp_path) == {f"{n}-{k}" for n, k in wanted}
    assert all((tmp_path / f"a-{k}").read_text() == (tmp_path / f"b-{k}").read_text() for k in KEYS)  # one process


def test_nothing_to_do(executor: Executor, tmp_path: Path) -> None:
    executor.run([job(jobs.Touch, tmp_path, "a", ())], lambda done: None)
    assert not names(tmp_path)


def test_workers_keep_their_memory_and_nobody_else_is_told_to(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(executor, LocalExecutor):
        for name in KEEP_MEMORY:
            monkeypatch.delenv(name, raising=False)
        executor = LocalExecutor(in_process=executor._in_process)
    executor.run([job(jobs.TellsMemory, tmp_path, "a", KEYS[:1])], lambda done: None)
    in_process = isinstance(executor, LocalExecutor) and executor._in_process
    assert (tmp_path / "a-k00").read_text() == ("" if in_process else KEEP_MEMORY["MALLOC_ARENA_MAX"])


def test_what_the_environment_says_of_memory_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {"MALLOC_ARENA_MAX": "7"})
    keep_memory()
    assert os.environ == {**KEEP_MEMORY, "MALLOC_ARENA_MAX": "7"}


@everywhere
def test_a_dead_worker_costs_nobody_else_anything(executor: Executor, tmp_path: Path) -> None:
    if isinstance(executor, LocalExecutor) and executor._in_process:
        pytest.skip("in-process jobs share the fate of their process")
    keys = ("bad", *KEYS)
    executor.run([job(jobs.DiesTwice, tmp_path, "a", keys)], lambda done: None)
    assert names(tmp_path) - {"deaths"} == {f"a-{k}" for k in keys}
    executor.run(sharing(job(jobs.Touch, tmp_path, "b", keys), job(jobs.DiesTwice, tmp_path, "c", keys)), lambda done: None)
    assert names(tmp_path) - {"deaths"} == {f"{n}-{k}" for n in "abc" for k in keys}


def test_a_bug_stops_the_run_and_says_so(executor: Executor, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="a bug, not bad data"):
        executor.run([job(jobs.Raises, tmp_path, "a", (*KEYS, "bad"))], lambda done: None)


def test_a_key_that_always_kills_its_worker_does_not_run_for_ever(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxmill.pipeline.execution.deaths.MAX_DEATHS", 3)  # each costs the start of a worker
    if isinstance(executor, LocalExecutor) and executor._in_process:
        pytest.skip("in-process jobs share the fate of their process")
    with pytest.raises(Exception, match="stage a: the worker died 3 times on bad"):
        executor.run([job(jobs.AlwaysDies, tmp_path, "a", ("bad",))], lambda done: None)
    assert len((tmp_path / "deaths").read_text()) < 10


@everywhere
def test_a_broken_set_up_is_an_error_for_people_on_every_executor(executor: Executor, tmp_path: Path) -> None:
    where = r" \(on [\d.]+\)" if getattr(executor, "_address", None) else ""  # of several machines, the one that is broken
    with pytest.raises(StageError, match=rf"^fails on every member: no weights{where}$"):
        executor.run([job(jobs.BrokenSetUp, tmp_path, "a")], lambda done: None)


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
@pytest.mark.usefixtures("local_ray")
def test_more_workers_than_the_machine_holds_leave_cores_for_one_that_starts_again(tmp_path: Path) -> None:
    from voxmill.pipeline.execution.ray_executor import RayExecutor

    many = Resources(workers=50, min_workers=50, cpus=0.9)
    keys = (*KEYS, "bad")  # the last one: nobody else has anything to do by then
    RayExecutor().run([replace(job(jobs.DiesTwice, tmp_path, "a", keys), resources=many)], lambda done: None)
    assert names(tmp_path) - {"deaths"} == {f"a-{k}" for k in keys}


class Ledger:
    """What a driver keeps."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.calls = 0
        self.struck: list[tuple[tuple[str, ...], str]] = []
        self.books = Books(
            make_buffer=partial(jobs.Pages, str(folder)),
            committed=self.committed,
            struck=lambda names, keys: self.struck.extend((tuple(names), key) for key in keys),
            strikes_of=lambda key: sum(one == key for _, one in self.struck),
        )

    def committed(self, descriptions: Sequence[tuple[str, ...]]) -> None:
        self.calls += 1
        self.lines += [line for lines in descriptions for line in lines]


@pytest.mark.parametrize("shares", [True, False])
def test_results_are_held_carried_on_and_committed_together_once(executor: Executor, tmp_path: Path, shares: bool) -> None:
    in_process = isinstance(executor, LocalExecutor) and executor._in_process
    keys = KEYS if in_process else (*KEYS, "bad")
    steps = [("a", None), ("b", "a"), ("c", "b")]
    make = {name: partial(jobs.Writes, name, before) for name, before in steps}
    chain = [Job(name, make[name], keys, Resources(cpus=0.2), shares) for name, _ in steps]
    ledger, reports = Ledger(tmp_path), list[Done]()
    executor.run(chain, reports.append, ledger.books)
    wanted = sorted(f"{name} {key}" for name, _ in steps for key in keys)
    assert sorted(ledger.lines) == wanted
    assert sorted(f"{done.stage} {done.unit}" for done in reports) == wanted
    assert ledger.calls <= 6
    assert {key for _, key in ledger.struck} == (set() if in_process else {"bad"})
    assert len(ledger.struck) == (0 if in_process else 2)


def test_what_is_finished_when_a_run_is_stopped_is_committed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)

    def stop(done: Done) -> None:
        if done.unit == "k02":
            raise KeyboardInterrupt

    chain = [Job("a", partial(jobs.WritesSlowly, "a"), KEYS, Resources(workers=1))]
    with pytest.raises(KeyboardInterrupt):
        LocalExecutor().run(chain, stop, ledger.books)
    assert {"a k00", "a k01", "a k02"} <= set(ledger.lines)
