"""The training loop on several workers of a Ray cluster: Ray Train places them, joins them, and starts them anew when one dies.

Every worker runs `Trainer.run` over its share of each step's batches (`team`). The checkpoints are the loop's own, in `out`, written
by the first rank; after a failure all ranks go on from the last one, and repeat the steps since to the bit. So `out` and the shards
have to be where every worker reaches them: one machine, or a shared file system.
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
from voxmill.models.training.data_parallel import RankGroup
from voxmill.models.training.metrics_log import MetricsLog
from voxmill.models.training.recipe import Recipe
from voxmill.models.training.session import TrainingResult, open_trainer, stop_on_interrupt
from voxmill.models.training.trainer import Step

_POLL_S = 0.2
"""How often the driver asks what the workers have done."""


class WorkersConfig(Settings):
    workers: int = Field(default=2, ge=1)
    """Processes that train together; on GPUs each has one of its own."""
    cpus: float = Field(default=1.0, gt=0)
    """Of each worker: its threads, and its loader processes."""
    failures: int = Field(default=3, ge=-1)
    """How often all workers are started anew because one died; -1: as often as it takes."""
    timeout_s: int = Field(default=1800, ge=1)
    """A rank that waits longer than this for the others gives up, which counts as a failure."""


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """What every worker is told."""

    shards: str
    out: str
    recipe: dict[str, Any]
    """Plain values: a worker with another version of voxmill says what it does not understand."""
    cuda: bool


def train(
    shards: str,
    out: str,
    recipe: Recipe,
    config: WorkersConfig | None = None,
    address: str | None = None,
    device: str = "auto",
    listeners: Sequence[Callable[[Step], None]] = (),
) -> TrainingResult:
    """As `training.train`, on several workers. `address`: a Ray cluster; None starts Ray on this machine.

    What can be wrong with shards, recipe or checkpoint is found here, before a worker starts; the checkpoint of step 0, from which
    all ranks begin, is made here too. Listeners hear every step once, also where it had to be repeated. Raises UserError.
    """
    config = config or WorkersConfig()
    shards, out = _absolute(shards), _absolute(out)  # a worker has a working directory of its own
    recipe = for_workers(recipe, config.workers)
    start_ray(address)
    trainer = open_trainer(shards, out, recipe, "cpu")
    if trainer.step == 0:
        trainer.save(step_folder(out, 0))
    order = WorkerJob(shards, out, recipe.model_dump(mode="json"), cuda=_room(config, address, device))
    with stop_on_interrupt() as stopped, MetricsLog(out, trainer.step) as journal:
        last = _follow(order, config, [journal, *listeners], stopped, trainer.step)
    place = latest(out) or out
    return TrainingResult(
        place, int(place.rsplit("-", 1)[1]), place == step_folder(out, recipe.train.steps), last.skipped if last else {}
    )


def for_workers(recipe: Recipe, workers: int) -> Recipe:
    """The recipe with at least one batch for each worker in a step: more workers than batches make the step larger."""
    accumulate = max(recipe.train.accumulate, workers)
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"accumulate": accumulate})})


def start_ray(address: str | None) -> None:
    """Connects to a cluster, or starts Ray on this machine; nothing to do where that has happened. Raises UserError."""
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
    """Whether each worker gets a GPU. Raises UserError where Ray would wait for ever for what this machine does not have."""
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
    order: WorkerJob, config: WorkersConfig, listeners: Sequence[Callable[[Step], None]], stopped: Callable[[], bool], done: int
) -> Step | None:
    """Starts the workers and passes on what they do, until they are through. Returns the last step."""
    import ray

    board = ray.remote(num_cpus=0)(_Board).remote()
    failure: list[BaseException] = []

    def fit() -> None:
        try:
            _trainer(order, config, board).fit()
        except BaseException as error:  # noqa: BLE001  raised again below, in the thread that waits
            failure.append(error)

    thread = Thread(target=fit, daemon=True)  # Ray takes over Ctrl-C where it is started in the main thread
    thread.start()
    last: Step | None = None
    while True:
        running = thread.is_alive()
        for step in ray.get(board.exchange.remote(stopped())):
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
            f"after that is mended, the same command goes on from {latest(order.out)}"
        ) from failure[0]
    return last


def _trainer(order: WorkerJob, config: WorkersConfig, board: Any) -> Any:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    logging.getLogger("ray.train").setLevel(logging.ERROR)  # the display is ours
    return TorchTrainer(
        _work,
        train_loop_config={"order": order, "board": board},
        torch_config=TorchConfig(backend="nccl" if order.cuda else "gloo", timeout_s=config.timeout_s),
        scaling_config=ScalingConfig(
            num_workers=config.workers, use_gpu=order.cuda, resources_per_worker={"CPU": config.cpus, "GPU": int(order.cuda)}
        ),
        run_config=RunConfig(
            name="ray", storage_path=order.out, failure_config=FailureConfig(max_failures=config.failures)
        ),
    )  # fmt: skip


def _work(told: dict[str, Any]) -> None:
    """What a worker does: the loop, from the last checkpoint on."""
    import ray
    import torch

    order, board = told["order"], told["board"]
    device = torch.device("cuda", torch.cuda.current_device()) if order.cuda else torch.device("cpu")
    team = RankGroup.joined(device)
    trainer = open_trainer(order.shards, order.out, Recipe.model_validate(order.recipe), str(device), team)
    team.wait()  # nobody looks for the last checkpoint while another writes the next
    stop = False

    def tell(step: Step) -> None:
        nonlocal stop
        if team.rank == 0:
            stop = ray.get(board.post.remote(step))

    trainer.run(order.out, tell, lambda: stop)


class _Board:
    """An actor between the first rank and the driver: steps one way, the wish to stop the other."""

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
    """The worker's own words, of the first that has some."""
    failures = getattr(error, "worker_failures", None) or {0: error}
    first = failures[min(failures)]
    first = getattr(first, "cause", None) or first
    lines = [line for line in str(first).strip().splitlines() if line.strip()]
    return f"{type(first).__name__}: {lines[-1].strip() if lines else first!r}"


def _absolute(place: str) -> str:
    return place if "://" in place else str(Path(place).absolute())
