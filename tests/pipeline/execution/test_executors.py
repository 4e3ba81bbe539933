"""One contract, two executors: the same jobs and keys give the same files, whatever dies on the way."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import jobs
from voxmill.pipeline.execution.executor import Executor, Job
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.execution.malloc import KEEP_MEMORY, keep_memory
from voxmill.pipeline.stage import Done, Resources

KEYS = tuple(f"k{i:02d}" for i in range(12))


RAY = [pytest.mark.ray, pytest.mark.xdist_group("ray")]


@pytest.fixture(params=["in-process", "local", pytest.param("ray", marks=RAY), pytest.param("cluster", marks=RAY)])
def executor(request: pytest.FixtureRequest) -> Executor:
    """`cluster`: Ray that is there already, on which everything is a stream of Ray Data."""
    if request.param in ("in-process", "local"):
        return LocalExecutor(in_process=request.param == "in-process")
    request.getfixturevalue("local_ray")
    from voxmill.pipeline.execution.ray_executor import RayExecutor

    return RayExecutor("auto" if request.param == "cluster" else None)


def job(kind: type[jobs.Touch], folder: Path, name: str, keys: tuple[str, ...] = KEYS, after: str | None = None) -> Job:
    return Job(name, partial(kind, str(folder), name, after), keys, Resources(workers=2, cpus=0.2))


def sharing(*chain: Job) -> list[Job]:
    return [replace(one, shares=True) for one in chain]


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_every_key_passes_every_job_in_order(executor: Executor, tmp_path: Path) -> None:
    reports: list[Done] = []
    executor.run([job(jobs.Touch, tmp_path, "a"), job(jobs.Touch, tmp_path, "b", after="a")], reports.append)
    assert names(tmp_path) == {f"{n}-{k}" for n in "ab" for k in KEYS}
    assert sorted((r.stage, r.unit) for r in reports) == sorted((n, k) for n in "ab" for k in KEYS)


def test_jobs_that_share_their_workers_do_the_same(executor: Executor, tmp_path: Path) -> None:
    reports: list[Done] = []
    executor.run(sharing(job(jobs.Touch, tmp_path, "a"), job(jobs.Touch, tmp_path, "b", KEYS[1:], after="a")), reports.append)
    wanted = sorted([*(("a", k) for k in KEYS), *(("b", k) for k in KEYS[1:])])
    assert sorted((r.stage, r.unit) for r in reports) == wanted
    assert names(tmp_path) == {f"{n}-{k}" for n, k in wanted}
    assert all((tmp_path / f"a-{k}").read_text() == (tmp_path / f"b-{k}").read_text() for k in KEYS[1:])  # one process


def test_a_job_sees_only_its_own_keys(executor: Executor, tmp_path: Path) -> None:
    executor.run([job(jobs.Touch, tmp_path, "a", KEYS[:3]), job(jobs.Touch, tmp_path, "b", KEYS[1:])], lambda done: None)
    assert names(tmp_path) == {f"a-{k}" for k in KEYS[:3]} | {f"b-{k}" for k in KEYS[1:]}


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
    for where in ("local_executor", "ray_actors", "ray_data"):
        monkeypatch.setattr(f"voxmill.pipeline.execution.{where}.MAX_DEATHS", 3)  # each costs the start of a worker
    if isinstance(executor, LocalExecutor) and executor._in_process:
        pytest.skip("in-process jobs share the fate of their process")
    with pytest.raises(Exception, match=r"died|unavailable"):
        executor.run([job(jobs.AlwaysDies, tmp_path, "a", ("bad",))], lambda done: None)
    assert len((tmp_path / "deaths").read_text()) < 10


def test_a_broken_set_up_is_an_error_for_people_on_every_executor(executor: Executor, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"^fails on every member: no weights$"):
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
