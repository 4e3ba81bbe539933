"""`make experiment-filter`: is it better to learn from fewer labels that recognisers agree on than from all that they give?

Rows of spoken words. Three teachers, each trained on another part of a little true speech, hear a pool of which much is in more noise
than what they learnt from, some of it nearly unintelligible; the project's reconciliation makes one label and one agreement of what
they say. Then the same model learns the same number of steps from

    all       every label
    kept      the labels with agreement enough for the tier `high`
    random    as many as kept, drawn at random
    weak      as `kept`, with the tier `weak` as well (beside, for no target; in the full form)
    truth     the sound of `all` with what was really said: the dense baseline, and what right labels alone would bring

and is tested on what was really said by voices that nobody heard before: in the noise of the pool, as far as labels came from there
(what a pool is labelled for, and what targets are about), and beside that in as little as the true speech has. A spread is over seeds,
that is trainings; each seed draws its own `random`. The reduced form has three seeds and shorter trainings on less.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.experiments import estimate, sizes
from benchmarks.experiments.corpus import Corpus, Spoken, corpus
from benchmarks.experiments.grammar import ROOMS, THINGS
from benchmarks.experiments.hearing import error_rates, transcripts
from benchmarks.experiments.lessons import Lesson, lesson
from benchmarks.experiments.pseudo import Said, consensus
from benchmarks.experiments.room import Form, Outcome, conduct
from benchmarks.experiments.rows import row
from benchmarks.experiments.sizes import Size
from benchmarks.experiments.together import together
from benchmarks.experiments.trainings import Figures, Job, Trainings
from benchmarks.experiments.verdict import beats, cell, interval, judged, reductions
from benchmarks.experiments.voices import Room
from benchmarks.report import Target, heading, table
from voxmill.manifests.records import Consensus
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.training.loss import LossConfig
from voxmill.operators.select.policy import SelectConfig

SIZE = Size(train=2400, test=300, steps=600, layers=2, dim=48, hidden=192, batch_seconds=20.0, peak=4e-3)
FULL = replace(SIZE, train=4800, test=600, steps=1000, layers=3, dim=64)
LABELLED = 0.25
"""Of the training split: true speech, for the teachers; the rest is the pool."""
WORDS = (*ROOMS, *THINGS)
"""Not digits: reconciliation takes "one two three" for one number, so that there is all to agree on or nothing."""
TEACHERS = 3
SHARE = 2 / 3
"""Of the true speech that one teacher learns from: each another part."""
TEACHER_STEPS = 2 / 3
"""Of a student's."""
QUIET, LOUD, TEST = (0.0, 20.0), (-24.0, 16.0), (-12.0, 16.0)
"""Signal-to-noise ratios (dB) of the true speech and the quiet test, of the pool, and of the test: below it teachers say nothing."""
ARMS = ("all", "kept", "random", "truth")
BESIDE = ("weak",)
"""In the full form."""


def made(size: Size, seed: int = 20_261_122) -> Corpus:
    """`labels["part"]`: `labelled`, `pool` or `test`."""
    labelled = round(LABELLED * size.train)
    parts = (
        ("labelled", "train", labelled, QUIET),
        ("pool", "train", size.train - labelled, LOUD),
        ("test", "test", size.test, QUIET),
    )
    spoken = []
    for part, split, count, snr_db in parts:
        draw = random.Random(f"{seed} {part}")
        for index in range(count):
            turns = (row(draw, split, WORDS),)
            room = Room(round(draw.uniform(*snr_db), 1))
            spoken.append(Spoken(f"{part}-{index:05d}", split, turns, room, {"part": part}))
    return corpus("pool", spoken)


def noisy_test(size: Size, seed: int = 20_261_130) -> Corpus:
    """Its range of noise was chosen on another draw."""
    draw = random.Random(seed)
    turns = [(row(draw, "test", WORDS),) for _ in range(size.test)]
    rooms = [Room(round(draw.uniform(*TEST), 1)) for _ in turns]
    return corpus(
        "pool-test", [Spoken(f"noisy-{i:05d}", "test", *spoken) for i, spoken in enumerate(zip(turns, rooms, strict=True))]
    )


def part(of: Corpus, name: str) -> list[Spoken]:
    return [one for one in of.spoken if one.labels["part"] == name]


