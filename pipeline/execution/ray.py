"""The Ray executor: a crew of actors for every pool of workers, and keys that go from one crew to the next as they are done.

What travels is one key, never a waveform. Placing, restarting and retrying are Ray's; what is ours is that retries are finite and that a
repeated key does no harm (`worker.py`). Ray Data would do the same for more: it streams blocks of data, of which there are none here,
and its driver's loop and helper processes cost a tenth of a core (`make bench-pipeline`).
"""

from __future__ import annotations

import logging
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

from voxmill.pipeline.execution.executor import Job, Member, Pool, Report, WorkerDied, pools, workers_for
from voxmill.pipeline.execution.faults import StageError
from voxmill.pipeline.execution.memory import KEEP_MEMORY, keep_memory
from voxmill.pipeline.execution.placement import machines, misplaced
from voxmill.pipeline.stage import Done

MAX_RETRIES = 16
"""Deaths that one key may cost. The ledger gives a unit up after fourteen at most."""


def start_ray(address: str | None) -> None:
    """Connects this process to a cluster, or starts Ray on this machine; nothing to do where that has happened."""
    import ray

    if not ray.is_initialized():
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it comments on workers that end on our terminal
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")  # workers that nobody would ever use
        if address is None:
            keep_memory()  # here Ray's workers inherit it; to a cluster it is sent, which makes a worker start later
        ray.init(
            address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None if address else False
        )


class RayExecutor:
    """`address=None` starts Ray on this machine; `"auto"` or `ray://host:port` joins a cluster.

    `workers` is how many take keys through stages that share them; None: one per core of the cluster, as memory allows.
    """

    def __init__(self, address: str | None = None, *, workers: int | None = None) -> None:
        self._workers, self._joined = workers, address is not None
        start_ray(address)

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        import ray

        streams = pools(jobs, self._workers or _workers())
        self._check_room(streams)
        crews = [Crew(pool, {"env_vars": KEEP_MEMORY} if self._joined else None) for pool in streams]
        try:
            for done in _drive(crews):
                report(done)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, StageError):
                raise error.cause from None
            raise
        except ray.exceptions.RayActorError as error:  # out of retries
            raise WorkerDied(f"a worker died again and again: {error}") from error
        finally:
            for crew in crews:
                crew.dismiss()

    def _check_room(self, streams: Sequence[Pool]) -> None:
        """Raises StageError for a worker that no machine can hold; a cluster that was joined may be one that grows on demand."""
        import ray

        lines = list(misplaced(streams, machines(ray.nodes())))
        if lines and not self._joined:
            raise StageError("\n".join(lines))
        for line in lines:
            warnings.warn(f"{line}; this run waits until the cluster has grown", stacklevel=2)


def _drive(crews: Sequence[Crew]) -> Iterator[Done]:
    """Gives every key to the crews that want it, in their order, and yields what they report."""
    import ray

    order = dict.fromkeys(key for crew in sorted(crews, key=lambda crew: -len(crew.wants)) for key in crew.wants)
    routes = {key: iter([crew for crew in crews if key in crew.wants]) for key in order}
    for key, route in routes.items():
        next(route).queue.append(key)
    while True:
        _begin(crews)
        pending = {ref: crew for crew in crews for ref in crew.busy}
        if not pending:
            return
        [ref], _ = ray.wait(list(pending), num_returns=1)
        ended, reports = pending[ref].end(ref)
        yield from reports
        if ended is not None and (after := next(routes[ended], None)):
            after.queue.append(ended)


def _begin(crews: Sequence[Crew]) -> None:
    """Hands out keys and makes workers, so that none can wait for ever, however small the cluster, and no crew starves the next.

    A crew asks for its first workers when the one before has one that is up, and for more when every crew has asked for its first.
    """
    for before, crew in pairwise([None, *crews]):
        if crew and (before is None or before.is_up):
            crew.start()
    if all(crew.has_asked for crew in crews):
        for crew in crews:
            crew.grow()
    for crew in crews:
        crew.hand_out()


class Crew:
    """The actors of one pool: some from the start, more as keys wait for them, none once every key is done."""

    def __init__(self, pool: Pool, environment: dict[str, Any] | None) -> None:
        import ray

        r = pool.resources
        self.wants = dict.fromkeys(pool.keys)
        self.queue: deque[str] = deque()
        self.busy: dict[Any, tuple[Any, str | None]] = {}
        """By the reference that Ray answers with: who is at work, and on which key; on none who is still being made."""
        self._free: list[Any] = []
        self.has_asked = self.is_up = False
        self._left = len(self.wants)
        self._most = min(r.workers, self._left)  # a worker without a key is only a start
        self._least = min(r.min_workers, self._most)
        self._make = ray.put(pool.make)
        self._actor = ray.remote(
            num_cpus=r.cpus,
            num_gpus=r.gpus,
            memory=int(r.memory_gb * 2**30) or None,
            scheduling_strategy="SPREAD",
            max_restarts=-1,  # a worker lives as long as the run; what bounds its restarts is that each key has an end
            max_task_retries=MAX_RETRIES,
            runtime_env=environment,
        )(_Actor)

    def start(self) -> None:
        """Asks for the workers that are there from the start; once."""
        if not self.has_asked:
            self.has_asked = True
            self._hire(self._least)

    def grow(self) -> None:
        """Asks for a worker for every key that would have to wait."""
        coming = sum(key is None for _, key in self.busy.values())
        self._hire(min(len(self.queue) - len(self._free) - coming, self._most - len(self._free) - len(self.busy)))

    def _hire(self, number: int) -> None:
        for _ in range(number):
            actor = self._actor.remote(self._make)
            self.busy[actor.__ray_ready__.remote()] = actor, None

    def hand_out(self) -> None:
        while self._free and self.queue:
            actor, key = self._free.pop(), self.queue.popleft()
            self.busy[actor.do.remote(key)] = actor, key

    def end(self, ref: Any) -> tuple[str | None, list[Done]]:
        """The key that is done, and its reports; (None, []) where a worker has been made. Raises what the worker raised."""
        import ray

        actor, key = self.busy.pop(ref)
        answer = ray.get(ref)
        self.is_up = True
        self._free.append(actor)
        if key is None:
            return None, []
        self._left -= 1
        if not self._left:
            self.dismiss()
        return key, answer

    def dismiss(self) -> None:
        """Ends every worker: who is idle by itself, who is at work or still being made at once."""
        import ray

        for actor, _ in self.busy.values():
            with suppress(ray.exceptions.RayError):  # of a cluster that is gone: what it failed with is on its way already
                ray.kill(actor)
        self.busy, self._free = {}, []


class _Actor:
    """A worker as Ray wants it."""

    def __init__(self, make: Callable[[], Member]) -> None:
        self._member = make()

    def do(self, key: str) -> list[Done]:
        return list(self._member(key))


def _workers() -> int:
    import ray

    cluster = ray.cluster_resources()
    return workers_for(cluster.get("CPU", 1), cluster.get("memory", 0) / 2**30)
