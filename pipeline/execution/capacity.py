"""What a cluster can hold, and what it lacks. Ray itself waits for ever, and says so to nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voxmill.pipeline.execution.crew import Room
from voxmill.pipeline.execution.pools import Pool, workers_for
from voxmill.pipeline.stage import Resources


@dataclass(frozen=True, slots=True)
class Machine:
    """What one node of a cluster has."""

    cpus: float
    gpus: float
    memory_gb: float
    custom: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    """Of the node."""

    def holds(self, worker: Resources) -> bool:
        """Whether one such worker fits on an empty machine of this size."""
        return self._suits(worker) and all(each <= has for each, has in self._asked(worker))

    def room(self, worker: Resources) -> int | None:
        """How many such workers it holds; None where they ask for nothing that it could run out of.

        >>> Machine(cpus=4.0, gpus=0.0, memory_gb=10.0).room(Resources(cpus=0.9, memory_gb=3.0))
        3
        """
        if not self._suits(worker):
            return 0
        return min((int(has / each) for each, has in self._asked(worker) if each), default=None)

    def _suits(self, worker: Resources) -> bool:
        return all(_matches(self.labels.get(name), wanted) for name, wanted in worker.labels.items())

    def _asked(self, worker: Resources) -> list[tuple[float, float]]:
        usual = [(worker.cpus, self.cpus), (worker.gpus, self.gpus), (worker.memory_gb, self.memory_gb)]
        return usual + [(amount, self.custom.get(name, 0.0)) for name, amount in worker.custom.items()]

    def __str__(self) -> str:
        return _said(self.cpus, self.gpus, self.memory_gb)


def machines(nodes: Sequence[Mapping[str, Any]]) -> list[Machine]:
    """The living machines of a cluster, from what `ray.nodes()` tells."""
    return [_machine(node, node["Resources"]) for node in nodes if node["Alive"]]


def _machine(node: Mapping[str, Any], has: Mapping[str, float]) -> Machine:
    labels, memory = node.get("Labels", {}), has.get("memory", 0.0) / 2**30
    return Machine(has.get("CPU", 0.0), has.get("GPU", 0.0), memory, has, labels, node["NodeID"])


def room_for(pool: Pool, cluster: Sequence[Machine], *, grows: bool) -> Room:
    """How many workers of a pool there may be. One that `grows` may ask for machines that are not there yet.

    Without a stated number it is what the machines hold. Those that ask for less than half a core do so to find a place beside others, not
    to have ten processes on it: of them there is one for each core. Workers that do all stages also count with the memory of their models.
    """
    worker = pool.resources
    shared = len(pool.jobs) > 1 or pool.jobs[0].shares
    light = not worker.gpus and worker.cpus < 0.5
    by_place, by_core = 0, 0
    for machine in cluster:
        cores = max(1, int(machine.cpus)) if machine.holds(worker) else 0
        held = machine.room(worker)
        held = cores if held is None else held
        if shared and held and not worker.memory_gb:
            held = min(held, workers_for(cores, machine.memory_gb))
        by_place += held
        by_core += min(held, cores)
    most = max(1, by_core if light else by_place)
    if not grows:
        return Room(min(worker.workers or most, max(1, by_place)))
    if worker.workers is not None:
        return Room(worker.workers)
    return Room(most, more=0 if light and by_place else most)


def emptiest(worker: Resources, cluster: Sequence[Machine], its: Mapping[str, int], all_workers: Mapping[str, int]) -> str:
    """Id of the machine on which one more worker of a pool should be: every one gets its first before any gets its second.

    `its` are how many of the pool each machine has, by id, `all_workers` how many of all pools. Empty where there is nothing to choose.

    >>> two = [Machine(cpus=4.0, gpus=0.0, memory_gb=8.0, id="a"), Machine(cpus=1.0, gpus=0.0, memory_gb=8.0, id="b")]
    >>> emptiest(Resources(cpus=0.1), two, {"a": 1}, {"a": 1, "b": 3}), emptiest(Resources(cpus=0.1), two, {"a": 1, "b": 1}, {})
    ('b', 'a')
    >>> emptiest(Resources(cpus=2), two, {"a": 1}, {})
    ''
    """
    able = [machine for machine in cluster if machine.holds(worker)]
    if len(able) < 2:
        return ""

    def share(machine: Machine) -> tuple[float, int, str]:
        return its.get(machine.id, 0) / (machine.room(worker) or 1), all_workers.get(machine.id, 0), machine.id

    return min(able, key=share).id


def misplaced(pools: Sequence[Pool], cluster: Sequence[Machine]) -> Iterator[str]:
    """One line for every pool with a worker that no machine can hold: what it asks, what there is, and what to do."""
    for pool in pools:
        if not any(machine.holds(pool.resources) for machine in cluster):
            on_cpu = ", or its engine to `device: cpu`" if pool.resources.gpus else ""
            yield (
                f"stage {pool.name} asks {asked(pool.resources)} for each worker, and no machine of the cluster has that "
                f"({available(cluster)}): set `executor.resources` to what one of them has{on_cpu}, "
                "or add a machine that is large enough"
            )


def available(cluster: Sequence[Machine]) -> str:
    """The machines of a cluster, for people."""
    sizes = [str(machine) for machine in cluster]
    return "; ".join(f"{sizes.count(one)} with {one}" for one in dict.fromkeys(sizes)) or "none"


def asked(worker: Resources) -> str:
    """What a worker asks for, for people.

    >>> asked(Resources(cpus=2, labels={"zone": "a"}, custom={"licence": 1}))
    '2 CPUs, 0 GPUs, 0 GiB, 1 licence, a node labelled zone=a'
    """
    more = [f"{amount:g} {name}" for name, amount in worker.custom.items()]
    more += [f"a node labelled {name}={value}" for name, value in worker.labels.items()]
    return ", ".join([_said(worker.cpus, worker.gpus, worker.memory_gb), *more])


def _matches(has: str | None, wanted: str) -> bool:
    """Ray's label selectors.

    >>> [_matches("a", "a"), _matches("a", "!a"), _matches("b", "in(a, b)"), _matches(None, "a"), _matches(None, "!in(a, b)")]
    [True, False, True, False, True]
    """
    plain = wanted.removeprefix("!")
    values = re.split(r",\s*", plain[3:-1]) if plain.startswith("in(") else [plain]
    return (has in values) != wanted.startswith("!")


def _said(cpus: float, gpus: float, memory_gb: float) -> str:
    """
    >>> _said(2.0, 0.25, 7.456)
    '2 CPUs, 0.25 GPUs, 7.5 GiB'
    """
    return f"{cpus:g} CPUs, {gpus:g} GPUs, {round(memory_gb, 1):g} GiB"