def run(form: Form) -> Outcome | None:
    size, names = (FULL, (*ARMS, *BESIDE)) if form.full else (SIZE, ARMS)
    if form.dry:
        _estimate(size, form.seeds, len(names))
        return None
    data = made(size)
    heading("filter", form.full, f"{data}, {form.seeds} seeds", ("torch", "sentencepiece", "jiwer", "whisper-normalizer"))
    tokens = sizes.words_only(one.text for one in part(data, "labelled"))
    trainings = Trainings("filter", data, tokens, form.clock)
    found = consensus(data, part(data, "pool"), taught(trainings, data, size))
    labelled = {one.segment_id: one for one in found if one.rejection is None}
    kept = above(labelled, SelectConfig().high)
    if not kept:
        sys.exit("the teachers agree on no label: they have not learnt enough to filter a pool")
    print(f"agreement of the teachers in the pool, and what is true of the label that comes of it ({len(found)} utterances)")
    table(("at least", "kept %", "label WER %"), pool_rows(data, labelled, len(found)))

    noisy = noisy_test(size)
    quiet_tests, noisy_tests = [lesson(one) for one in part(data, "test")], [lesson(one) for one in noisy.spoken]

    def judge(bundle: Bundle) -> Figures:
        quiet = error_rates(data, transcripts(bundle, data, quiet_tests))["wer"]
        return {**error_rates(noisy, transcripts(bundle, noisy, noisy_tests)), "quiet": quiet}

    def student(arm: str, seed: int) -> Figures:
        return trainings.result(_job(arm, size, seed), lessons[seed][arm], judge)

    lessons = {seed: arms(data, labelled, kept, seed) for seed in form.fresh}
    together([partial(student, arm, seed) for seed in form.fresh for arm in names])
    figures = {arm: [student(arm, seed) for seed in form.fresh] for arm in names}
    rates = {arm: [one["wer"] for one in seeds] for arm, seeds in figures.items()}
    cells = {name: {arm: cell([one[name] for one in figures[arm]]) for arm in names} for name in ("wer", "cer", "quiet")}
    rows = [(arm, str(len(lessons[form.fresh[0]][arm])), *(cells[name][arm] for name in cells)) for arm in names]
    print(f"error rates in % on true transcripts of held-out voices, mean ± deviation over {form.seeds} seeds")
    table(("learnt from", "utterances", "WER", "CER", "quiet: WER"), rows)
    kept_share = len(kept) / len(found)
    return {"wer": rates, "kept": kept_share, "corpus": data.hash}, judged(targets(rates), rates["truth"])


def taught(trainings: Trainings, data: Corpus, size: Size) -> dict[str, Said]:
    """What each teacher hears in the pool."""
    pool, true = [lesson(one) for one in part(data, "pool")], part(data, "labelled")

    def listen(bundle: Bundle) -> Figures:
        return {"said": transcripts(bundle, data, pool)}

    def teacher(number: int) -> Figures:
        own = random.Random(f"teacher {number}").sample(true, round(SHARE * len(true)))
        return trainings.result(
            _job("teacher", size, number, round(TEACHER_STEPS * size.steps)), [lesson(one) for one in own], listen
        )

    together([partial(teacher, number) for number in range(TEACHERS)])
    return {f"teacher-{number}": teacher(number)["said"] for number in range(TEACHERS)}


def _job(arm: str, size: Size, seed: int, steps: int | None = None) -> Job:
    train = sizes.train(size, seed, steps, loss=LossConfig(ctc=0.8))
    return Job(arm=arm, model=sizes.model(size), train=train, data=sizes.data(size, seed))


def above(labelled: Mapping[str, Consensus], agreement: float) -> list[str]:
    """The keys of labels that are agreed on so much."""
    return [key for key, one in labelled.items() if one.agreement is not None and one.agreement >= agreement]


def pool_rows(data: Corpus, labelled: Mapping[str, Consensus], count: int) -> list[tuple[str, str, str]]:
    rows = []
    for least in (0.0, 0.5, 0.6, 0.8, 0.9, 0.95, 1.0):
        if keys := above(labelled, least):
            rate = error_rates(data, {key: labelled[key].text for key in keys})["wer"]
            rows.append((f"{least:g}", f"{100 * len(keys) / count:.1f}", f"{rate:.1f}"))
    return rows


def arms(data: Corpus, labelled: Mapping[str, Consensus], kept: Sequence[str], seed: int) -> dict[str, list[Lesson]]:
    """What each arm learns from."""
    pool = part(data, "pool")
    chosen = {
        "all": list(labelled),
        "kept": list(kept),
        "random": sorted(random.Random(f"random {seed}").sample(list(labelled), len(kept))),
        "weak": above(labelled, SelectConfig().weak),
    }
    spoken = {one.key: one for one in pool}
    found = {arm: [_pseudo(spoken[key], labelled[key]) for key in keys] for arm, keys in chosen.items()}
    return {**found, "truth": [lesson(spoken[key]) for key in labelled]}


def _pseudo(spoken: Spoken, one: Consensus) -> Lesson:
    true = lesson(spoken)
    return replace(true, utterance=replace(true.utterance, text=one.text))


def targets(rates: Mapping[str, Sequence[float]]) -> dict[str, Target]:
    found: dict[str, Target] = {}
    for other in ("all", "random"):
        mean, low, high = interval(reductions(rates["kept"], rates[other]))
        found[f"kept beats {other}, no seeds overlapping"] = {
            "value": f"WER {mean:+.1f} % lower [{low:.1f}, {high:.1f}]", "target": "every seed of the one below all of the other",
            "met": beats(rates["kept"], rates[other]),
        }  # fmt: skip
    return found


def _estimate(size: Size, seeds: int, count: int) -> None:
    model = sizes.model(size)
    teachers = estimate.Part("teacher", model, round(TEACHER_STEPS * size.steps), TEACHERS)
    estimate.show([teachers, estimate.Part("student", model, size.steps, seeds * count)], size)


if __name__ == "__main__":
    conduct("filter", seeds=(3, 5), run=run)
