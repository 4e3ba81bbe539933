"""S-MoE on Whisper base: transcribing and translating recorded prompts, from studios and over mobile telephones.

Asterisk's prompts are the same sentences in several languages. Spanish, French and Italian ones are transcribed, or translated into the English of the
same prompt; each is heard in wide band, and as the package for GSM telephones has it. Whisper's own feed-forward layers, of the decoder and of the last
two layers of the encoder, are what is tuned: shared by all, or one for each bandwidth, for each task, for both, or by a coin
that knows neither. All of them begin as copies of Whisper's. Each language is read by one person, so it is sentences that are held
out, in every language at once, and not voices.
"""

from __future__ import annotations

import random
import statistics
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch

from benchmarks.experiments.frame_lessons import Guides, TaskName, Taught, data
from benchmarks.experiments.frames import PLAIN, Wave, encode_all
from benchmarks.experiments.greedy import token_ids
from benchmarks.experiments.student_trainings import StudentTrainings, course
from benchmarks.experiments.together import together
from benchmarks.experiments.trainings import Clock, Figures, Job, Judge
from benchmarks.experiments.verdict import cell, interval, reductions
from benchmarks.experiments.whisper_start import DECODER_ENDS, attention_of_decoder, depth, switched
from benchmarks.report import Target, table
from benchmarks.words import Edits, edits, english
from speech.prompts import Prompt, narrow_band, prompts
from speech.waves import read_wave
from voxmill.manifests.ids import digest
from voxmill.manifests.records import Annotation, Bandwidth, Labels, Mark
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.guides import BANDWIDTHS, PROMPT_TASKS
from voxmill.models.common.tokenizer import NO_TIMESTAMPS, SOT, TRANSCRIBE
from voxmill.models.data.targets import LabelledUtterance, TargetsConfig
from voxmill.models.network.model import Conditions

LANGUAGES, ENGLISH = ("es", "fr", "it"), "en"
LATE, MARGIN = 2, 50
"""Layers of the encoder that are tuned, and frames of silence after a prompt: a second, with which training lets the decoder come to an end."""
TARGETS = TargetsConfig(tasks=("asr", "language"), translate=0.5)
HELD_OUT = 0.15
"""Share of the sentences."""
PEAK = 1e-4
PAPER = "the paper's abstract: 6.35 % relative WER reduction with experts in encoder and decoder (arXiv 2508.10009)"


@dataclass(frozen=True, slots=True)
class Size:
    """What the two forms differ in."""

    sentences: int
    steps: int
    batch_seconds: float


@dataclass(frozen=True, slots=True)
class Sharing:
    """Which layers have an expert for each bandwidth, or each task."""

    name: str
    encoder: bool
    decoder: bool
    shuffled: bool = False

    @property
    def switches(self) -> dict[str, Any]:
        """Of `ModelConfig`."""
        guided = {"encoder": self.encoder, "decoder": self.decoder, "guide_token": False}
        return {"smoe": guided if self.encoder or self.decoder else None}


