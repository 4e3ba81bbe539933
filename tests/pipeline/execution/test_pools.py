"""Which jobs share their workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from voxmill.pipeline.execution.executor import Job, LazyKeys, PoolStep
from voxmill.pipeline.execution.pools import Pool, keys_of, pools, workers_for
from voxmill.pipeline.stage import Resources


def nothing() -> PoolStep:
    raise AssertionError("no worker is made")


def job(name: str, keys: str = "abc", *, shares: bool = True) -> Job:
    return Job(name, nothing, tuple(keys), Resources(memory_gb=1.0), shares)


def names(found: list[Pool]) -> list[str]:
    return [pool.name for pool in found]


def test_neighbours_share_and_others_do_not() -> None:
    chain = [job("segment"), job("whisperx", shares=False), job("reconcile"), job("select")]
    assert names(pools(chain, 4)) == ["segment", "whisperx", "reconcile + select"]


def test_without_keys_there_are_no_pools() -> None:
    assert pools([job("segment", ""), job("select", "")], 4) == []
    assert pools([], 4) == []


def test_workers_that_share_need_the_memory_of_all_their_jobs() -> None:
    (alone,) = pools([job("segment"), job("select")], 4)
    assert (alone.resources.workers, alone.resources.memory_gb) == (4, 2.0)
    assert pools([job("segment")], None)[0].resources.workers is None


def test_the_jobs_of_a_chain_have_the_same_keys_and_none_is_read_to_find_out() -> None:
    def never() -> Iterator[str]:
        raise AssertionError("read")

    lazy = LazyKeys(never, 3)
    chain = [Job(name, nothing, lazy, Resources()) for name in "ab"]
    assert keys_of(chain) is lazy
    with pytest.raises(ValueError, match="segment and select of one chain have other keys"):
        keys_of([job("segment", "ab"), job("select", "bca")])


def test_workers_follow_cores_and_memory() -> None:
    assert [workers_for(8, 64), workers_for(8, 7), workers_for(0.5, 64), workers_for(8, 0)] == [8, 2, 1, 1]
