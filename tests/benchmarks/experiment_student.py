"""`make experiment-student`: does a student pass the recognisers that labelled what it learnt, and does the filter help it?

Real voices. The pool is what the line found in recordings of the acted play and of the mixture, clean and spoilt together, labelled by two
recognisers and by nobody else. The student is Whisper base, whose decoder has elastic experts; its encoder is frozen, so what that makes of each
sound is kept on disk, as it was recorded and with another speed, noise and telephone, and a training runs the decoder alone. Every arm takes
as many steps from the same start:

    all, kept, random, starred, truth      see `experiments/pools.py`
    dense                                  learns what kept does, without experts: all of the decoder's layers, about as many parameters

Beside them: both teachers, what reconciliation chooses of them, and Whisper base decoded as the student is. The test is speakers whom
nobody heard, clean, in music and engine noise at 10, 5 and 0 dB, and over a mobile telephone. An interval is a paired bootstrap over them.

Settings are chosen by `experiments/choose_student.py` on other speakers, held out of training, and stand in this file before anything of the
test is looked at. The gate is asked of these speakers first: does learning what was really said help at all?

    reduced    small enough to be whole in minutes: what it says of the targets is noise
    full       all spans; `LIMIT=540` cuts it into calls that go on where the last one stopped
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.experiments import pools
from benchmarks.experiments.by_speaker import Rates, counted, difference, rate, together
from benchmarks.experiments.frame_lessons import Taught
from benchmarks.experiments.frames import HEARD, PLAIN, Wave, encode_all
from benchmarks.experiments.hard import CONDITIONS, VERSION, Condition, spoilt
from benchmarks.experiments.room import Form, Outcome, conduct
from benchmarks.experiments.spans import Span, Speech, few, speech
from benchmarks.experiments.student_tables import UNTAUGHT, print_curve, print_pool, print_test, print_trainings, targets
from benchmarks.experiments.student_trainings import Said, StudentTrainings, job
from benchmarks.experiments.teachers import TEACHERS, taught_clean, taught_in
from benchmarks.experiments.together import together as at_once
from benchmarks.experiments.trainings import Job
from benchmarks.report import Target, heading, table
from speech.waves import read_wave


@dataclass(frozen=True)
class Size:
    """What the two forms differ in."""

    pool: float
    """Minutes of spans to learn from, labelled or not."""
    dev: float
    test: float
    versions: int
    """Of each sound, beside the plain one."""
    steps: int
    batch_seconds: float
    curve: bool


REDUCED = Size(pool=9, dev=1.5, test=1.8, versions=1, steps=16, batch_seconds=24.0, curve=False)
FULL = Size(pool=1e6, dev=1e6, test=1e6, versions=2, steps=400, batch_seconds=60.0, curve=True)
PEAK, ATTENTION = 1e-4, False
"""Learning rate, and whether attention is trained beside the experts: of the recipe `whisper`, until `choose_student.py` has said others."""
FIRST_SEED = 1
GATE = ("truth", "kept")


@dataclass(frozen=True)
class Data:
    """Spans by what they are for."""

    pool: list[Span]
    dev: list[Span]
    test: list[Span]
    hash: str

    @classmethod
    def of(cls, found: Speech, size: Size) -> Data:
        """So many minutes of each part."""
        pool, dev, test = (
            few(found.of("train"), size.pool, "train"), few(found.of("dev"), size.dev, "dev"), few(found.of("test"), size.test, "test"),
        )  # fmt: skip
        return cls(pool, dev, test, found.hash)

    def __str__(self) -> str:
        parts = (("pool", self.pool), ("dev", self.dev), ("test", self.test))
        return "; ".join(
            f"{name} {len(one)} spans, {pools.minutes(one):.1f} min of {len({span.speaker for span in one})} speakers"
            for name, one in parts
        )


def dev_tests(dev: Sequence[Span]) -> dict[str, list[Wave]]:
    """What settings are chosen on, and the gate is asked of: as recorded, and spoilt as trainings are, more so."""
    return {
        "as recorded": [Wave(one.key, one.audio) for one in dev],
        "spoilt": [Wave(one.key, one.audio, "dev", HEARD) for one in dev],
    }


def waves_of(test: Sequence[Span], conditions: Sequence[Condition] = CONDITIONS) -> dict[str, list[Wave]]:
    """The test by condition."""
    found = {}
    for condition in conditions:
        paths = {one.id: one.path for one in spoilt(test, condition)}
        name = PLAIN if condition == "clean" else f"test{VERSION}-{condition}"
        found[str(condition)] = [Wave(one.key, partial(read_wave, paths[one.key]), name) for one in test]
    return found


def jobs(size: Size, seed: int) -> dict[str, Job]:
    """The training of each arm: as many steps, batches of as much sound, the same rates."""
    student = partial(job, steps=size.steps, peak=PEAK, batch_seconds=size.batch_seconds, seed=seed)
    names = [*pools.ARMS, *(f"bad {share:.0%}" for share in pools.SHARES if size.curve)]
    return {
        **{arm: student(_file(arm), attention=ATTENTION) for arm in names},
        "dense": student("dense", experts=False, attention=True),
    }


def lessons(pool: Sequence[Span], size: Size, seed: int) -> dict[str, list[Taught]]:
    """What each arm learns."""
    found = pools.arms(pool, size.versions, seed)
    return {
        **found,
        **({name: taught for name, (_, taught) in pools.curve(pool, size.versions).items()} if size.curve else {}),
        "dense": found["kept"],
    }


def run(form: Form) -> Outcome | None:
    size = FULL if form.full else REDUCED
    if form.dry:
        print(
            f"{len(jobs(size, 0)) * form.seeds} trainings of {size.steps} steps of {size.batch_seconds:g} s; settings: {PEAK:g}"
        )
        return None
    data = Data.of(speech(), size)
    heading(
        "student",
        form.full,
        f"{data}; {form.seeds} seeds",
        ("torch", "whisperx", "ctranslate2", "moonshine-voice", "whisper-normalizer"),
    )
    trainings = StudentTrainings("student", form.clock)
    seeds = [FIRST_SEED + index for index in range(form.seeds)]
    taught = {seed: lessons(data.pool, size, seed) for seed in seeds}
    print_pool(data.pool, taught[seeds[0]])
    for found in taught.values():
        encode_all(pools.encoded(found), form.clock, "pool")
    gate = _gate(data.dev, trainings, taught, size)
    tests = waves_of(data.test)
    said = _teachers(data.test, form)
    encode_all([one for waves in tests.values() for one in waves], form.clock, "test")
    asked = [(one, taught[seed][arm], tests) for seed in seeds for arm, one in jobs(size, seed).items()]
    at_once([*(partial(trainings.said, *one) for one in asked), partial(trainings.untaught, tests)])
    rates = {name: _by_condition(data.test, [heard]) for name, heard in said.items()}
    rates[UNTAUGHT] = _by_condition(data.test, [trainings.untaught(tests)])
    for arm in jobs(size, 0):
        rates[arm] = _by_condition(
            data.test, [trainings.said(jobs(size, seed)[arm], taught[seed][arm], tests) for seed in seeds]
        )
    for one, learnt, _ in asked:
        trainings.forget(one, learnt)
    pairs = print_test(rates)
    facts = {arm: trainings.facts(one, taught[seeds[0]][arm]) for arm, one in jobs(size, seeds[0]).items()}
    print_trainings(facts, size.batch_seconds)
    if size.curve:
        print_curve({name: found for name, (found, _) in pools.curve(data.pool, size.versions).items()}, rates)
    totals = {
        name: {**{c: rate(r) for c, r in found.items()}, "all": rate(together(list(found.values())))}
        for name, found in rates.items()
    }
    figures = {
        "wer": totals,
        "differences": {name: str(one) for name, one in pairs.items()},
        "speech": data.hash,
        "trainings": facts,
    }
    return figures, {**gate, **targets(pairs)}


def _gate(
    dev: Sequence[Span], trainings: StudentTrainings, taught: Mapping[int, Mapping[str, list[Taught]]], size: Size
) -> dict[str, Target]:
    """On speakers held out of training: Whisper untaught, taught what was said, and taught what is kept."""
    tests = dev_tests(dev)
    encode_all([one for waves in tests.values() for one in waves], trainings.clock, "dev")
    asked = {(arm, seed): (jobs(size, seed)[arm], found[arm], tests) for seed, found in taught.items() for arm in GATE}
    at_once([*(partial(trainings.said, *one) for one in asked.values()), partial(trainings.untaught, tests)])
    rates = {UNTAUGHT: _by_condition(dev, [trainings.untaught(tests)])}
    rates |= {
        arm: _by_condition(dev, [trainings.said(*one) for (name, _), one in asked.items() if name == arm]) for arm in GATE
    }
    untaught = together([*rates[UNTAUGHT].values()])
    gained = {arm: difference(together([*rates[arm].values()]), untaught) for arm in GATE}
    print(
        "the gate: word error rate in % on speakers held out of training, and what learning brings (points, interval over speakers)"
    )
    rows = [(arm, *(f"{rate(one):.2f}" for one in found.values()), str(gained.get(arm, ""))) for arm, found in rates.items()]
    table(("", *tests, "against untaught"), rows)
    value, met = gained["truth"], gained["truth"].high < 0
    return {
        "gate: learning the truth helps on held-out speakers": {"value": str(value), "target": "interval below 0", "met": met}
    }


def _teachers(test: Sequence[Span], form: Form) -> dict[str, dict[str, dict[str, str]]]:
    """What each teacher says, by condition and key."""
    found: dict[str, dict[str, dict[str, str]]] = {name: {} for name in TEACHERS}
    for condition in CONDITIONS:
        said = taught_clean(test) if condition == "clean" else taught_in(spoilt(test, condition), condition, form.clock)
        for name in TEACHERS:
            found[name][condition] = said[name]
    return found


def _by_condition(spans: Sequence[Span], said: Sequence[Said]) -> dict[str, Rates]:
    """Errors over all seeds, by condition and speaker."""
    return {condition: together([counted(spans, one[condition]) for one in said]) for condition in said[0]}


def _file(name: str) -> str:
    return name.replace(" ", "-").replace("%", "")


if __name__ == "__main__":
    conduct("student", seeds=(1, 1), run=run)
