"""The Ray executor: the whole chain as one Ray Data stream, one autoscaling actor pool per pool of workers.

One row is one key, never a waveform. Scheduling, back-pressure and retries are Ray's; what is ours is that retries are finite
and that a repeated key does no harm (`worker.py`).
"""

from __future__ import annotations

import io
import logging
import os
import pickle
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from voxmill.pipeline.execution.executor import Job, Member, Pool, Report, WorkerDied, pools, workers_for
from voxmill.pipeline.execution.faults import StageError
from voxmill.pipeline.execution.memory import KEEP_MEMORY, keep_memory
from voxmill.pipeline.execution.placement import machines, misplaced
from voxmill.pipeline.stage import Done, Resources

MAX_RETRIES = 16
"""Deaths that one key may cost; Ray's default for actor pools is for ever. The ledger gives a unit up after fourteen at most."""

MAX_BLOCKS = 10_000
"""Each key is a block of its own, and is reported as soon as it is done, up to so many: the driver holds them all."""

MANY = 16
"""Keys per worker from which a worker is handed its next block early. With fewer, one would wait behind a busy worker at the end."""


def start_ray(address: str | None) -> None:
    """Connects this process to a cluster, or starts Ray on this machine; nothing to do where that has happened."""
    import ray

    if not ray.is_initialized():
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it comments on Ray Data's own actors on our terminal
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
        from ray.data import ActorPoolStrategy, DataContext

        streams = pools(jobs, self._workers or _workers())
        if not streams:
            return
        self._check_room(streams)
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.max_errored_blocks = 0
        for noisy in ("ray.data", "ray.data._internal.execution"):
            logging.getLogger(noisy).setLevel(logging.ERROR)  # the display is ours
        keys = list(Pool(tuple(job for pool in streams for job in pool.jobs), Resources()).keys)
        rows = [{"key": key, "done": b"", "failure": ""} for key in keys]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of `ray_remote_args_fn`, see below
            stream = ray.data.from_items(rows, override_num_blocks=min(len(rows), MAX_BLOCKS))
            for pool in streams:
                r, num_keys = pool.resources, len(pool.keys)
                ahead = 2 if num_keys >= MANY * r.workers else 1
                stream = stream.map(
                    _Actor,
                    fn_constructor_args=(pool.make,),
                    compute=ActorPoolStrategy(
                        min_size=min(r.min_workers, r.workers, num_keys),  # a worker without a key is only a start
                        max_size=r.workers,
                        max_tasks_in_flight_per_actor=ahead,
                    ),
                    num_cpus=r.cpus,
                    num_gpus=r.gpus,
                    memory=int(r.memory_gb * 2**30) or None,
                    ray_remote_args_fn=_on_a_cluster if self._joined else _finite_retries,
                )
            try:
                with closing(iter(stream.iter_rows())) as done:
                    for row in done:
                        _forward(row, report)
            except ray.exceptions.RayActorError as error:  # out of retries
                raise WorkerDied(f"a worker died again and again on the same key: {error}") from error

    def _check_room(self, streams: Sequence[Pool]) -> None:
        """Raises StageError for a worker that no machine can hold; a cluster that was joined may be one that grows on demand."""
        import ray

        lines = list(misplaced(streams, machines(ray.nodes())))
        if lines and not self._joined:
            raise StageError("\n".join(lines))
        for line in lines:
            warnings.warn(f"{line}; this run waits until the cluster has grown", stacklevel=2)


def _finite_retries() -> dict[str, Any]:
    """Ray Data has no other way to say this: its own default is to retry for ever.

    Restarts are not bounded: a worker lives as long as the run, and what bounds them is that each key has an end.
    """
    return {"max_restarts": -1, "max_task_retries": MAX_RETRIES}


def _on_a_cluster() -> dict[str, Any]:
    return {**_finite_retries(), "runtime_env": {"env_vars": KEEP_MEMORY}}


class _Actor:
    """A worker as Ray Data wants it: a row in, the row out, with what the worker has to say of its key.

    A row carries reports along, so that no other process is needed to collect them: an idle process of Ray's costs a hundredth of a
    core. It also carries a failure, as Ray Data would give the driver only its text, among a traceback.
    """

    def __init__(self, make: Callable[[], Member]) -> None:
        self._member = make()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if row["failure"]:
            return row
        done, failure = list[Done](), ""
        try:
            for one in self._member(row["key"]):
                done.append(one)
        except StageError as error:
            failure = str(error)
        return {"key": row["key"], "done": row["done"] + b"".join(map(pickle.dumps, done)), "failure": failure}


def _forward(row: dict[str, Any], report: Report) -> None:
    """Raises StageError where the row says so."""
    source = io.BytesIO(row["done"])
    while source.tell() < len(row["done"]):
        report(pickle.load(source))
    if row["failure"]:
        raise StageError(row["failure"])


def _workers() -> int:
    import ray

    cluster = ray.cluster_resources()
    return workers_for(cluster.get("CPU", 1), cluster.get("memory", 0) / 2**30)
