"""The Ray executor. What travels is a key, never a waveform.

A chain of pools, and all that grow with a cluster, are one stream of Ray Data (`ray_data.py`); one pool on this machine alone is a crew
of actors (`ray_actors.py`). Placing, restarting and retrying are Ray's; what is ours is that retries are finite and that a repeated key does
no harm (`worker.py`).
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile

from voxmill.pipeline.execution.capacity import machines, misplaced
from voxmill.pipeline.execution.cpu_type import SAME_RESULTS
from voxmill.pipeline.execution.executor import Job, Pool, Report, WorkerDied, pools, workers_for
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.execution.malloc import KEEP_MEMORY, keep_memory
from voxmill.pipeline.execution.ray_actors import run_crew
from voxmill.pipeline.execution.ray_data import run_stream


def start_ray(address: str | None) -> None:
    """Connects this process to a cluster, or starts Ray on this machine; nothing to do where that has happened."""
    import ray

    if not ray.is_initialized():
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it comments on Ray Data's own actors on our terminal
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")  # workers that nobody would ever use
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray tells its makers nothing of a run unless its user says so
        if address is None:
            keep_memory()  # here Ray's workers inherit it; to a cluster it is sent, which makes a worker start later
        with _remarks_only_where_it_fails():
            ray.init(
                address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None if address else False
            )


@contextmanager
def _remarks_only_where_it_fails() -> Iterator[None]:
    """Keeps what Ray's C++ remarks on standard error while it starts (that it read its log level) off the terminal."""
    sys.stderr.flush()
    own = os.dup(2)
    with TemporaryFile() as remarks:
        os.dup2(remarks.fileno(), 2)
        try:
            yield
        except BaseException:
            remarks.seek(0)
            os.write(own, remarks.read())
            raise
        finally:
            os.dup2(own, 2)
            os.close(own)


class RayExecutor:
    """`address=None` starts Ray on this machine; `"auto"` or `ray://host:port` joins a cluster.

    `workers` is how many take keys through stages that share them; None: one per core of the cluster, as memory allows.
    """

    def __init__(self, address: str | None = None, *, workers: int | None = None, same_results: bool = False) -> None:
        self._workers, self._joined = workers, address is not None
        self._environment = {**(KEEP_MEMORY if self._joined else {}), **(SAME_RESULTS if same_results else {})}
        start_ray(address)

    def run(self, jobs: Sequence[Job], report: Report) -> None:
        """See `Executor.run`. Raises WorkerDied where a key kills its worker again and again, StageError where no machine holds a worker."""
        import ray

        streams = pools(jobs, self._workers or _workers())
        self._check_room(streams)
        try:
            if len(streams) == 1 and not self._joined:
                run_crew(streams[0], report, self._environment)
            elif streams:
                run_stream(streams, report, self._environment)
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


def _workers() -> int:
    import ray

    cluster = ray.cluster_resources()
    return workers_for(cluster.get("CPU", 1), cluster.get("memory", 0) / 2**30)
