"""`voxmill train` in one process: estimates what a recipe would do with given shards, starts a training or resumes it.

The loop itself is `trainer.Trainer`.
"""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from voxmill.manifests.errors import UserError
from voxmill.manifests.storage import commit_bytes
from voxmill.manifests.user_input import json_object, new_folder
from voxmill.models.checkpoint.checkpoint import average_folder, is_checkpoint, latest, load
from voxmill.models.checkpoint.manifest import read_manifest
from voxmill.models.checkpoint.validation import BestValidation, read_best
from voxmill.models.common.device import choose_device
from voxmill.models.data.loader import Loader
from voxmill.models.data.reading_rates import GroupShare
from voxmill.models.data.sampler import BucketingSampler, NothingToLearn
from voxmill.models.data.shard_roots import ShardRoots, place_of, roots_of
from voxmill.models.inference.load import checkpoint_of
from voxmill.models.network.pretrained.open_start import open_start
from voxmill.models.network.size import ModelSize, model_size
from voxmill.models.training.checkpoint_keeper import validations_before
from voxmill.models.training.data_parallel import RankGroup
from voxmill.models.training.dev_judge import validation_plan, why_ended
from voxmill.models.training.loggers import check_loggers, open_loggers
from voxmill.models.training.memory import TrainingMemory, training_memory
from voxmill.models.training.metrics_log import MetricsLog
from voxmill.models.training.pretrained_start import pretrained_tokens
from voxmill.models.training.recipe import Recipe, build, languages_without_token, prepare, with_start
from voxmill.models.training.trainer import Step, Trainer

RECIPE = "recipe.json"
"""File in a training's folder: the recipe that it was started with, with all defaults."""
SHARDS = "shards.json"
"""File in a training's folder: where the shards were that it last read, one folder or a list of them."""
MAY_CHANGE = (
    *(("train", key) for key in ("steps", "save_every", "keep", "validation", "average_checkpoints", "loggers")),
    ("data", "workers"),
)
"""Recipe keys that may differ when a training is resumed: they do not change what a step computes."""


