"""One pool of workers on this machine's Ray: a crew of actors, each of which is handed its next key when it is done with one.

Ray Data does this and more (`ray_data.py`), for a twentieth of two cores: its driver's loop and three actors of its own are always busy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from voxmill.pipeline.execution.capacity import machines, room
from voxmill.pipeline.execution.executor import MAX_DEATHS, Pool, PoolWorker, Report
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.stage import Done

LOOK_S = 5.0
"""How often the driver looks whether Ray is still there while no worker says anything (s)."""


def run_crew(pool: Pool, report: Report, environment: Mapping[str, str]) -> None:
    """Every key of the pool; workers are told `environment`. Raises StageError, and Ray's error where retries are out.

    Nobody waits for ever: there are never more workers than the machine holds, so that one who has to be started again finds its
    cores; and only who has started is handed keys.
    """
    import ray

    r = pool.resources
    actor = ray.remote(
        num_cpus=r.cpus,
        num_gpus=r.gpus,
        memory=int(r.memory_gb * 2**30) or None,
        max_restarts=-1,  # a worker lives as long as the run; what bounds its restarts is that each key has an end
        max_task_retries=MAX_DEATHS,
        runtime_env={"env_vars": dict(environment)} if environment else None,
    )(_Actor)
    waiting, make = deque(pool.keys), ray.put(pool.make)
    size = min(r.workers, len(waiting), max(1, sum(room(r, machine) for machine in machines(ray.nodes()))))
    crew = [actor.remote(make) for _ in range(size)]
    starting = {worker.__ray_ready__.remote(): worker for worker in crew}
    busy: dict[Any, Any] = {}
    try:
        while waiting or busy:
            ready, _ = ray.wait([*busy, *starting], timeout=LOOK_S)
            if not ready and not machines(ray.nodes()):
                raise StageError("Ray has ended on this machine: `ray stop`, or no memory left; the same command continues")
            for ref in ready:
                if ref in busy:
                    worker, done = busy.pop(ref), ray.get(ref)
                    for one in done:
                        report(one)
                else:
                    worker = starting.pop(ref)
                    ray.get(ref)
                if waiting:
                    busy[worker.do.remote(waiting.popleft())] = worker
                else:
                    ray.kill(worker)  # its cores are free for one that has to be started again
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, StageError):
            raise error.cause from None
        raise
    finally:
        for worker in crew:
            with suppress(ray.exceptions.RayError):
                ray.kill(worker)


class _Actor:
    """A worker as Ray wants it."""

    def __init__(self, make: Callable[[], PoolWorker]) -> None:
        self._member = make()

    def do(self, key: str) -> list[Done]:
        return list(self._member(key))
