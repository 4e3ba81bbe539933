"""Students of every size: one that shrinks, cuts of one that never learnt to, and those that were trained at their size alone.

Sizes are budgets (experts : top-k : width) of the decoder's mixture. Training costs the same for each family of arms:

    one      the elastic student, a budget drawn for each step (`passes: one`); as many steps as all the small ones together
    every    the elastic student, every step at all budgets (`passes: every`); as many steps as one of the small ones
    cut      trained at full size only, for as many steps as `one`, and used at each budget as it is
    small    a student for each budget, begun as that budget of Whisper's layers, trained at it alone
    dense    no experts; as many of the layers' hidden units as a token passes in the mixture
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.experiments import student_trainings
from benchmarks.experiments.student_trainings import StudentTrainings
from benchmarks.experiments.trainings import Job
from benchmarks.experiments.whisper_start import EXPERTS, begun
from voxmill.models.network.budget import Budget, BudgetSchedule, copy_leading
from voxmill.models.network.model import SpeechModel

BUDGETS = ("3:1:256", "3:3:256", "3:3:512", "6:3:512")
"""Smallest first; each is a part of the next one. The last two are those of the recipe `whisper`, the last one is the whole mixture."""
ELASTIC, CUT = ("one", "every"), "cut"


class SizedJob(Job):
    """A training of a student that is made smaller before its first step."""

    budget: str = ""
    """Empty: as large as its config says."""
    hidden: int = 0
    """Hidden units that are left of each of Whisper's layers; 0: all."""


class SizedTrainings(StudentTrainings):
    """Trains students of any size from Whisper base."""

    def _fresh(self, job: Job) -> SpeechModel:
        assert isinstance(job, SizedJob)
        whole: SpeechModel = begun(job.model, job.train.seed)[0]
        if job.budget:
            return whole.extract(parsed(job.budget))
        if not job.hidden:
            return whole
        assert whole.config.emoe is not None
        # A model says that its dense layers are as large as those it starts from, so these are a shared expert and one that every token is given.
        emoe = whole.config.emoe.model_copy(update={"experts": 1, "top_k": 1, "width": job.hidden // 2, "scale": 1.0})
        small = SpeechModel(whole.config.model_copy(update={"emoe": emoe.cut(emoe.full)}))
        copy_leading(small, whole)
        return small


def parsed(budget: str) -> Budget:
    """Of the student's mixture."""
    return Budget.parse(budget, Budget(EXPERTS["experts"], EXPERTS["top_k"], EXPERTS["width"]))


def hidden(budget: str) -> int:
    """Hidden units that a token passes: shared and routed ones."""
    one = parsed(budget)
    return int(EXPERTS["shared"] + one.top_k) * one.width


def schedule(budgets: Sequence[str], passes: str = "one") -> BudgetSchedule:
    """Visits these budgets, each as likely as the others."""
    every = [parsed(one) for one in budgets]
    sides = zip(*((one.experts, one.top_k, one.width) for one in every), strict=True)
    experts, top_k, width = (tuple(sorted(set(side))) for side in sides)
    return BudgetSchedule.model_validate(
        {"experts": experts, "top_k": top_k, "width": width, "favour": 0.0, "only": tuple(map(str, every)), "passes": passes}
    )


def jobs(budgets: Sequence[str], steps: int, peak: float, batch_seconds: float, seed: int, attention: bool) -> dict[str, Job]:
    """Every training by its name: an arm, or an arm and its budget. `steps`: of one that is trained at a size alone."""
    make = partial(student_trainings.job, peak=peak, batch_seconds=batch_seconds, seed=seed)
    *_, full = budgets

    def elastic(arm: str, steps: int, visited: BudgetSchedule) -> Job:
        plain = make(arm, steps, attention=attention)
        assert plain.model.emoe is not None
        emoe = plain.model.emoe.model_copy(update={"schedule": visited})
        return _sized(plain, model=plain.model.model_copy(update={"emoe": emoe}))

    found = {
        "one": elastic("elastic-one", steps * len(budgets), schedule(budgets)),
        "every": elastic("elastic-every", steps, schedule(budgets, "every")),
        CUT: elastic("elastic-cut", steps * len(budgets), schedule([full])),
    }
    for one in budgets:
        alone = elastic(f"small-{one.replace(':', '-')}", steps, schedule([full]))
        found[f"small {one}"] = _sized(alone, budget="" if one == full else one)
    for units in sorted({hidden(one) for one in budgets}):
        as_whisper = units == hidden(full)
        dense = make(f"dense-{units}", steps, experts=not as_whisper, attention=attention)
        found[f"dense {units}"] = _sized(dense, hidden=0 if as_whisper else units)
    return found


def used(budgets: Sequence[str]) -> Mapping[tuple[str, str], tuple[str, str | None]]:
    """By arm and budget: which training it is of, and at which budget that is asked (None: at its own size)."""
    whole = {(arm, one): (arm, one) for arm in (*ELASTIC, CUT) for one in budgets}
    alone: dict[tuple[str, str], Any] = {("small", one): (f"small {one}", None) for one in budgets}
    return {**whole, **alone, **{("dense", one): (f"dense {hidden(one)}", None) for one in budgets}}


def _sized(job: Job, **more: Any) -> SizedJob:
    return SizedJob(**{name: getattr(job, name) for name in type(job).model_fields} | more)
