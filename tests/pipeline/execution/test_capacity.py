"""What no machine of a cluster can hold is said before anything waits for it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

import jobs
from voxmill.pipeline.execution.capacity import Machine, machines, misplaced, room
from voxmill.pipeline.execution.executor import Job, Pool
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.stage import Resources

SMALL, LARGE = Machine(4, 0, 8.0), Machine(16, 2, 64.0)


def pool(**asked: float) -> Pool:
    resources = Resources(**asked)  # type: ignore[arg-type]
    return Pool((Job("transcribe:whisperx", jobs.Touch, ("k",), resources),), resources)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"cpus": 16, "gpus": 2, "memory_gb": 64}, True),
        ({"cpus": 17}, False),
        ({"gpus": 2.5}, False),
        ({"memory_gb": 65}, False),
        ({"workers": 100, "cpus": 16}, True),
    ],
)
def test_a_worker_needs_one_machine_that_has_it_all(asked: dict[str, float], fits: bool) -> None:
    assert (list(misplaced([pool(**asked)], [SMALL, LARGE, SMALL])) == []) == fits
    assert list(misplaced([pool(cpus=10, gpus=1)], [Machine(10, 0, 8), Machine(8, 8, 8)])) != []


def test_the_message_names_the_stage_what_it_asks_what_there_is_and_the_fix() -> None:
    (line,) = misplaced([pool(gpus=4)], [SMALL, SMALL, LARGE])
    assert line == (
        "stage transcribe:whisperx asks 1 CPUs, 4 GPUs, 0 GiB for each worker, and no machine of the cluster has that "
        "(2 with 4 CPUs, 0 GPUs, 8 GiB; 1 with 16 CPUs, 2 GPUs, 64 GiB): set `executor.resources` to what one of them has, "
        "or its engine to `device: cpu`, or add a machine that is large enough"
    )


def test_dead_machines_hold_nothing() -> None:
    nodes: list[dict[str, Any]] = [
        {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
        {"Alive": True, "Resources": {"CPU": 2.0, "memory": 3 * 2**30}},
    ]
    assert machines(nodes) == [Machine(2, 0, 3)]


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
def test_a_ray_that_cannot_grow_refuses_and_one_that_may_grow_warns(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxmill.pipeline.execution.ray_executor import RayExecutor

    job = Job("segment", partial(jobs.Touch, str(tmp_path), "segment"), ("k",), Resources(cpus=1000))
    with pytest.raises(StageError, match="stage segment asks 1000 CPUs"):
        RayExecutor().run([job], lambda done: None)

    class Reached(Exception):
        pass

    def reached(*_: object, **__: object) -> None:
        raise Reached

    monkeypatch.setattr("ray.data.from_items", reached)
    with pytest.warns(match="stage segment asks 1000 CPUs.*waits until the cluster has grown"), pytest.raises(Reached):
        RayExecutor("auto").run([job], lambda done: None)


def test_a_worker_that_asks_nothing_is_limited_by_nothing() -> None:
    assert room(Resources(workers=7, cpus=0.0), Machine(cpus=2.0, gpus=0.0, memory_gb=4.0)) == 7
