"""Workers of a run as actors of a Ray cluster. Where an actor finds its place, and that machines come for those that find none, is Ray's.

What a worker hands on to the next pool travels from worker to worker as an object of Ray's; the driver holds its reference.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from voxmill.pipeline.execution.capacity import Machine, asked, available, emptiest, machines, misplaced, room_for
from voxmill.pipeline.execution.crew import (
    Action,
    CarriedLost,
    Died,
    Event,
    Flush,
    Hand,
    Placed,
    Ready,
    Room,
    Start,
    TasksHandled,
)
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.execution.pool_worker import Handled, PoolWorker, PoolWorkerSpec, Task
from voxmill.pipeline.execution.pools import Pool
from voxmill.pipeline.stage import Resources

NODES_S = 3.0
"""How often the driver reads which nodes there are (s)."""

GRACE_S = 10.0
"""How long workers may take to commit what is finished, when the run is stopped (s)."""


class RayCrew:
    """See `Crew`. Workers are told `environment`. On a cluster that was joined, workers may wait for a place: it may grow."""

    def __init__(
        self, pools: Sequence[Pool], specs: Sequence[PoolWorkerSpec], environment: Mapping[str, str], *, joined: bool
    ) -> None:
        self._pools, self._joined = pools, joined
        self._passes_on = [spec.passes_on for spec in specs]
        self._specs = [ray.put(spec) for spec in specs]
        self._classes = [ray.remote(**_options(pool.resources, environment))(_Actor) for pool in pools]
        self._actors: dict[int, Any] = {}
        self._pool_of: dict[int, int] = {}
        self._nodes: dict[int, str] = {}
        """Ids of the nodes of workers that have their place."""
        self._addresses: dict[int, str] = {}
        self._aims: dict[int, str] = {}
        """Where those were to find it that were sent to a node."""
        self._refs: dict[Any, tuple[int, str, list[Any]]] = {}
        """What is waited for: whose it is, what it is, and the references to what its keys carry."""
        self._looked = float("-inf")
        self._alive: set[str] = set()
        self._cluster: list[Machine] = []
        self._rooms: list[Room] = []

    def carry_out(self, action: Action) -> None:
        """See `Crew`."""
        if isinstance(action, Start):
            self._pool_of[action.worker] = action.pool
            actor = self._classes[action.pool].options(scheduling_strategy=self._aim(action.worker)).remote()
            self._actors[action.worker] = actor
            self._expect(action.worker, "placed", [actor.place.remote()])
            self._expect(action.worker, "ready", [actor.load.remote(self._specs[action.pool])])
        elif isinstance(action, Hand):
            actor, carried = self._actors[action.worker], [task.carried for task in action.tasks]
            bare, count = [replace(task, carried=None) for task in action.tasks], 0
            if self._passes_on[self._pool_of[action.worker]]:
                count = len(bare)
            if not any(one is not None for one in carried):
                carried = []
            refs = actor.work.options(num_returns=1 + count).remote(bare, action.step, count, *carried)
            self._expect(action.worker, "handled", refs if count else [refs])
        elif isinstance(action, Flush):
            self._expect(action.worker, "handled", [self._actors[action.worker].flush.remote()])
        else:
            self._end(action.worker)

    def wait(self, seconds: float) -> Iterable[Event]:
        """See `Crew`. Raises StageError where Ray has ended on this machine."""
        pending = list(self._refs)
        if not pending:
            time.sleep(seconds)
            return []
        ready, _ = ray.wait(pending, timeout=seconds, fetch_local=False)
        if ready and len(pending) > 1:
            ready, _ = ray.wait(pending, num_returns=len(pending), timeout=0, fetch_local=False)
        events = list[Event]()
        for ref in ready:
            if ref in self._refs:
                worker, kind, carried = self._refs.pop(ref)
                events.append(self._event(worker, kind, ref, carried))
        return events

    def rooms(self) -> Sequence[Room]:
        """See `Crew`."""
        if time.monotonic() - self._looked > NODES_S:
            self._look()
        return self._rooms

    def missing(self, pool: int, long: bool) -> str | None:
        """See `Crew`."""
        cluster = machines(ray.nodes())
        if line := next(misplaced([self._pools[pool]], cluster), None):
            return f"{line}; waiting until the cluster has grown"
        of = self._pools[pool]
        return (
            None
            if not long
            else (
                f"waiting for a place for a worker of {of.name}, which asks {asked(of.resources)}: "
                f"the cluster ({available(cluster)}) is busy with other work"
            )
        )

    def stop(self) -> Iterator[Handled]:
        """See `Crew`. A worker that is in the middle of a key for longer loses what it holds."""
        try:
            refs = [self._actors[worker].flush.remote() for worker in self._nodes]
            ready, _ = ray.wait(refs, num_returns=len(refs), timeout=GRACE_S) if refs else ([], [])
            for ref in ready:
                with suppress(ray.exceptions.RayError):
                    yield ray.get(ref)
        finally:
            for worker in list(self._actors):
                self._end(worker)

    def _aim(self, worker: int) -> Any:
        """Ray's SPREAD goes round the nodes for all pools together, so that a pool of few may be on one node alone, which then does
        all of a stage, and fetches with one machine's network. A node without room for it now passes it on to another one."""
        pool, its, every = self._pool_of[worker], Counter[str](), Counter[str]()
        for other, node in {**self._aims, **self._nodes}.items():
            every[node] += 1
            its[node] += self._pool_of[other] == pool
        node = emptiest(self._pools[pool].resources, self._cluster, its, every)
        if not node:
            return "SPREAD"
        self._aims[worker] = node
        return NodeAffinitySchedulingStrategy(node, soft=True, _spill_on_unavailable=True)

    def _expect(self, worker: int, kind: str, refs: list[Any]) -> None:
        self._refs[refs[0]] = (worker, kind, refs[1:])

    def _event(self, worker: int, kind: str, ref: Any, carried: list[Any]) -> Event:
        try:
            said = ray.get(ref)
        except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError) as error:  # the latter by Ray's memory monitor
            return self._died(worker, error)
        except ray.exceptions.ObjectLostError:
            return CarriedLost(worker)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, ray.exceptions.ObjectLostError):
                return CarriedLost(worker)
            if isinstance(cause, StageError):
                where = self._addresses.get(worker)
                raise StageError(f"{cause} (on {where})" if self._joined and where else str(cause)) from None
            raise
        if kind == "placed":
            self._nodes[worker], self._addresses[worker] = said
            return Placed(worker, said[1])
        if kind == "ready":
            return Ready(worker)
        sent = tuple(ref if there else None for ref, there in zip(carried, said.carried, strict=False))
        return TasksHandled(worker, replace(said, carried=sent or said.carried))

    def _died(self, worker: int, error: Any) -> Died:
        """A worker that cannot be reached is given up: it is ended if it can be, and what it may still say is not heard."""
        node = self._nodes.get(worker)
        self._look()
        gone = node is not None and node not in self._alive
        unreachable = isinstance(error, ray.exceptions.ActorUnavailableError)
        lost = gone or unreachable or getattr(error, "preempted", False) or "its node has died" in str(error)
        self._end(worker)
        return Died(worker, _reason(str(error)), node_lost=lost)

    def _end(self, worker: int) -> None:
        actor = self._actors.pop(worker, None)
        if actor is None:
            return
        for known in (self._nodes, self._addresses, self._aims):
            known.pop(worker, None)
        for ref in [ref for ref, (owner, _, _) in self._refs.items() if owner == worker]:
            del self._refs[ref]
        with suppress(ray.exceptions.RayError):
            ray.kill(actor)

    def _look(self) -> None:
        nodes = ray.nodes()
        cluster = machines(nodes)
        if not cluster:
            raise StageError("Ray has ended on this machine: `ray stop`, or no memory left; the same command continues")
        self._alive = {node["NodeID"] for node in nodes if node["Alive"]}
        self._cluster = cluster
        self._rooms = [room_for(pool, cluster, grows=self._joined) for pool in self._pools]
        self._looked = time.monotonic()


