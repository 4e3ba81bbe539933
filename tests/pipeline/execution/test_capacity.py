"""What no machine of a cluster can hold is said before anything waits for it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

import jobs
from voxmill.pipeline.execution.capacity import Machine, emptiest, machines, misplaced, room_for
from voxmill.pipeline.execution.crew import Room
from voxmill.pipeline.execution.executor import Books, Job, KeyOnly
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.execution.pools import Pool
from voxmill.pipeline.stage import Resources

SMALL, LARGE = Machine(4, 0, 8.0, {}, {"zone": "b"}), Machine(16, 2, 64.0, {"licence": 2.0}, {"zone": "b"})


def pool(*, shares: bool = False, **asked: Any) -> Pool:
    resources = Resources(**asked)
    return Pool((Job("transcribe:whisperx", jobs.Touch, ("k",), resources, shares),), resources)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"cpus": 16, "gpus": 2, "memory_gb": 64}, True),
        ({"cpus": 17}, False),
        ({"gpus": 2.5}, False),
        ({"memory_gb": 65}, False),
        ({"workers": 100, "cpus": 16}, True),
        ({"custom": {"licence": 2}}, True),
        ({"custom": {"licence": 3}}, False),
        ({"labels": {"zone": "in(a, b)"}}, True),
        ({"labels": {"zone": "!b"}}, False),
        ({"labels": {"zone": "c"}}, False),
    ],
)
def test_a_worker_needs_one_machine_that_has_it_all(asked: dict[str, Any], fits: bool) -> None:
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
        {"Alive": False, "NodeID": "a", "Resources": {"CPU": 64.0, "GPU": 8.0}},
        {"Alive": True, "NodeID": "b", "Resources": {"CPU": 2.0, "memory": 3 * 2**30}},
    ]
    assert machines(nodes) == [Machine(2, 0, 3, {"CPU": 2.0, "memory": 3 * 2**30}, id="b")]


@pytest.mark.parametrize(
    ("asked", "grows", "room"),
    [
        ({"cpus": 0.9}, False, Room(25)),
        ({"cpus": 0.9}, True, Room(25, more=25)),
        ({"cpus": 0.1}, True, Room(24)),  # one for each core; more machines would not help
        ({"cpus": 1, "gpus": 0.5}, True, Room(4, more=4)),
        ({"cpus": 0.0}, False, Room(24)),
        ({"workers": 100, "cpus": 1}, True, Room(100)),
        ({"workers": 100, "cpus": 1}, False, Room(24)),
        ({"workers": 3, "cpus": 1}, False, Room(3)),
        ({"cpus": 1, "labels": {"zone": "a"}}, False, Room(1)),
        ({"cpus": 1, "custom": {"licence": 1}}, False, Room(2)),
        ({"cpus": 0.9, "shares": True}, False, Room(20)),  # 2 by the memory of each small one
        ({"cpus": 0.9, "memory_gb": 2.0, "shares": True}, False, Room(25)),
    ],
)
def test_a_pool_is_as_large_as_what_the_machines_hold(asked: dict[str, Any], grows: bool, room: Room) -> None:
    assert room_for(pool(**asked), [SMALL, SMALL, LARGE], grows=grows) == room


def test_an_empty_head_has_room_for_the_first_worker_that_asks_for_a_machine() -> None:
    assert room_for(pool(cpus=0.1), [Machine(0, 0, 4.0)], grows=True) == Room(1, more=1)


def test_every_machine_gets_a_worker_of_a_pool_before_any_gets_a_second_and_a_large_one_gets_more() -> None:
    small, large = Machine(2, 0, 8.0, id="a"), Machine(8, 0, 8.0, id="b")
    its: dict[str, int] = {}
    order = []
    for _ in range(10):
        node = emptiest(Resources(cpus=1), [small, large], its, its)
        its[node] = its.get(node, 0) + 1
        order.append(node)
    assert set(order[:2]) == {"a", "b"}
    assert its == {"a": 2, "b": 8}, "as many as they have room for"


def test_a_worker_is_sent_nowhere_where_there_is_no_choice() -> None:
    assert emptiest(Resources(cpus=1), [], {}, {}) == ""
    assert emptiest(Resources(custom={"licence": 1}), [SMALL, LARGE], {}, {}) == "", "only one has it"


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
def test_a_ray_that_cannot_grow_refuses_and_one_that_may_grow_says_what_it_waits_for(local_ray: None, tmp_path: Path) -> None:
    from voxmill.pipeline.execution.ray_executor import RayExecutor

    job = Job("segment", partial(KeyOnly, partial(jobs.Touch, str(tmp_path), "segment")), ("k",), Resources(cpus=1000))
    with pytest.raises(StageError, match="stage segment asks 1000 CPUs"):
        RayExecutor().run([job], lambda done: None)

    class Reached(Exception):
        pass

    def say(line: str) -> None:
        assert line.startswith("stage segment asks 1000 CPUs")
        assert line.endswith("waiting until the cluster has grown")
        raise Reached

    with pytest.raises(Reached):
        RayExecutor("auto").run([job], lambda done: None, Books(say=say))
