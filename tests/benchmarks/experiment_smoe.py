"""S-MoE in small: does an expert for each bandwidth and for each task hear and translate better than one layer shared by all?

English sentences of a small grammar, half of them through a telephone, are transcribed or translated into Spanish by one model. In
four arms the feed-forward layers are shared by all, or there is one for each bandwidth in the encoder, one for each task in
the decoder, or both. A fifth has the experts of "both" and sends utterances to them by a coin that knows neither. An utterance passes
as many layers of the same size in every arm: active compute is equal. No arm has a guide token, so the experts are all that differs.

For each seed a dense model is trained first, and all arms go on from it with the same batches: experts begin as copies of its layers.

Words are spelt in letters, and Spanish is spelt in the letters of English: after the same beginning one task goes on otherwise than
the other, which one narrow layer has to know of every word.

Both forms are judged. The reduced one has phrases of three words, said fast, and a model of 50 thousand parameters with very narrow
layers (15 minutes of one core for all trainings); the full one (some hours) has the sentences of the grammar and four times the width.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch

from benchmarks.experiments import sizes
from benchmarks.experiments.corpus import Corpus, Spoken, corpus
from benchmarks.experiments.estimate import Part, show
from benchmarks.experiments.hearing import ctc_ids, encoded
from benchmarks.experiments.lessons import Lesson
from benchmarks.experiments.room import Form, Outcome, conduct
from benchmarks.experiments.saying import decoder_ids
from benchmarks.experiments.together import together
from benchmarks.experiments.trainings import Figures, Job, Judge, Trainings
from benchmarks.experiments.translation import Pair, counted, pairs
from benchmarks.experiments.verdict import cell, interval, judged, reductions
from benchmarks.experiments.voices import ACCENTS, Room, draw_voice
from benchmarks.report import Target, heading, table
from voxmill.manifests.records import Annotation, Bandwidth, Labels, Mark
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.guides import BANDWIDTHS
from voxmill.models.common.tokenizer import SOT, TRANSCRIBE, Tokenizer
from voxmill.models.data.targets import LabelledUtterance, TargetsConfig
from voxmill.models.network.conformer import EncoderConfig
from voxmill.models.network.decoder import DecoderConfig
from voxmill.models.network.layers import GuidedConfig, upcycle
from voxmill.models.network.model import ModelConfig, SpeechModel
from voxmill.models.training.loss import LossConfig
from voxmill.models.training.schedule import RateConfig

PAPER = "S-MoE in encoder and decoder, as the paper's abstract reports it (arXiv 2508.10009): 6.35 % relative WER reduction"


@dataclass(frozen=True, slots=True)
class Course:
    """What a form teaches, and how much of it."""

    name: str
    said: Callable[[int, int], list[Pair]]
    """So many sentences from that seed."""
    size: sizes.Size
    """`steps` are those of an arm."""
    start: int
    """Steps of the dense model that all arms of a seed go on from."""
    peak: float
    """Highest learning rate of an arm."""
    snr_db: tuple[float, float]
    words_per_minute: tuple[int, int]
    """Of the synthesiser. Sound is what a training's time goes into."""
    accents: tuple[str, ...]
    decoder_layers: int
    heads: int = 4
    dropout: float = 0.05


# Layers are narrow for the task: where one holds everything with ease, a second one has nothing to add.
FULL = Course(
    "translation", pairs, replace(sizes.FULL, train=2000, test=240, steps=1000, layers=3, hidden=32), start=1000, peak=1e-3,
    snr_db=(8, 28), words_per_minute=(150, 190), accents=ACCENTS["en"], decoder_layers=2,
)  # fmt: skip
REDUCED = Course(
    "counted", counted, sizes.Size(train=2000, test=200, steps=500, layers=2, dim=24, hidden=8, batch_seconds=24, peak=4e-3),
    start=1000, peak=4e-3, snr_db=(10, 30), words_per_minute=(200, 240), accents=ACCENTS["en"][:1], decoder_layers=1, dropout=0,
)  # fmt: skip
TARGETS = TargetsConfig(style="activated", tasks=("asr",), deactivate=0, translate=0.5)
"""The short prompt, `<|sot|> TASK`; every utterance is now transcribed, now translated."""
LOSS = LossConfig(ctc=0.3, smoothing=0)
LETTERS = 290
"""Subwords, of which 257 are bytes: hardly one is longer than a letter."""

TaskName = Literal["transcribe", "translate"]
TASKS: tuple[TaskName, ...] = ("transcribe", "translate")
CELLS = tuple(f"{band} {task}" for task in TASKS for band in BANDWIDTHS)


@dataclass(frozen=True, slots=True)
class Arm:
    name: str
    encoder: bool
    decoder: bool
    shuffled: bool = False


ARMS = (
    Arm("hard sharing", encoder=False, decoder=False),
    Arm("experts in encoder", encoder=True, decoder=False),
    Arm("experts in decoder", encoder=False, decoder=True),
    Arm("experts in both", encoder=True, decoder=True),
    Arm("both, guides shuffled", encoder=True, decoder=True, shuffled=True),
)


