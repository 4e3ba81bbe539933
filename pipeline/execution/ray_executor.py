"""The Ray executor: one path, plain actors, on this machine and on a cluster. What travels is a key with a few rows, never a waveform.

Placing workers, reserving what they need and adding machines for those that wait are Ray's. Ours is who is handed which key
(`dispatcher.py`). Ray Data could do that too, and did: but it tells nobody which row its worker died of, so that every unit needed a marker in
the store; it cuts rows into blocks before it is known what they cost; it has no end of a worker at which results could be committed together;
a pool grew only while its tasks queued at 1.75 for each actor, on a cluster hardly ever; and its loop and its own actors are always busy (a
twentieth of two cores). `ray.autoscaler.sdk.request_resources` is not used: what it asks for stays asked for when a driver is
killed, and workers that wait for a place ask for the same.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile

from voxmill.pipeline.execution.capacity import machines, misplaced
from voxmill.pipeline.execution.cpu_type import SAME_RESULTS
from voxmill.pipeline.execution.drive import drive
from voxmill.pipeline.execution.executor import COMMIT_SECONDS, NO_BOOKS, Books, Job, Report
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.execution.malloc import KEEP_MEMORY, keep_memory
from voxmill.pipeline.execution.pool_worker import specs_of
from voxmill.pipeline.execution.pools import keys_of, pools
from voxmill.pipeline.execution.team import teams_of


def start_ray(address: str | None, say: Callable[[str], None] = lambda line: None) -> None:
    """Connects this process to a cluster, or starts Ray on this machine; nothing to do where that has happened."""
    import ray

    if not ray.is_initialized():
        say(f"joining the Ray cluster at {address}" if address else "starting Ray on this machine")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it comments on Ray Data's own actors on our terminal
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")  # workers that nobody would ever use
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray tells its makers nothing of a run unless its user says so
        if address is None:
            keep_memory()  # here Ray's workers inherit it; to a cluster it is sent, which makes a worker start later
        _hush_ray()
        with _remarks_only_where_it_fails():
            ray.init(
                # without an address Ray would look for a cluster on this machine, and wait for one that is no more
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=None if address else False,
            )


def _hush_ray() -> None:
    """Ray is not to print what its daemons say of dead workers: it does so whatever `log_to_driver` says, in the middle of what a command
    prints for others to read, and we say it ourselves. To be called before `ray.init`."""
    from ray._private import worker

    worker.listen_error_messages = lambda *_: None


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
    """`address=None` starts Ray on this machine, once there is a key; `"auto"` or `host:port` joins a cluster.

    `workers` is how many take keys through stages that share them; None: one per core of the cluster, as memory allows.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        workers: int | None = None,
        same_results: bool = False,
        commit_seconds: float = COMMIT_SECONDS,
    ) -> None:
        self._address, self._workers, self._commit_seconds = address, workers, commit_seconds
        if address is not None:
            start_ray(address)  # the run's gate is an actor there
        self._environment = {**(KEEP_MEMORY if address else {}), **(SAME_RESULTS if same_results else {})}

    def run(self, jobs: Sequence[Job], report: Report, books: Books = NO_BOOKS) -> None:
        """See `Executor.run`. Raises WorkerDied where workers die again and again, StageError where no machine holds one."""
        chain = pools(jobs, self._workers)
        if not chain:
            return
        joined = self._address is not None
        start_ray(self._address, books.say)
        import ray

        from voxmill.pipeline.execution.ray_crew import RayCrew

        if not joined and (lines := list(misplaced(chain, machines(ray.nodes())))):
            raise StageError("\n".join(lines))
        crew = RayCrew(chain, specs_of(chain, books, self._commit_seconds), self._environment, joined=joined)
        drive(teams_of(chain, keys_of(jobs), books, self._commit_seconds), crew, report, books, self._commit_seconds)