def _options(worker: Resources, environment: Mapping[str, str]) -> dict[str, Any]:
    """A worker that dies is not started again by Ray: the dispatcher starts another one, and knows what the dead one had in its hands."""
    return {
        "num_cpus": worker.cpus,
        "num_gpus": worker.gpus,
        "memory": int(worker.memory_gb * 2**30) or None,
        "resources": dict(worker.custom) or None,
        "label_selector": dict(worker.labels) or None,
        "scheduling_strategy": "SPREAD",
        "max_restarts": 0,
        "max_task_retries": 0,
        "runtime_env": {"env_vars": dict(environment)} if environment else None,
    }


def _reason(said: str) -> str:
    """The last line of what Ray says of a death, which tells why."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:160] if lines else "it is gone"


class _Actor:
    """A worker as Ray wants it. It has its place before it loads anything."""

    def __init__(self) -> None:
        self._worker: PoolWorker | None = None

    def place(self) -> tuple[str, str]:
        """Id and address of its node."""
        return ray.get_runtime_context().get_node_id(), ray.util.get_node_ip_address()

    def load(self, spec: PoolWorkerSpec) -> None:
        self._worker = spec()

    def work(self, tasks: Sequence[Task], step: int | None, count: int, *carried: Any) -> Any:
        """`count` carried are returned beside what is said of them; without any, only that."""
        assert self._worker is not None
        if carried:
            tasks = [replace(task, carried=carried) for task, carried in zip(tasks, carried, strict=True)]
        handled = self._worker.work(tasks, step)
        if not count:
            return handled
        flags = tuple(True if one is not None else None for one in handled.carried)
        made = [*handled.carried, *[None] * (count - len(handled.carried))]
        return [replace(handled, carried=flags), *made]

    def flush(self) -> Handled:
        return self._worker.flush() if self._worker is not None else Handled(covered=0)