def utterances(course: Course) -> list[Spoken]:
    """Every sentence of the test is heard twice, through a telephone and not: the same voice, the same noise."""
    spoken = []
    for split, count in (("train", course.size.train), ("test", course.size.test)):
        draw = random.Random(f"{course.name} {split}")
        for index, pair in enumerate(course.said(count, draw.randrange(1 << 30))):
            accent, rate = draw.choice(course.accents), draw.randint(*course.words_per_minute)
            voice = replace(draw_voice(draw, split), accent=accent, rate=rate)
            snr_db, narrow = round(draw.uniform(*course.snr_db), 1), index % 2 == 0
            for through in (narrow,) if split == "train" else (True, False):
                key = f"{split}-{index:05d}-{'narrow' if through else 'wide'}"
                spoken.append(Spoken(key, split, ((voice, pair.english),), Room(snr_db, through), {"spanish": pair.spanish}))
    return spoken


def lessons(spoken: Sequence[Spoken], arm: Arm) -> list[Lesson]:
    """With shuffled guides an utterance has its experts by its key, the same in training and test: half of them go each way."""
    found = []
    for one in spoken:
        spanish = Annotation((Mark(one.labels["spanish"], language="es"),), "grammar")
        bandwidth: Bandwidth = "narrow" if one.room.narrow else "wide"
        truth = Lesson(one.key, LabelledUtterance(one.text, Labels(one.key, translation=spanish)), bandwidth)
        coin = random.Random(f"guide {one.key}")
        chance: Bandwidth = coin.choice(("narrow", "wide"))
        task: TaskName = coin.choice(("transcribe", "translate"))
        found.append(replace(truth, bandwidth=chance, task_guide=task) if arm.shuffled else truth)
    return found


def model(course: Course, arm: Arm) -> ModelConfig:
    experts, size = arm.encoder or arm.decoder, course.size
    shape: dict[str, Any] = {"heads": course.heads, "hidden": size.hidden, "dropout": course.dropout}
    smoe = GuidedConfig(encoder=arm.encoder, decoder=arm.decoder, guide_token=False) if experts else None
    return sizes.model(
        size, smoe=smoe,
        encoder=EncoderConfig(layers=size.layers, dim=size.dim, causal=False, **shape),
        decoder=DecoderConfig(layers=course.decoder_layers, backward_layers=0, **shape),
    )  # fmt: skip


def start(course: Course, seed: int) -> Job:
    """The dense training that all arms of a seed begin with, on an order of the data that is not theirs."""
    return Job(
        arm="dense-start", model=model(course, ARMS[0]),
        train=sizes.train(course.size, seed, course.start, loss=LOSS), data=sizes.data(course.size, 1000 + seed, targets=TARGETS),
    )  # fmt: skip


