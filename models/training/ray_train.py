"""Training on several workers of a Ray cluster. Ray Train starts them, joins them to a process group, and restarts all when one
dies.

Every worker runs `Trainer.run` over its share of each step's batches. Checkpoints are written to `out` by the first rank; after
a failure all ranks continue from the last one and repeat the steps since bit for bit. So every worker must reach `out` and the
shards: one machine, or a shared file system.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import Unavailable, UserError
from voxmill.models.checkpoint.checkpoint import latest, step_folder
from voxmill.models.data.shard_roots import ShardRoots, roots_of
from voxmill.models.training.data_parallel import RankGroup
from voxmill.models.training.loggers import check_loggers, open_loggers
from voxmill.models.training.metrics_log import MetricsLog
from voxmill.models.training.recipe import Recipe
from voxmill.models.training.session import TrainingResult, open_trainer, plain_recipe, result_of, stop_on_interrupt, why_over
from voxmill.models.training.trainer import Step

_POLL_S = 0.2
"""Seconds between the driver's requests for the workers' progress."""


class WorkersConfig(Settings):
    """How many workers train, and what each gets."""

    workers: int = Field(default=2, ge=1)
    """Worker processes; on GPUs each has one of its own."""
    cpus: float = Field(default=1.0, gt=0)
    """CPUs of each worker, for its threads and loader processes."""
    failures: int = Field(default=3, ge=-1)
    """How often all workers are restarted after one died; -1: without limit."""
    timeout_s: int = Field(default=1800, ge=1)
    """A rank that waits longer than this (s) for the others fails."""


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """What every worker is told to do."""

    shards: tuple[str, ...]
    out: str
    recipe: dict[str, Any]
    """The recipe as plain values, so that a worker with another version of voxmill can name a key it does not know."""
    cuda: bool
    """Whether each worker has a GPU."""


def train(
    shards: ShardRoots,
    out: str,
    recipe: Recipe,
    config: WorkersConfig | None = None,
    address: str | None = None,
    device: str = "auto",
    listeners: Sequence[Callable[[Step], None]] = (),
) -> TrainingResult:
    """Like `session.train`, on several workers. `address`: a Ray cluster; None starts Ray on this machine.

    Errors of shards, recipe and checkpoint are found here, before a worker starts; the checkpoint of step 0, from which all
    ranks begin, is written here too. Listeners are called once for each step, even if it had to be repeated. Raises UserError.
    """
    config = config or WorkersConfig()
    shards, out = tuple(map(_absolute, roots_of(shards))), _absolute(out)  # a worker has a working directory of its own
    recipe = for_workers(recipe, config.workers)
    start_ray(address)
    check_loggers(recipe.train.loggers)
    trainer = open_trainer(shards, out, recipe, "cpu")
    if trainer.step == 0:
        trainer.save(step_folder(out, 0))
    sinks = open_loggers(recipe.train.loggers, out, plain_recipe(recipe))
    job = WorkerJob(shards, out, recipe.model_dump(mode="json"), cuda=_room(config, address, device))
    with stop_on_interrupt() as stopped, MetricsLog(out, trainer.step, sinks) as log:
        last = _follow(job, config, [log, *listeners], stopped, trainer.step)
    return result_of(out, recipe, bool(why_over(out, recipe)), last.skipped if last else {})


def for_workers(recipe: Recipe, workers: int) -> Recipe:
    """The recipe with at least one batch for each worker in a step: more workers than batches make the step larger."""
    accumulate = max(recipe.train.accumulate, workers)
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"accumulate": accumulate})})


def start_ray(address: str | None) -> None:
    """Connects to a cluster, or starts Ray on this machine, unless that was done before. Raises UserError."""
    try:
        import ray
    except ImportError:
        raise Unavailable("training on several workers needs Ray: pip install 'voxmill[cluster]'") from None
    if not ray.is_initialized():
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        ray.init(
            address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None if address else False
        )


def _room(config: WorkersConfig, address: str | None, device: str) -> bool:
    """Whether each worker gets a GPU. Raises UserError if this machine lacks what they need, since Ray would wait for ever."""
    import ray

    has = ray.cluster_resources()
    cuda = bool(has.get("GPU", 0) >= config.workers) if device == "auto" else device.startswith("cuda")
    wanted = {"CPU": config.workers * config.cpus, "GPU": config.workers if cuda else 0}
    for kind, number in wanted.items():
        if address is None and number > has.get(kind, 0):
            raise UserError(
                f"{config.workers} workers want {number:g} {kind}s and this machine has {has.get(kind, 0):g}: "
                "take fewer workers, or join a cluster with --address"
            )
    return cuda


def _follow(
    job: WorkerJob, config: WorkersConfig, listeners: Sequence[Callable[[Step], None]], stopped: Callable[[], bool], done: int
) -> Step | None:
    """Starts the workers and passes their steps on to the listeners until they end. Returns the last step."""
    import ray

    relay = ray.remote(num_cpus=0)(_StepRelay).remote()
    failure: list[BaseException] = []

    def fit() -> None:
        try:
            _trainer(job, config, relay).fit()
        except BaseException as error:  # noqa: BLE001  raised again below, in the thread that waits
            failure.append(error)

    thread = Thread(target=fit, daemon=True)  # Ray takes over Ctrl-C where it is started in the main thread
    thread.start()
    last: Step | None = None
    while True:
        running = thread.is_alive()
        for step in ray.get(relay.exchange.remote(stopped())):
            if step.step > done:
                last, done = step, step.step
                for listener in listeners:
                    listener(step)
        if not running:
            break
        thread.join(_POLL_S)
    if failure:
        raise UserError(
            f"training on {config.workers} workers failed: {_cause(failure[0])}; "
            f"after that is mended, the same command goes on from {latest(job.out)}"
        ) from failure[0]
    return last


def _trainer(job: WorkerJob, config: WorkersConfig, relay: Any) -> Any:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    logging.getLogger("ray.train").setLevel(logging.ERROR)  # the display is ours
    return TorchTrainer(
        _work,
        train_loop_config={"job": job, "relay": relay},
        torch_config=TorchConfig(backend="nccl" if job.cuda else "gloo", timeout_s=config.timeout_s),
        scaling_config=ScalingConfig(
            num_workers=config.workers, use_gpu=job.cuda, resources_per_worker={"CPU": config.cpus, "GPU": int(job.cuda)}
        ),
        run_config=RunConfig(
            name="ray", storage_path=job.out, failure_config=FailureConfig(max_failures=config.failures)
        ),
    )  # fmt: skip


def _work(told: dict[str, Any]) -> None:
    """The main function of a worker: the training loop, from the last checkpoint on."""
    import ray
    import torch

    job, relay = told["job"], told["relay"]
    device = torch.device("cuda", torch.cuda.current_device()) if job.cuda else torch.device("cpu")
    ranks = RankGroup.joined(device)
    trainer = open_trainer(job.shards, job.out, Recipe.model_validate(job.recipe), str(device), ranks)
    ranks.wait()  # so that no rank looks for the last checkpoint while another writes the next
    stop = False

    def tell(step: Step) -> None:
        nonlocal stop
        if ranks.rank == 0:
            stop = ray.get(relay.post.remote(step))

    trainer.run(job.out, tell, lambda: stop)


class _StepRelay:
    """An actor between first rank and driver: passes steps to the driver, and a request to stop to the rank."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._stop = False

    def post(self, step: Step) -> bool:
        self._steps.append(step)
        return self._stop

    def exchange(self, stop: bool) -> list[Step]:
        self._stop = self._stop or stop
        steps, self._steps = self._steps, []
        return steps


def _cause(error: BaseException) -> str:
    """Type and last line of the first worker's exception."""
    failures = getattr(error, "worker_failures", None) or {0: error}
    first = failures[min(failures)]
    first = getattr(first, "cause", None) or first
    lines = [line for line in str(first).strip().splitlines() if line.strip()]
    return f"{type(first).__name__}: {lines[-1].strip() if lines else first!r}"


def _absolute(place: str) -> str:
    return place if "://" in place else str(Path(place).absolute())