@dataclass(frozen=True, slots=True)
class TrainingEstimate:
    """What a training would read and make, found without reading audio or training the tokeniser (`--dry-run`)."""

    samples: int
    """Samples that an epoch reads; one that it reads twice counts twice."""
    seconds: float
    batches: int
    """Batches of an epoch."""
    epochs: float
    """Epochs in all steps."""
    skipped: dict[str, int]
    size: ModelSize
    """Size of the model, with the vocabulary that the recipe asks for."""
    done: int
    """Steps done, according to the last checkpoint."""
    unlearnt: str = ""
    """Languages of samples of the first shards that have no token in the recipe, so that these would be left out; and what can be done."""
    over: str = ""
    """Why nothing is left to do; empty where there is."""
    validation: str = ""
    """What is validated, and how often; empty where the recipe has no validation."""
    validates: bool = True
    """False if there should be a validation and the shards have nothing for it."""
    best: BestValidation | None = None
    """The best validation so far."""
    roots: tuple[GroupShare, ...] = ()
    """What an epoch reads of each folder of shards; empty if there is one."""
    groups: tuple[GroupShare, ...] = ()
    """What it reads of each group of `data.plan.sample`; empty without."""
    memory: TrainingMemory | None = None
    """What each worker needs; None: not asked for."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """How a training ended."""

    folder: str
    """The last checkpoint."""
    step: int
    """Steps done."""
    finished: bool
    """False if it was stopped before its last step."""
    skipped: dict[str, int]
    """Samples left out, by reason."""
    ended: str = ""
    """Why it ended before its last step; empty where it did not."""
    best: BestValidation | None = None
    """The best validation; None where nothing was validated."""
    average: str | None = None
    """Folder of the average of checkpoints; None where there is none."""


def with_overrides(recipe: Recipe, *, where: str | None = None, steps: int | None = None) -> Recipe:
    """The recipe with options of the command line in place of its own values."""
    plan = recipe.data.plan.model_copy(update={} if where is None else {"where": where})
    train = recipe.train if steps is None else recipe.train.model_validate(recipe.train.model_dump() | {"steps": steps})
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"plan": plan}), "train": train})


def estimate(shards: ShardRoots, out: str, recipe: Recipe, *, memory: bool = False) -> TrainingEstimate:
    """Estimates a training; `memory`: with what it needs of that. Raises NoShards, NothingToLearn, ConditionError."""
    sampler = BucketingSampler(shards, recipe.data.plan)
    batches = list(sampler.epoch(0))
    samples = [sample for planned in batches for sample in planned.samples]
    skipped = Counter[str]()
    for planned in batches:
        skipped.update(planned.skipped)
    if not samples:
        condition = f" where {recipe.data.plan.where}" if recipe.data.plan.where else ""
        left_out = ", ".join(f"{name} {count}" for name, count in sorted(skipped.items()))
        raise NothingToLearn(
            f"no sample of split {recipe.data.plan.split!r} in {sampler.root}{condition}"
            + (f"; left out: {left_out}" if left_out else "")
        )
    start = open_start(recipe.model.start) if recipe.model.start else None
    earlier = read_manifest(checkpoint_of(recipe.begin_with)) if recipe.begin_with else None
    sized = with_start(recipe, start)
    whole = start is not None and "decoder" in start.parts
    if earlier:
        tokens = earlier.model.vocabulary
    elif whole:
        tokens = len(pretrained_tokens(start, recipe.tokens))  # type: ignore[arg-type]
    else:
        tokens = recipe.tokens.num_subwords + len(list(recipe.tokens.task_tokens()))
    with torch.device("cpu" if memory else "meta"):
        model = build(sized.model_copy(update={"vocabulary": tokens}))
    seconds = sum(sample.seconds for sample in samples)
    largest = [(len(one.samples), max(sample.seconds for sample in one.samples)) for one in batches if one.samples]
    epochs = recipe.train.steps * recipe.train.accumulate / len(batches)
    known = (earlier.tokens.config if earlier else recipe.tokens).language
    unlearnt = "" if whole and not earlier else languages_without_token(shards, recipe, known)
    check_loggers(recipe.train.loggers)
    validation, validates = validation_plan(shards, recipe.data.plan, sized.emoe, recipe.train.validation)
    return TrainingEstimate(
        len(samples), seconds, len(batches), epochs, dict(skipped), model_size(model), steps_done(out), unlearnt,
        why_over(out, recipe), validation, validates, read_best(out),
        sampler.roots(), sampler.groups(), training_memory(model, recipe.train, largest) if memory else None,
    )  # fmt: skip


def steps_done(out: str) -> int:
    """Steps of the last checkpoint of a training's folder; 0 where it has none."""
    checkpoint = latest(out)
    return int(checkpoint.rsplit("-", 1)[1]) if checkpoint else 0


def why_over(out: str, recipe: Recipe) -> str:
    """Why nothing is left to do for the training in a folder: its steps are done, or it ended early. Empty where there is. Raises CheckpointError."""
    place, asked = latest(out), recipe.train
    if place is None:
        return ""
    step = steps_done(out)
    why = f"{step} steps are done, and {asked.steps} were asked for; --steps with a larger number goes on"
    if step < asked.steps:
        early = why_ended(validations_before(place, read_manifest(place).training or {}, asked), asked.validation)
        why = f"{early}; a larger train.validation.patience goes on" if early else ""
    return "" if asked.average_checkpoints and not is_checkpoint(average_folder(out, step)) else why


def result_of(out: str, recipe: Recipe, finished: bool, skipped: dict[str, int]) -> TrainingResult:
    """How the training in a folder ended, after its last checkpoint was written."""
    place, step = latest(out) or out, steps_done(out)
    average = average_folder(out, step)
    ended = why_over(out, recipe) if finished and step < recipe.train.steps else ""
    return TrainingResult(
        place, step, finished, skipped, ended, read_best(out) if recipe.train.validation else None,
        average if is_checkpoint(average) else None,
    )  # fmt: skip


