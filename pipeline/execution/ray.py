"""The Ray executor: the whole chain as one Ray Data stream, one autoscaling actor pool per pool of workers.

One row is one key, never a waveform. Scheduling, back-pressure and retries are Ray's; what is ours is that retries are finite
and that a repeated key does no harm (`worker.py`).
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Any

from voxmill.pipeline.execution.executor import Job, Member, Pool, Report, WorkerDied, pools, workers_for
from voxmill.pipeline.execution.faults import StageError
from voxmill.pipeline.execution.placement import machines, misplaced
from voxmill.pipeline.stage import Done, Resources

MAX_RETRIES = 16
"""Deaths that one key may cost; Ray's default for actor pools is for ever. The ledger gives a unit up after fourteen at most."""

KEYS_PER_BLOCK = 4
"""Ray Data spends tens of milliseconds on a block, whatever is in it; too many keys in one would starve a second worker."""

MANY = 16
"""Keys per worker from which a worker is handed its next block early. With fewer, one would wait behind a busy worker at the end."""

REPORT_EVERY_S = 1.0
"""How often the driver asks for what workers have reported."""


def start_ray(address: str | None) -> None:
    """Connects this process to a cluster, or starts Ray on this machine; nothing to do where that has happened."""
    import ray

    if not ray.is_initialized():
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it comments on Ray Data's own actors on our terminal
        ray.init(
            address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None if address else False
        )


class RayExecutor:
    """`address=None` starts Ray on this machine; `"auto"` or `ray://host:port` joins a cluster.

    `workers` is how many take keys through stages that share them; None: one per core of the cluster, as memory allows.
    """

    def __init__(self, address: str | None = None, *, workers: int | None = None, keys_per_block: int | None = None) -> None:
        self._workers, self._keys_per_block, self._may_grow = workers, keys_per_block, address is not None
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
        blocks = max(1, len(keys) // (self._keys_per_block or _block_size(len(keys), streams)))
        with _Reports(report) as reports, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of `ray_remote_args_fn`, see below
            stream = ray.data.from_items([{"key": key} for key in keys], override_num_blocks=min(blocks, len(keys)))
            for pool in streams:
                r, num_keys = pool.resources, len(pool.keys)
                ahead = 2 if num_keys >= MANY * r.workers else 1
                stream = stream.map_batches(
                    _Actor,
                    fn_constructor_args=(pool.make, reports.sink),
                    batch_size=1,
                    zero_copy_batch=True,
                    compute=ActorPoolStrategy(
                        min_size=min(r.min_workers, r.workers, num_keys),  # a worker without a key is only a start
                        max_size=r.workers,
                        max_tasks_in_flight_per_actor=ahead,
                    ),
                    num_cpus=r.cpus,
                    num_gpus=r.gpus,
                    memory=int(r.memory_gb * 2**30) or None,
                    ray_remote_args_fn=_finite_retries,
                )
            try:
                for _ in stream.iter_batches(batch_size=None):
                    pass
            except ray.exceptions.RayActorError as error:  # out of retries
                raise WorkerDied(f"a worker died again and again on the same key: {error}") from error
            except ray.exceptions.RayTaskError as error:
                if message := ray.get(reports.sink.failure.remote()):
                    raise StageError(message) from error
                raise

    def _check_room(self, streams: Sequence[Pool]) -> None:
        """Raises StageError for a worker that no machine can hold; a cluster that was joined may be one that grows on demand."""
        import ray

        lines = list(misplaced(streams, machines(ray.nodes())))
        if lines and not self._may_grow:
            raise StageError("\n".join(lines))
        for line in lines:
            warnings.warn(f"{line}; this run waits until the cluster has grown", stacklevel=2)


def _finite_retries() -> dict[str, Any]:
    """Ray Data has no other way to say this: its own default is to retry for ever.

    Restarts are not bounded: a worker lives as long as the run, and what bounds them is that each key has an end.
    """
    return {"max_restarts": -1, "max_task_retries": MAX_RETRIES}


class _Actor:
    """A worker as Ray Data wants it: a batch of keys in, the same batch out."""

    def __init__(self, make: Callable[[], Member], sink: Any) -> None:
        self._member, self._sink = make(), sink

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        import ray

        for key in batch["key"]:
            try:
                for done in self._member(str(key)):
                    self._sink.report.remote(done)
            except StageError as error:  # Ray Data gives the driver only its text, among a traceback
                ray.get(self._sink.fail.remote(str(error)))
                raise
        return batch


class _Sink:
    """Collects what workers report until the driver asks for it."""

    def __init__(self) -> None:
        self._done: list[Done] = []
        self._failure: str | None = None

    def fail(self, message: str) -> None:
        self._failure = message

    def failure(self) -> str | None:
        return self._failure

    def report(self, done: Done) -> None:
        self._done.append(done)

    def drain(self) -> list[Done]:
        done, self._done = self._done, []
        return done


class _Reports:
    """Forwards workers' reports to the driver's callback while the stream runs."""

    def __init__(self, report: Report) -> None:
        import ray

        self._report, self._stop = report, Event()
        self.sink: Any = ray.remote(num_cpus=0, max_restarts=3)(_Sink).remote()
        self._thread = Thread(target=self._forward, daemon=True)

    def __enter__(self) -> _Reports:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._drain()

    def _forward(self) -> None:
        while not self._stop.wait(REPORT_EVERY_S):
            self._drain()

    def _drain(self) -> None:
        import ray

        for done in ray.get(self.sink.drain.remote()):
            self._report(done)


def _workers() -> int:
    import ray

    cluster = ray.cluster_resources()
    return workers_for(cluster.get("CPU", 1), cluster.get("memory", 0) / 2**30)


def _block_size(num_keys: int, streams: Sequence[Pool]) -> int:
    """Several keys to a block on long runs; single keys where there are too few to feed every worker several blocks."""
    workers = max(pool.resources.workers for pool in streams)
    return max(1, min(KEYS_PER_BLOCK, num_keys // (8 * workers)))
