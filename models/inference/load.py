"""Loads a model for a command: which checkpoint of a folder, which budget of it, how it decodes."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from pydantic import ValidationError

from voxmill.manifests.errors import UserError, explain
from voxmill.models.checkpoint.checkpoint import Bundle, average_folder, is_checkpoint, latest, load, step_folder, steps_in
from voxmill.models.checkpoint.manifest import COMMIT, CheckpointError
from voxmill.models.checkpoint.validation import read_best
from voxmill.models.inference.recognizer import Recognizer
from voxmill.models.inference.recognizer_config import RecognizerConfig
from voxmill.models.network.budget import Budget, BudgetError

TASK_ALIASES = {"lid": "language", "events": "sound_events"}
"""Other names for a task on the command line."""


def checkpoint_of(folder: str) -> str:
    """The folder itself if it is a checkpoint. Of a training's folder the average that it wrote at its end, else the best checkpoint that
    validation found, else the last. Raises CheckpointError."""
    if is_checkpoint(folder):
        return folder
    found = latest(folder)
    if found and is_checkpoint(average := average_folder(folder, steps_in(folder)[-1])):
        return average
    if best := read_best(folder):
        return step_folder(folder, best.step)
    if found is None:
        raise CheckpointError(
            f"{folder} holds no checkpoint (neither {COMMIT} nor a folder step-… with one): give the --out of `voxmill train`"
        )
    return found


def open_bundle(folder: str, budget: str | None = None, device: torch.device | str = "cpu") -> Bundle:
    """The model of a folder, or the part of it that a budget names. Raises CheckpointError, BudgetError."""
    bundle = load(checkpoint_of(folder), device)
    return bundle if budget is None else bundle.extract(parse_budget(bundle, budget))


def open_recognizer(bundle: Bundle, *, with_video: bool = False, **asked: Any) -> Recognizer:
    """A recognizer from command line options. `asked`: fields of RecognizerConfig, None for those not given; `with_video`: it
    will be called with video frames. Raises UserError, UnknownTokenError."""
    if bundle.model.config.vision is not None and not with_video:
        warnings.warn("this model can look at video frames; here it only listens", stacklevel=2)
    if asked.get("tasks"):
        asked["tasks"] = tuple(TASK_ALIASES.get(task, task) for task in asked["tasks"])
        if unknown := sorted(set(asked["tasks"]) - set(bundle.tasks)):
            raise UserError(f"this model has not learnt {', '.join(unknown)}; its tasks: {', '.join(bundle.tasks)}")
    try:
        return Recognizer(
            bundle, RecognizerConfig.model_validate({name: value for name, value in asked.items() if value is not None})
        )
    except ValidationError as error:
        said = explain(error, RecognizerConfig, "command line")
        raise UserError(
            said.replace("`method`", "`decode`").replace("`translate_to`", "`to`").replace("`lm_weight`", "`lm-weight`")
        ) from None
    except ValueError as error:
        raise UserError(str(error)) from error


def parse_budget(bundle: Bundle, text: str) -> Budget:
    """The budget of a model from text: `6`, `6:2` or `6:2:256`. Raises BudgetError."""
    emoe = bundle.model.config.emoe
    if emoe is None:
        raise BudgetError("a budget needs a model with elastic experts (`model.emoe` in its recipe): this one has one size")
    return Budget.parse(text, emoe.full)


def budgets_of(bundle: Bundle, texts: str | None) -> list[Budget | None]:
    """The budgets to evaluate. `all`: those that training visited; else those listed, as in `6,15`; None: the whole model only.

    An entry that is None stands for the whole model. Raises BudgetError.
    """
    if texts is None:
        return [None]
    if texts != "all":
        return [parse_budget(bundle, text.strip()) for text in texts.split(",")]
    emoe = bundle.model.config.emoe
    return [*(bundle.trained or emoe.schedule.budgets())] if emoe else [None]
