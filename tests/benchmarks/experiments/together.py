"""Several trainings at a time: one process for each core, each on one thread.

Two trainings of one thread end well before one of two threads would have done both.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

import torch

Task = Callable[[], object]
_tasks: Sequence[Task] = ()
"""Processes are forked, so that they find here what need not be pickled: tasks are closures."""


def together(tasks: Sequence[Task]) -> None:
    """Runs all of them, the first ones first, for what they leave in the cache: `Trainings.result`, `trained`.

    Raises what a task raised, OutOfTime too, when the tasks that are under way have ended; an interrupt ends those at once. A CUDA device is
    not shared among processes: there nothing is done ahead, and what is asked for afterwards is trained then. A process that has threads must
    not fork (a lock that one of them holds stays shut in the child), so this is nothing for a process with a Ray.
    """
    global _tasks
    cores = len(os.sched_getaffinity(0))
    if torch.cuda.is_available() or cores < 2 or not tasks:
        return
    _tasks = tasks
    sys.stdout.flush()
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(min(cores, len(tasks)), multiprocessing.get_context("fork"), initializer=_one_thread)
    try:
        for one in [pool.submit(_run, index) for index in range(len(tasks))]:
            one.result()
    except Exception:
        raise
    except BaseException:  # nobody waits any longer: not for what hangs either
        for child in set(multiprocessing.active_children()) - set(others):
            child.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    torch.set_num_threads(1)


def _run(index: int) -> None:
    _tasks[index]()
