"""Which checkpoints of a training are written and kept, which is the best, and which are averaged.

All of it follows from the config and from what the last checkpoint holds, so that a kill at any moment loses nothing and doubles nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voxmill.models.checkpoint.checkpoint import prune, steps_in
from voxmill.models.checkpoint.validation import (
    BestValidation,
    Validation,
    best_of,
    ranked,
    read_best,
    read_validations,
    write_best,
)
from voxmill.models.training.train_config import TrainConfig


class CheckpointKeeper:
    """The rules of one training for the checkpoints in its folder."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    def validates(self, step: int) -> bool:
        """Whether there is a validation after a step."""
        validation = self.config.validation
        return validation is not None and (step % validation.every == 0 or step == self.config.steps)

    def saves(self, step: int) -> bool:
        """Whether a checkpoint of a step is written in every run, and not only where someone stopped it."""
        return step % self.config.save_every == 0 or step == self.config.steps or self.validates(step)

    def best(self, validations: Sequence[Validation]) -> BestValidation | None:
        """The best validation; None if there is none."""
        return best_of(validations, self.config.validation.measure) if self.config.validation else None

    def tidy(self, out: str, validations: Sequence[Validation]) -> None:
        """Says in `best.json` which checkpoint is the best, and removes those that `keep` does not keep, neither as the best nor to be averaged.

        Where validations were begun anew (`validations_before`), the best of before stays until there is one of now.
        """
        best = self.best(validations)
        if best is None and self.config.validation and (before := read_best(out)) and before.step in steps_in(out):
            best = before
        write_best(out, best)
        if self.config.keep:
            averaged = self.to_average(out, validations) if self.config.average_checkpoints else []
            prune(out, self.config.keep, {*averaged, *([best.step] if best else [])})

    def to_average(self, out: str, validations: Sequence[Validation]) -> list[int]:
        """The steps of the checkpoints to average, in order. Where someone stopped a training there may be more of them, which do not count: the
        average is the same in every run. Those that are gone, because less was kept before or by hand, do not count either."""
        average, validation, there = self.config.average_checkpoints, self.config.validation, steps_in(out)
        assert average is not None
        if average.of == "best" and validation and (best := ranked(validations, validation.measure)):
            return sorted([one.step for one in best if one.step in there][: average.count])
        return [step for step in there if step and self.saves(step)][-average.count :]


def validations_before(
    folder: str, values: Mapping[str, Any], config: TrainConfig, held_out: str | None = None
) -> tuple[Validation, ...]:
    """The validations in the values of a checkpoint, if they were made as `config` says and on the samples with that digest (None: whichever they
    were); else none, since the best of both would mean nothing.

    Raises CheckpointError.
    """
    asked = config.validation.model_dump(mode="json") if config.validation else {}
    before = (values.get("config") or {}).get("validation") or {}
    same = {**before, "patience": None} == {**asked, "patience": None}
    same &= held_out is None or values.get("held_out", held_out) == held_out
    return read_validations(folder, values.get("validations", [])) if same else ()
