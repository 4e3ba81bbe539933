"""Which jobs share their workers."""

from __future__ import annotations

from voxmill.pipeline.execution.executor import Job, Pool, pools, workers_for
from voxmill.pipeline.stage import Done, Resources


def job(name: str, keys: str = "abc", *, shares: bool = True) -> Job:
    return Job(name, lambda: lambda key: Done(name, key), tuple(keys), Resources(memory_gb=1.0), shares)


def names(found: list[Pool]) -> list[str]:
    return [pool.name for pool in found]


def test_neighbours_share_and_others_do_not() -> None:
    chain = [job("segment"), job("whisperx", shares=False), job("reconcile"), job("select")]
    assert names(pools(chain, 4)) == ["segment", "whisperx", "reconcile + select"]


def test_a_job_without_keys_parts_nobody() -> None:
    assert names(pools([job("segment"), job("whisperx", "", shares=False), job("reconcile")], 4)) == ["segment + reconcile"]
    assert pools([job("segment", "")], 4) == []


def test_all_workers_start_at_once_only_where_they_have_the_machine_to_themselves() -> None:
    (alone,) = pools([job("segment"), job("select")], 4)
    assert (alone.resources.workers, alone.resources.min_workers, alone.resources.memory_gb) == (4, 4, 2.0)
    first, second = pools([job("segment"), job("whisperx", shares=False)], 4)
    assert (first.resources.workers, first.resources.min_workers) == (4, 1)
    assert second.resources == Resources(memory_gb=1.0)


def test_a_worker_takes_a_key_through_the_jobs_that_lack_it_in_order() -> None:
    (pool,) = pools([job("segment", "ab"), job("select", "bca")], 1)
    assert pool.keys == ("b", "c", "a")
    member = pool.make()
    assert [(done.stage, done.unit) for key in pool.keys for done in member(key)] == [
        ("segment", "b"), ("select", "b"), ("select", "c"), ("segment", "a"), ("select", "a"),
    ]  # fmt: skip


def test_workers_follow_cores_and_memory() -> None:
    assert [workers_for(8, 64), workers_for(8, 7), workers_for(0.5, 64), workers_for(8, 0)] == [8, 2, 1, 1]
