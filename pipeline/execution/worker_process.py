"""The life of a worker process on this machine, from its start to its end: what it is sent, and what it answers.

It is sent `("work", tasks, step)`, `("flush",)` or None (the end), and answers with `Handled`, or with the error that a step has raised. It
says True when it has loaded. What a SIGTERM finds finished is committed before the process ends.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxmill.pipeline.execution.pool_worker import Handled, PoolWorker


def serve(connection: Connection, spec: bytes) -> None:
    """Runs in the process. `spec` is a pickled `PoolWorkerSpec`: what it imports is imported when the environment is set."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # as Ray does: torch with default threads is many times slower on small models
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the driver decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    Thread(target=_die_with_parent, daemon=True).start()
    worker: PoolWorker | None = None
    try:
        worker = pickle.loads(spec)()
        connection.send(True)
        while (message := connection.recv()) is not None:
            connection.send(_answer(worker, message))
        _end_at_once()
    except SystemExit:
        if worker is not None:
            with suppress(OSError):
                connection.send(worker.flush())
        raise
    except Exception as error:  # noqa: BLE001 - it is the driver's to judge
        with suppress(OSError):
            connection.send(_portable(error))


def _answer(worker: PoolWorker, message: tuple[Any, ...]) -> Handled | Failed:
    try:
        if message[0] == "flush":
            return worker.flush()
        _, tasks, step = message
        tasks = [replace(task, carried=pickle.loads(task.carried)) if task.carried else task for task in tasks]
        handled = worker.work(tasks, step)
    except Exception as error:  # noqa: BLE001 - it is the driver's to judge
        return _portable(error)
    return replace(handled, carried=tuple(None if one is None else pickle.dumps(one) for one in handled.carried))


@dataclass(frozen=True, slots=True)
class Failed:
    """What a step has raised, with its traceback, on its way to the driver."""

    error: Exception
    trace: str


class WorkerTraceback(Exception):
    """Shows the traceback of a worker below the error that it raised."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def _portable(error: Exception) -> Failed:
    trace = traceback.format_exc()
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - many errors cannot be copied
        error = RuntimeError(f"{type(error).__name__}: {error}")
    return Failed(error, trace)


def _end_at_once() -> None:
    """Does what was registered for the end, and skips taking the interpreter apart: with models loaded that costs 0.2 s of a core."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)


def _die_with_parent() -> None:
    """A driver that is killed cannot stop its workers, and they would wait for keys for ever, their models in memory."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
