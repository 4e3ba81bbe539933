"""What validations found while a model was trained, and which checkpoint of a training is the best.

The results of all validations so far are part of every checkpoint, so that they are committed together with it and a resumed training has
them all, each once. What is the best follows from them. The file `best.json` in a training's folder says it to people and commands; it is
written after the checkpoint that it names, and again when a training goes on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, TypeAdapter, ValidationError

from voxmill.manifests.storage import commit_bytes, locate, remove
from voxmill.models.checkpoint.manifest import CheckpointError, damaged, first_line

BEST = "best.json"
"""File in a training's folder: the best validation so far."""

Measure = Literal["wer", "loss"]
"""By what models are compared: word error rate, or loss."""
_Finite = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class DevResult:
    """A model under one budget on the dev samples. None: not finite, or nothing to measure it on."""

    loss: _Finite | None
    """Loss per utterance, weighted as in training."""
    parts: dict[str, _Finite | None]
    """Loss of each head per utterance, without its weight."""
    wer: _Finite | None
    """Word error rate in percent; of scripts without spaces the character error rate."""
    by_language: dict[str, _Finite | None]
    """The same by language."""


@dataclass(frozen=True, slots=True)
class Validation:
    """The results of one validation, the same in every run."""

    step: NonNegativeInt
    """Steps done when it was made."""
    utterances: NonNegativeInt
    budgets: dict[str, DevResult]
    """By budget, smallest first, as `Budget.parse` reads them; `whole` for a model of one size."""

    def score(self, measure: Measure) -> float | None:
        """The mean of a measure over budgets: the less, the better. None if one of them has none."""
        found = [result.wer if measure == "wer" else result.loss for result in self.budgets.values()]
        known = [value for value in found if value is not None]
        return sum(known) / len(known) if known and len(known) == len(found) else None


def ranked(validations: Sequence[Validation], measure: Measure) -> list[Validation]:
    """Those with a score, the best first. Of equal ones that of the least loss, since a young model says nothing for long, with a WER of 100 %;
    of these the earliest."""

    def order(one: Validation) -> tuple[float, ...]:
        found = [one.score(measure), one.score("loss"), one.step]
        return tuple(math.inf if value is None else value for value in found)

    return sorted((one for one in validations if one.score(measure) is not None), key=order)


def read_validations(folder: str, plain: Any) -> tuple[Validation, ...]:
    """The validations in the values of a checkpoint. Raises CheckpointError naming its `folder`."""
    try:
        return _VALIDATIONS.validate_python(plain)
    except ValidationError as error:
        raise damaged(folder, "checkpoint.json", f"training.validations: {first_line(error)}") from error


_VALIDATIONS: TypeAdapter[tuple[Validation, ...]] = TypeAdapter(tuple[Validation, ...])


@dataclass(frozen=True, slots=True)
class BestValidation:
    """The content of `best.json`."""

    step: NonNegativeInt
    """Step of the best checkpoint, which is in the folder `step-…`."""
    measure: Measure
    score: _Finite
    """Its mean over budgets."""


def best_of(validations: Sequence[Validation], measure: Measure) -> BestValidation | None:
    """The best validation; None if none has a score."""
    found = ranked(validations, measure)[:1]
    return BestValidation(found[0].step, measure, float(found[0].score(measure) or 0.0)) if found else None


def write_best(folder: str, best: BestValidation | None) -> None:
    """Writes `best.json` into a training's folder; None: there is none any more."""
    if best is None:
        remove(f"{folder}/{BEST}")
        return
    commit_bytes(f"{folder}/{BEST}", (json.dumps(asdict(best), indent=1) + "\n").encode(), replace=True)


def read_best(folder: str) -> BestValidation | None:
    """The best validation of a training's folder; None if there is none. Raises CheckpointError."""
    fs, path = locate(f"{folder}/{BEST}")
    try:
        return TypeAdapter(BestValidation).validate_json(fs.cat_file(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        raise CheckpointError(
            f"{folder}/{BEST}: {first_line(error)}; remove it, and the same `voxmill train` writes it again"
        ) from error