HARD, BOTH, SHUFFLED = "hard sharing", "experts in both", "both, guides shuffled"
ARMS = (
    Sharing(HARD, encoder=False, decoder=False),
    Sharing("experts in encoder", encoder=True, decoder=False),
    Sharing("experts in decoder", encoder=False, decoder=True),
    Sharing(BOTH, encoder=True, decoder=True),
    Sharing(SHUFFLED, encoder=True, decoder=True, shuffled=True),
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A prompt in one bandwidth, and its English."""

    key: str
    prompt: Prompt
    bandwidth: Bandwidth
    english: str
    wave: Wave

    @property
    def held_out(self) -> bool:
        """By the name that the prompt has in all languages."""
        return int(digest(["held out", _name(self.prompt)])[:8], 16) < HELD_OUT * 16**8

    def truth(self, task: TaskName) -> str:
        """What is to be said."""
        return self.prompt.text if task == "transcribe" else self.english


def sentences(count: int) -> list[Sentence]:
    """So many prompts that have an English one, each in both bands; in an order that is drawn."""
    said = {_name(one): one.text for one in prompts(ENGLISH)}
    found = []
    for language in LANGUAGES:
        narrow = narrow_band(language)
        for one in prompts(language):
            if _name(one) in said and one.id in narrow and one.seconds <= 26:
                found.append((one, narrow[one.id], said[_name(one)]))
    found.sort(key=lambda pair: digest(["sentence", pair[0].id]))
    sentences = []
    for one, narrow_path, translation in found[:count]:
        for band, path, version in (("wide", one.path, PLAIN), ("narrow", narrow_path, "gsm")):
            wave = Wave(f"{one.id}-{band}", partial(read_wave, path), version, late=LATE, margin=MARGIN)
            sentences.append(Sentence(wave.key, one, band, translation, wave))  # type: ignore[arg-type]
    return sentences


def _name(prompt: Prompt) -> str:
    return prompt.id.partition("_")[2]


def taught(found: Sequence[Sentence], shuffled: bool = False) -> list[Taught]:
    """What a training learns of them. With shuffled guides experts follow from the key, the same in training and test."""
    lessons = []
    for one in found:
        language = Annotation((Mark(one.prompt.language),), "stated")
        translation = Annotation((Mark(one.english, language=ENGLISH),), "prompts")
        said = LabelledUtterance(one.prompt.text, Labels(one.key, language=language, translation=translation))
        guides = by_chance(one.key) if shuffled else Guides(one.bandwidth)
        lessons.append(Taught(one.key, one.prompt.num_samples, said, (one.wave,), guides))
    return lessons


def by_chance(key: str) -> Guides:
    """Guides that say nothing of the sound or the task."""
    coin = random.Random(f"guide {key}")
    return Guides(coin.choice(BANDWIDTHS), coin.choice(("transcribe", "translate")))


def job(size: Size, arm: Sharing, seed: int) -> Job:
    """The feed-forward layers, with the norms before them, are trained; attention and embeddings stay Whisper's."""
    layers = [f"encoder.layers.{index}" for index in range(depth("encoder"))]
    late = [f"{layer}.{part}" for layer in layers[-LATE:] for part in ("attention", "norm_attention")]
    frozen = ("frontend", "encoder.norm", *layers[:-LATE], *late, *DECODER_ENDS, *attention_of_decoder())
    name = arm.name.replace(", ", "-").replace(" ", "-")
    return Job(
        arm=f"smoe-{name}", model=switched(frozen, **arm.switches), train=course(size.steps, PEAK, seed),
        data=data(size.batch_seconds, seed, TARGETS),
    )  # fmt: skip


def heard(bundle: Bundle, test: Sequence[Sentence], shuffled: bool) -> dict[TaskName, dict[str, str]]:
    """What the model says of each sentence when it is asked for each task."""
    tokens, by_key = bundle.tokens, {one.key: one for one in test}
    asked: dict[TaskName, int] = {"transcribe": tokens[TRANSCRIBE], "translate": tokens.translate_to(ENGLISH)}
    said: dict[TaskName, dict[str, str]] = {}
    for task, token in asked.items():

        def prompt(key: str, token: int = token) -> tuple[int, ...]:
            return tokens[SOT], tokens.of_class("language", by_key[key].prompt.language), token, tokens[NO_TIMESTAMPS]

        def conditions(keys: Sequence[str], task: TaskName = task) -> Conditions:
            guides = [by_chance(key) if shuffled else Guides(by_key[key].bandwidth, task) for key in keys]
            return Conditions(
                bandwidth_B=torch.tensor([BANDWIDTHS.index(one.bandwidth) for one in guides]),
                translates_B=torch.tensor([PROMPT_TASKS.index(one.task or task) for one in guides]),
            )

        ids = token_ids(bundle.model, tokens, [one.wave for one in test], prompt, conditions)
        said[task] = {key: tokens.decode(of) for key, of in ids.items()}
    return said


def judge(test: Sequence[Sentence], shuffled: bool) -> Judge:
    """Word error rates (%) of the four cells, of transcripts, and of all words together; chrF of translations; parameters in millions."""

    def measured(bundle: Bundle) -> Figures:
        import sacrebleu

        said = heard(bundle, test, shuffled)
        counted: dict[str, Edits] = {}
        for task, of in said.items():
            for one in test:
                cell = f"{one.bandwidth} {task}"
                counted[cell] = counted.get(cell, Edits()) + edits(words(one.truth(task)), words(of[one.key]))
        heard_words, everything = (
            sum((counted[f"{band} {task}"] for band in BANDWIDTHS for task in tasks), start=Edits())
            for tasks in (("transcribe",), PROMPT_TASKS)
        )
        chrf = sacrebleu.corpus_chrf([said["translate"][one.key] for one in test], [[one.english for one in test]])
        return {
            **{name: 100 * one.rate for name, one in counted.items()}, "transcripts": 100 * heard_words.rate,
            "wer": 100 * everything.rate, "chrf": chrf.score, "stored": sum(p.numel() for p in bundle.model.parameters()) / 1e6,
        }  # fmt: skip

    return measured


@cache
def words(text: str) -> tuple[str, ...]:
    """The words that are compared: as English is, without accents, which the Spanish references lack.

    >>> words("¿Está la línea 2?")
    ('esta', 'la', 'linea', '2')
    """
    bare = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return english(bare)


def compare(size: Size, seeds: Sequence[int], clock: Clock) -> tuple[dict[str, Any], dict[str, Target]]:
    """All arms of all seeds; prints their tables. (figures, targets). Raises OutOfTime."""
    found = sentences(size.sentences)
    train, test = [one for one in found if not one.held_out], [one for one in found if one.held_out]
    encode_all([one.wave for one in found], clock, "prompts")
    trainings = StudentTrainings("seeds", clock, late=LATE, translate_to=(ENGLISH,))

    def figures(arm: Sharing, seed: int) -> Figures:
        lessons = taught(train, arm.shuffled)
        result = trainings.result(job(size, arm, seed), lessons, judge(test, arm.shuffled))
        trainings.forget(job(size, arm, seed), lessons)
        return result

    together([partial(figures, arm, seed) for seed in seeds for arm in ARMS])
    results = {arm.name: [figures(arm, seed) for seed in seeds] for arm in ARMS}
    minutes = sum(one.prompt.seconds for one in train) / 60
    print(
        f"S-MoE: {len(train)} recordings of {', '.join(LANGUAGES)} ({minutes:.0f} min), tested on {len(test)} of other sentences"
    )
    return _shown(results), _targets(results)


CELLS = tuple(f"{band} {task}" for task in PROMPT_TASKS for band in BANDWIDTHS)


def _shown(results: Mapping[str, Sequence[Figures]]) -> dict[str, Any]:
    gains = _gains(results)
    rows = []
    for name, of in results.items():
        cells = [cell([one[key] for one in of]) for key in (*CELLS, "wer", "chrf")]
        gain = "" if name == HARD else _interval(gains[name])
        rows.append((name, *cells, gain, f"{of[0]['stored']:.0f}", f"{statistics.mean(one['seconds'] for one in of):.0f}"))
    print(
        "word error rates in %, mean ± deviation over seeds; reduction: relative, of all words, with its 95 % interval over seeds"
    )
    table(("arm", "nb asr", "wb asr", "nb st", "wb st", "all", "chrF st", "reduction", "stored M", "s"), rows)
    print(f"  {PAPER}\n")
    kept = (*CELLS, "wer", "chrf", "seconds")
    return {name: {key: [one[key] for one in of] for key in kept} for name, of in results.items()}


def _gains(results: Mapping[str, Sequence[Figures]]) -> dict[str, tuple[float, float, float]]:
    shared = [one["wer"] for one in results[HARD]]
    return {name: interval(reductions([one["wer"] for one in of], shared)) for name, of in results.items() if name != HARD}


def _interval(gain: tuple[float, float, float]) -> str:
    return f"{gain[0]:+.1f} % [{gain[1]:+.1f}, {gain[2]:+.1f}]"


def _targets(results: Mapping[str, Sequence[Figures]]) -> dict[str, Target]:
    gains, heard_rate = _gains(results), max(one["transcripts"] for one in results[HARD])
    return {
        "smoe: hard sharing transcribes": {"value": f"{heard_rate:.1f} %", "target": "every seed <= 20 %", "met": heard_rate <= 20},
        "smoe: shuffled guides do not help": {
            "value": _interval(gains[SHUFFLED]), "target": "interval not above 0", "met": gains[SHUFFLED][1] <= 0,
        },
    }  # fmt: skip


def effect(figures: Mapping[str, Any]) -> str:
    """What came of the paper's claim, in a line."""
    gain = interval(reductions(figures[BOTH]["wer"], figures[HARD]["wer"]))
    there = "there" if gain[1] > 0 else "not there"
    return f"experts in both reduce WER by {_interval(gain)}: {there}"
