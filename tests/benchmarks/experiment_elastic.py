"""`make experiment-elastic`: is a student that shrinks as good at each of its sizes as students that were trained at that size alone?

The student of `experiment-student`: Whisper base, elastic experts in its decoder, taught what the line keeps of a pool that nobody
transcribed. Beside it, at every budget, a plain cut, separately trained small ones, and dense ones of equal active compute; each family of arms
has as much training as the others (`experiments/elastic_arms.py`). Both ways of visiting budgets are trained: one for each step, which is what
recipes ship with and what is judged, and every one in each step. The test is speakers whom nobody heard, clean, in noise and over a
telephone; an interval is a paired bootstrap over them, of all seeds together.

    reduced    small enough to be whole in minutes: what it says of the targets is noise
    full       all spans, three seeds; `LIMIT=540` cuts it into calls that go on where the last one stopped
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.experiment_student import ATTENTION, FIRST_SEED, PEAK, Data, lessons, waves_of
from benchmarks.experiment_student import Size as Minutes
from benchmarks.experiments import pools
from benchmarks.experiments.by_speaker import Rates, counted, rate, together
from benchmarks.experiments.decoder_footprint import parameters, times
from benchmarks.experiments.elastic_arms import BUDGETS, SizedTrainings, jobs, parsed, used
from benchmarks.experiments.elastic_tables import SHIPPED, compared, print_compared, print_rates, targets
from benchmarks.experiments.frame_lessons import Taught
from benchmarks.experiments.frames import Wave, encode_all
from benchmarks.experiments.hard import Condition
from benchmarks.experiments.room import Form, Outcome, conduct
from benchmarks.experiments.spans import Span, speech
from benchmarks.experiments.student_trainings import Said
from benchmarks.experiments.together import together as at_once
from benchmarks.experiments.trainings import Job
from benchmarks.report import heading, table

CONDITIONS: tuple[Condition, ...] = ("clean", "noise_5", "telephone")


@dataclass(frozen=True)
class Size:
    """What the two forms differ in."""

    minutes: Minutes
    budgets: tuple[str, ...]


REDUCED = Size(
    Minutes(pool=6, dev=0.1, test=1.2, versions=1, steps=4, batch_seconds=24.0, curve=False), (BUDGETS[0], BUDGETS[-1])
)
FULL = Size(Minutes(pool=1e6, dev=0.1, test=1e6, versions=2, steps=150, batch_seconds=60.0, curve=False), BUDGETS)


@dataclass(frozen=True)
class Seed:
    """All trainings of one seed, and what they learn."""

    jobs: Mapping[str, Job]
    taught: Sequence[Taught]


def run(form: Form) -> Outcome | None:
    size = FULL if form.full else REDUCED
    make = partial(jobs, size.budgets, size.minutes.steps, PEAK, size.minutes.batch_seconds, attention=ATTENTION)
    if form.dry:
        steps = {name: one.train.steps for name, one in make(0).items()}
        print(f"{form.seeds} seeds of {len(steps)} trainings, {size.minutes.batch_seconds:g} s a step: {steps}")
        return None
    data = Data.of(speech(), size.minutes)
    heading("elastic", form.full, f"{data}; {form.seeds} seeds", ("torch", "whisper-normalizer"))
    trainings = SizedTrainings("student", form.clock)
    numbers = [FIRST_SEED + index for index in range(form.seeds)]
    seeds = [Seed(make(one), lessons(data.pool, size.minutes, one)["kept"]) for one in numbers]
    tests = waves_of(data.test, CONDITIONS)
    encode_all(pools.encoded({"kept": seeds[0].taught}), form.clock, "pool")
    encode_all([one for waves in tests.values() for one in waves], form.clock, "test")
    at_once([partial(trainings.trained, job, seed.taught) for seed in seeds for job in _longest_first(seed.jobs)])
    at_once([partial(_said, trainings, seed, where, tests) for seed in seeds for where in used(size.budgets)])
    rates = {
        where: [_by_condition(data.test, _said(trainings, seed, where, tests)) for seed in seeds]
        for where in used(size.budgets)
    }
    sizes = _sizes(trainings, seeds[0], size.budgets, tests["clean"])
    everything = {where: together([one for found in by_seed for one in found.values()]) for where, by_seed in rates.items()}
    clean = {where: together([found["clean"] for found in by_seed]) for where, by_seed in rates.items()}
    print_rates("clean", clean, size.budgets, sizes)
    print_rates("all conditions", everything, size.budgets, sizes)
    pairs = compared(everything, size.budgets)
    print_compared(pairs)
    facts = {name: trainings.facts(job, seeds[0].taught) for name, job in seeds[0].jobs.items()}
    print(f"trainings of the first seed, {size.minutes.batch_seconds:g} s of sound a step")
    table(("training", "steps", "s", "loss"), [(n, str(f["steps"]), f"{f['seconds']:.0f}", f"{f['loss']:.2f}") for n, f in facts.items()])  # fmt: skip
    figures = {
        "wer": {f"{arm}, {one}": rate(found) for (arm, one), found in everything.items()},
        "differences": {name: str(one) for name, one in pairs.items()},
        "sizes": sizes,
        "speech": data.hash,
    }
    return figures, targets(everything, pairs, size.budgets, sizes)


def _longest_first(found: Mapping[str, Job]) -> list[Job]:
    return sorted(found.values(), key=lambda one: -one.train.steps)


def _said(trainings: SizedTrainings, seed: Seed, where: tuple[str, str], tests: Mapping[str, Sequence[Wave]]) -> Said:
    name, budget = used([where[1]])[where]
    return trainings.said(seed.jobs[name], seed.taught, tests, None if budget is None else parsed(budget))


def _by_condition(spans: Sequence[Span], said: Said) -> dict[str, Rates]:
    return {condition: counted(spans, one) for condition, one in said.items()}


def _sizes(trainings: SizedTrainings, seed: Seed, budgets: Sequence[str], waves: Sequence[Wave]) -> dict[str, dict[str, float]]:
    """Of each budget of the shipped schedule's student; time is taken anew in each call."""
    bundle = trainings.trained(seed.jobs[SHIPPED], seed.taught)
    every = [parsed(one) for one in budgets]
    spent = times(bundle.model, bundle.tokens, waves, every)
    return {
        name: {**parameters(bundle.model.extract(one)), **time} for name, one, time in zip(budgets, every, spent, strict=True)
    }


if __name__ == "__main__":
    conduct("elastic", seeds=(1, 3), run=run)
