"""Pools of workers as one Ray Data stream: an autoscaling actor pool for each, with back-pressure between them.

One row is one key.
"""

from __future__ import annotations

import io
import logging
import pickle
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from voxmill.pipeline.execution.executor import MAX_DEATHS, Pool, PoolWorker, Report
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.stage import Done, Resources

MAX_BLOCKS = 10_000
"""Each key is a block of its own, and is reported as soon as it is done, up to so many: the driver holds them all."""

MANY = 16
"""Keys per worker from which a worker is handed its next block early. With fewer, one would wait behind a busy worker at the end."""


def run_stream(streams: Sequence[Pool], report: Report, environment: Mapping[str, str]) -> None:
    """Every key through every pool; workers are told `environment`. Raises StageError, and Ray's error where retries are out."""
    import ray
    from ray.data import ActorPoolStrategy, DataContext

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
                ray_remote_args_fn=partial(_options, environment),
            )
        with closing(iter(stream.iter_rows())) as done:
            for row in done:
                _forward(row, report)


def _options(environment: Mapping[str, str]) -> dict[str, Any]:
    """Ray Data has no other way to say that retries are finite: its own default is to retry for ever.

    Restarts are not bounded: a worker lives as long as the run, and what bounds them is that each key has an end.
    """
    retries = {"max_restarts": -1, "max_task_retries": MAX_DEATHS}
    return {**retries, "runtime_env": {"env_vars": dict(environment)}} if environment else retries


class _Actor:
    """A worker as Ray Data wants it: a row in, the row out, with what the worker has to say of its key.

    A row carries reports along, so that no other process is needed to collect them: an idle process of Ray's costs a hundredth of a
    core. It also carries a failure, as Ray Data would give the driver only its text, among a traceback.
    """

    def __init__(self, make: Callable[[], PoolWorker]) -> None:
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
