"""Whether a cluster can hold the workers that a run asks for. Ray itself waits for ever, and says so to nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voxmill.pipeline.execution.executor import Pool
from voxmill.pipeline.stage import Resources


@dataclass(frozen=True, slots=True)
class Machine:
    """What one node of a cluster has."""

    cpus: float
    gpus: float
    memory_gb: float

    def holds(self, worker: Resources) -> bool:
        """Whether one such worker fits on an empty machine of this size."""
        return worker.cpus <= self.cpus and worker.gpus <= self.gpus and worker.memory_gb <= self.memory_gb

    def __str__(self) -> str:
        return _said(self.cpus, self.gpus, self.memory_gb)


def machines(nodes: Sequence[Mapping[str, Any]]) -> list[Machine]:
    """The living machines of a cluster, from what `ray.nodes()` tells."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    return [Machine(has.get("CPU", 0.0), has.get("GPU", 0.0), has.get("memory", 0.0) / 2**30) for has in alive]


def room(worker: Resources, machine: Machine) -> int:
    """How many such workers a machine holds.

    >>> room(Resources(cpus=0.9, memory_gb=3.0), Machine(cpus=4.0, gpus=0.0, memory_gb=10.0))
    3
    """
    asked = (worker.cpus, machine.cpus), (worker.gpus, machine.gpus), (worker.memory_gb, machine.memory_gb)
    return min((int(has / each) for each, has in asked if each), default=worker.workers)


def misplaced(pools: Sequence[Pool], cluster: Sequence[Machine]) -> Iterator[str]:
    """One line for every pool with a worker that no machine can hold: what it asks, what there is, and what to do."""
    there = "; ".join(f"{cluster.count(one)} with {one}" for one in dict.fromkeys(cluster)) or "none"
    for pool in pools:
        if not any(machine.holds(pool.resources) for machine in cluster):
            asked = _said(pool.resources.cpus, pool.resources.gpus, pool.resources.memory_gb)
            on_cpu = ", or its engine to `device: cpu`" if pool.resources.gpus else ""
            yield (
                f"stage {pool.name} asks {asked} for each worker, and no machine of the cluster has that ({there}): "
                f"set `executor.resources` to what one of them has{on_cpu}, or add a machine that is large enough"
            )


def _said(cpus: float, gpus: float, memory_gb: float) -> str:
    """
    >>> _said(2.0, 0.25, 7.456)
    '2 CPUs, 0.25 GPUs, 7.5 GiB'
    """
    return f"{cpus:g} CPUs, {gpus:g} GPUs, {round(memory_gb, 1):g} GiB"