def check_folder(shards: ShardRoots, out: str, recipe: Recipe) -> str | None:
    """Where the training in `out` read its shards so far, if that was elsewhere; None if not, or where there is none.

    Raises UserError where nothing can be trained in `out`: it is a file, lies among the shards, or holds a training with another recipe.
    """
    new_folder(out)
    for root in roots_of(shards):
        if "://" not in root + out and Path(place_of(out)).is_relative_to(place_of(root)):
            raise UserError(f"{out} lies in {root}, which is handed on as it is: take another --out")
    _same_training(Path(out) / RECIPE, recipe)
    try:
        before = json_object((Path(out) / SHARDS).read_bytes(), f"{out}/{SHARDS}", "remove it").get("shards")
    except FileNotFoundError:
        return None
    earlier = [before] if isinstance(before, str) else list(before or ())
    return None if earlier == _places(shards) else ", ".join(map(str, earlier))


def _places(shards: ShardRoots) -> list[str]:
    return list(map(place_of, roots_of(shards)))


def open_trainer(shards: ShardRoots, out: str, recipe: Recipe, device: str = "auto", ranks: RankGroup | None = None) -> Trainer:
    """A trainer before its first step, or after the last checkpoint in `out`; on several ranks there must be a checkpoint.

    Raises UserError if `out` holds a training with another recipe; CheckpointError, NothingToLearn, ConditionError.
    """
    target = choose_device(device)
    check_folder(shards, out, recipe)
    checkpoint = latest(out)
    if checkpoint is None:
        trainer = prepare(shards, recipe, target)
    else:
        bundle = load(checkpoint)
        ranks = ranks or RankGroup()
        loader = Loader(
            shards, bundle.tokens, bundle.model.config.features, recipe.data,
            rank=ranks.rank, world=ranks.world, round=recipe.train.accumulate,
        )  # fmt: skip
        trainer = Trainer.resumed(checkpoint, loader, recipe.train, target, ranks)
    for name, said in ((RECIPE, plain_recipe(recipe)), (SHARDS, {"shards": _places(shards)})):
        commit_bytes(Path(out) / name, (json.dumps(said, indent=1) + "\n").encode(), replace=True)
    return trainer


def train(
    shards: ShardRoots, out: str, recipe: Recipe, device: str = "auto", listeners: Sequence[Callable[[Step], None]] = ()
) -> TrainingResult:
    """Trains to the end, or until the first Ctrl-C, after which the step is finished and saved; a second Ctrl-C ends at
    once."""
    check_loggers(recipe.train.loggers)
    trainer = open_trainer(shards, out, recipe, device)
    sinks = open_loggers(recipe.train.loggers, out, plain_recipe(recipe))
    with stop_on_interrupt() as stopped, MetricsLog(out, trainer.step, sinks) as log:
        told: list[Callable[[Step], None]] = [log, *listeners]

        def tell(step: Step) -> None:
            for listener in told:
                listener(step)

        finished = trainer.run(out, tell, stopped)
    return result_of(out, recipe, finished, dict(trainer.loader.skipped))


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Inside it, the first SIGINT or SIGTERM only makes the yielded function return True; the second raises
    KeyboardInterrupt."""
    asked: list[int] = []

    def ask(number: int, _: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _same_training(path: Path, recipe: Recipe) -> None:
    try:
        before = json_object(path.read_bytes(), str(path), "restore it, or take another --out")
    except FileNotFoundError:
        return
    old, new = (_flat(one) for one in (before, plain_recipe(recipe)))
    differing = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key) and key[:2] not in MAY_CHANGE)
    if differing:
        names = ", ".join(f"{'.'.join(key)} ({old.get(key)} before, {new.get(key)} now)" for key in differing[:3])
        raise UserError(f"{path.parent} holds a training with another recipe: {names}; take another --out, or the same recipe")


def plain_recipe(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON values."""
    plain: dict[str, Any] = recipe.model_dump(mode="json")
    return plain


def _flat(tree: Any, key: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(tree, dict):
        return {key: tree}
    return {place: value for name, branch in tree.items() for place, value in _flat(branch, (*key, name)).items()}
