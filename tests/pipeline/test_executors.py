"""One contract, two executors: the same jobs and keys give the same files, whatever dies on the way."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

import jobs
from voxmill.pipeline.executor import Executor, Job
from voxmill.pipeline.local import LocalExecutor
from voxmill.pipeline.stage import Done, Resources
from voxmill.pipeline.worker import StageError

KEYS = tuple(f"k{i:02d}" for i in range(12))


@pytest.fixture(params=["in-process", "local", pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.xdist_group("ray")])])
def executor(request: pytest.FixtureRequest) -> Executor:
    if request.param != "ray":
        return LocalExecutor(in_process=request.param == "in-process")
    request.getfixturevalue("local_ray")
    from voxmill.pipeline.ray import RayExecutor

    return RayExecutor()


def job(kind: type[jobs.Touch], folder: Path, name: str, keys: tuple[str, ...] = KEYS, after: str | None = None) -> Job:
    return Job(name, partial(kind, str(folder), name, after), keys, Resources(workers=2, cpus=0.2))


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_every_key_passes_every_job_in_order(executor: Executor, tmp_path: Path) -> None:
    reports: list[Done] = []
    executor.run([job(jobs.Touch, tmp_path, "a"), job(jobs.Touch, tmp_path, "b", after="a")], reports.append)
    assert names(tmp_path) == {f"{n}-{k}" for n in "ab" for k in KEYS}
    assert sorted((r.stage, r.unit) for r in reports) == sorted((n, k) for n in "ab" for k in KEYS)


def test_a_job_sees_only_its_own_keys(executor: Executor, tmp_path: Path) -> None:
    executor.run([job(jobs.Touch, tmp_path, "a", KEYS[:3]), job(jobs.Touch, tmp_path, "b", KEYS[1:])], lambda done: None)
    assert names(tmp_path) == {f"a-{k}" for k in KEYS[:3]} | {f"b-{k}" for k in KEYS[1:]}


def test_nothing_to_do(executor: Executor, tmp_path: Path) -> None:
    executor.run([job(jobs.Touch, tmp_path, "a", ())], lambda done: None)
    assert not names(tmp_path)


def test_a_dead_worker_costs_nobody_else_anything(executor: Executor, tmp_path: Path) -> None:
    if isinstance(executor, LocalExecutor) and executor._in_process:
        pytest.skip("in-process jobs share the fate of their process")
    executor.run([job(jobs.DiesTwice, tmp_path, "a", ("bad", *KEYS))], lambda done: None)
    assert names(tmp_path) - {"deaths"} == {f"a-{k}" for k in ("bad", *KEYS)}


def test_a_bug_stops_the_run_and_says_so(executor: Executor, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="a bug, not bad data"):
        executor.run([job(jobs.Raises, tmp_path, "a", (*KEYS, "bad"))], lambda done: None)


def test_a_key_that_always_kills_its_worker_does_not_run_for_ever(executor: Executor, tmp_path: Path) -> None:
    if isinstance(executor, LocalExecutor) and executor._in_process:
        pytest.skip("in-process jobs share the fate of their process")
    with pytest.raises(Exception, match=r"died|unavailable"):
        executor.run([job(jobs.AlwaysDies, tmp_path, "a", ("bad",))], lambda done: None)
    assert len((tmp_path / "deaths").read_text()) < 20


def test_a_broken_set_up_is_an_error_for_people_on_every_executor(executor: Executor, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"^fails on every member: no weights$"):
        executor.run([job(jobs.BrokenSetUp, tmp_path, "a")], lambda done: None)