def job(course: Course, arm: Arm, seed: int, after: str) -> Job:
    size = course.size
    name = arm.name.replace(", ", "-").replace(" ", "-")
    rate = RateConfig(peak=course.peak, warmup=max(1, size.steps // 12), shape="cosine")
    return Job(
        arm=name, model=model(course, arm), after=after,
        train=sizes.train(size, seed, rate=rate, loss=LOSS), data=sizes.data(size, seed, targets=TARGETS),
    )  # fmt: skip


def heard(bundle: Bundle, speech: Corpus, test: Sequence[Lesson]) -> tuple[dict[TaskName, dict[str, str]], dict[str, str]]:
    """(what the decoder says when asked for each task, what CTC says) by key."""
    tokens: Tokenizer = bundle.tokens
    prompts: dict[TaskName, int] = {"transcribe": tokens[TRANSCRIBE], "translate": tokens.translate_to("es")}
    by_task = all(one.task_guide is None for one in test)
    said: dict[TaskName, dict[str, str]] = {task: {} for task in TASKS}
    spelt: dict[str, str] = {}
    for batch, found in encoded(bundle, speech, test):
        spelt |= {key: tokens.decode(ids) for key, ids in ctc_ids(bundle, batch, found)}
        for guide, task in enumerate(TASKS):
            guided = replace(batch, translates_B=torch.full_like(batch.translates_B, guide)) if by_task else batch
            words = decoder_ids(bundle.model, tokens, guided, found, (tokens[SOT], prompts[task]))
            said[task] |= {key: tokens.decode(ids) for key, ids in words.items()}
    return said, spelt


def judge(speech: Corpus, test: Sequence[Lesson]) -> Judge:
    """Word error rates (%) of the four cells and of all words together; and CTC's of the transcripts, for the encoder alone.

    The reference of a translation is the only one that the grammar allows, so that its word error rate means what it says.
    """
    spoken = {one.key: one for one in speech.split("test")}

    def measured(bundle: Bundle) -> Figures:
        import jiwer

        found: Figures = {"stored": sum(p.numel() for p in bundle.model.parameters())}
        truths, words = [], []
        answers, spelt = heard(bundle, speech, test)
        for task, said in answers.items():
            for band in BANDWIDTHS:
                keys = [key for key in sorted(said) if spoken[key].room.narrow == (band == "narrow")]
                truth = [spoken[key].text if task == "transcribe" else spoken[key].labels["spanish"] for key in keys]
                found[f"{band} {task}"] = 100 * jiwer.wer(truth, [said[key] for key in keys])
                if task == "transcribe":
                    found[f"{band} ctc"] = 100 * jiwer.wer(truth, [spelt[key] for key in keys])
                truths += truth
                words += [said[key] for key in keys]
        return {**found, "wer": 100 * jiwer.wer(truths, words)}

    return measured


def run(form: Form) -> Outcome | None:
    course = FULL if form.full else REDUCED
    size = course.size
    if form.dry:
        parts = [Part("dense start", model(course, ARMS[0]), course.start, form.seeds)]
        show([*parts, *(Part(arm.name, model(course, arm), size.steps, form.seeds) for arm in ARMS)], size)
        return None
    speech = corpus(course.name, utterances(course))
    heading("smoe", form.full, f"{speech}, {form.seeds} seeds", ("torch", "jiwer", "sentencepiece"))
    train, test = speech.split("train"), speech.split("test")
    tokens = sizes.words_only(
        (text for one in train for text in (one.text, one.labels["spanish"])), LETTERS, translate_to=("es",)
    )
    trainings = Trainings("smoe", speech, tokens, form.clock)
    truth = lessons(train, ARMS[0])

    def dense(seed: int) -> Bundle:
        return trainings.trained(start(course, seed), truth)

    def figures(arm: Arm, seed: int) -> Figures:
        """Experts become copies of the dense layers. Nothing may be left as it was drawn, else arms would begin differently."""

        def upcycled(fresh: SpeechModel) -> None:
            left = upcycle(fresh, dense(seed).model.cpu())
            assert not left, left

        after = trainings.key(start(course, seed), truth)
        heard_by = judge(speech, lessons(test, arm))
        return trainings.result(job(course, arm, seed, after), lessons(train, arm), heard_by, start=upcycled)

    seeds = form.fresh
    together([partial(dense, seed) for seed in seeds])
    together([partial(figures, arm, seed) for seed in seeds for arm in ARMS])
    return verdict({arm.name: [figures(arm, seed) for seed in seeds] for arm in ARMS}, form, size)


def verdict(results: dict[str, list[Figures]], form: Form, size: sizes.Size) -> Outcome:
    baseline = [one["wer"] for one in results[ARMS[0].name]]
    gains = {arm.name: interval(reductions([one["wer"] for one in results[arm.name]], baseline)) for arm in ARMS[1:]}
    active = results[ARMS[0].name][0]["stored"]
    rows = []
    for arm in ARMS:
        of_arm = results[arm.name]
        gain = "" if arm.name not in gains else _shown(gains[arm.name])
        cells = [cell([one[name] for one in of_arm]) for name in (*CELLS, "wer", "narrow ctc", "wide ctc")]
        seconds = statistics.mean(one["seconds"] for one in of_arm)
        rows.append((arm.name, *cells, gain, f"{of_arm[0]['stored'] / 1e3:.0f}", f"{active / 1e3:.0f}", f"{seconds:.0f}"))
    print(
        f"Word error rates in %, mean ± deviation over {form.seeds} seeds; reduction: relative, of all words, with its 95 % interval\n"
    )
    table(
        ("arm", "nb asr", "wb asr", "nb st", "wb st", "all", "nb ctc", "wb ctc", "reduction", "stored k", "active k", "s"),
        rows,
    )
    print(f"  {PAPER}\n")
    both, control = gains[ARMS[3].name], gains[ARMS[4].name]
    targets: dict[str, Target] = {
        "both reduces WER": {"value": _shown(both), "target": "95 % interval over seeds above 0", "met": both[1] > 0},
        "shuffled guides do not": {"value": _shown(control), "target": "interval not above 0", "met": control[1] <= 0},
    }
    dense = [statistics.mean((one["narrow transcribe"], one["wide transcribe"])) for one in results[ARMS[0].name]]
    figures = {
        "arms": {
            name: {key: [one[key] for one in of_arm] for key in (*CELLS, "wer", "seconds")} for name, of_arm in results.items()
        },
        "reductions": {name: _finite(gain) for name, gain in gains.items()},
        "size": asdict(size),
        "device": results[ARMS[0].name][0]["device"],
    }
    return figures, judged(targets, dense)


def _shown(gain: tuple[float, float, float]) -> str:
    mean, low, high = gain
    return f"{mean:+.1f} % [{low:+.1f}, {high:+.1f}]"


def _finite(gain: tuple[float, float, float]) -> list[float | None]:
    """JSON knows no infinity: one seed has no interval."""
    return [value if abs(value) < float("inf") else None for value in gain]


if __name__ == "__main__":
    conduct("smoe", seeds=(5, 5), run=run)
