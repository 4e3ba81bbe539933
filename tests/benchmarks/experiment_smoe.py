"""S-MoE in small: does an expert for each bandwidth and for each task hear and translate better than one layer shared by all?

English sentences of a small grammar, half of them through a telephone, are transcribed or translated into Spanish by one model. In
four arms the feed-forward layers are shared by all, or there is one for each bandwidth in the encoder, one for each task in
the decoder, or both. A fifth has the experts of "both" and sends utterances to them by a coin that knows neither. An utterance passes
as many layers of the same size in every arm: active compute is equal. No arm has a guide token, so the experts are all that differs.

For each seed a dense model is trained first, and all arms go on from it with the same batches: experts begin as copies of its layers.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.experiments import sizes
from benchmarks.experiments.corpus import Corpus, Spoken, corpus
from benchmarks.experiments.estimate import Part, show
from benchmarks.experiments.hearing import ctc_ids, encoded
from benchmarks.experiments.lessons import Lesson
from benchmarks.experiments.room import Form, Outcome, conduct
from benchmarks.experiments.saying import decoder_ids
from benchmarks.experiments.trainings import Figures, Job, Judge, Start, Trainings
from benchmarks.experiments.translation import pairs
from benchmarks.experiments.verdict import cell, interval, judged, reductions
from benchmarks.experiments.voices import Room, draw_voice
from benchmarks.report import Target, heading, table
from voxmill.manifests.records import Annotation, Bandwidth, Labels, Mark
from voxmill.models.data.targets import TargetsConfig, Utterance
from voxmill.models.data.tokens import SOT, TRANSCRIBE, Tokens
from voxmill.models.network.assemble import GuidedConfig, upcycle
from voxmill.models.network.decoder import DecoderConfig
from voxmill.models.network.guided import BANDWIDTHS
from voxmill.models.network.model import ModelConfig, SpeechModel
from voxmill.models.training.checkpoint import Bundle
from voxmill.models.training.schedule import RateConfig

PAPER = "S-MoE in encoder and decoder, as the paper's abstract reports it (arXiv 2508.10009): 6.35 % relative WER reduction"
FULL = replace(sizes.FULL, train=2000, test=240, steps=1000, layers=3, hidden=128)
"""Feed-forward layers that are small for the task: where one layer holds everything with ease, a second one has nothing to add."""
SMOKE = replace(sizes.SMOKE, test=8)
TARGETS = TargetsConfig(style="activated", tasks=("asr",), deactivate=0, translate=0.5)
"""The short prompt, `<|sot|> TASK`; every utterance is now transcribed, now translated."""

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


def utterances(size: sizes.Size) -> list[Spoken]:
    """Every sentence of the test is heard twice, through a telephone and not: the same voice, the same noise."""
    spoken = []
    for split, count in (("train", size.train), ("test", size.test)):
        draw = random.Random(f"translation {split}")
        for index, pair in enumerate(pairs(count, draw.randrange(1 << 30))):
            voice, snr_db, narrow = draw_voice(draw, split), round(draw.uniform(8, 28), 1), index % 2 == 0
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
        truth = Lesson(one.key, Utterance(one.text, Labels(one.key, translation=spanish)), bandwidth)
        coin = random.Random(f"guide {one.key}")
        chance: Bandwidth = coin.choice(("narrow", "wide"))
        task: TaskName = coin.choice(("transcribe", "translate"))
        found.append(replace(truth, bandwidth=chance, task_guide=task) if arm.shuffled else truth)
    return found


def model(size: sizes.Size, arm: Arm) -> ModelConfig:
    experts = arm.encoder or arm.decoder
    decoder = DecoderConfig(layers=2, backward_layers=0, heads=4, hidden=size.hidden, dropout=0.05)
    smoe = GuidedConfig(encoder=arm.encoder, decoder=arm.decoder, guide_token=False) if experts else None
    return sizes.model(size, decoder=decoder, smoe=smoe)


def start(size: sizes.Size, seed: int) -> Job:
    """The dense training that all arms of a seed begin with, on an order of the data that is not theirs."""
    return Job(
        arm="dense-start", model=model(size, ARMS[0]),
        train=sizes.train(size, seed), data=sizes.data(size, 1000 + seed, targets=TARGETS),
    )  # fmt: skip


def job(size: sizes.Size, arm: Arm, seed: int, after: str) -> Job:
    name = arm.name.replace(", ", "-").replace(" ", "-")
    rate = RateConfig(peak=size.peak / 2, warmup=max(1, size.steps // 12), shape="cosine")
    return Job(
        arm=name, model=model(size, arm), after=after,
        train=sizes.train(size, seed, rate=rate), data=sizes.data(size, seed, targets=TARGETS),
    )  # fmt: skip


def heard(bundle: Bundle, speech: Corpus, test: Sequence[Lesson], task: TaskName) -> tuple[dict[str, str], dict[str, str]]:
    """(what the decoder says, what CTC says) by key."""
    tokens: Tokens = bundle.tokens
    prompt = (tokens[SOT], tokens[TRANSCRIBE] if task == "transcribe" else tokens.translate_to("es"))
    asked = replace(bundle, targets=TARGETS.model_copy(update={"translate": float(task == "translate")}))
    said: dict[str, str] = {}
    spelt: dict[str, str] = {}
    for batch, found in encoded(asked, speech, test):
        said |= {key: tokens.decode(ids) for key, ids in decoder_ids(bundle.model, tokens, batch, found, prompt).items()}
        spelt |= {key: tokens.decode(ids) for key, ids in ctc_ids(bundle, batch, found)}
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
        for task in TASKS:
            said, spelt = heard(bundle, speech, test, task)
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
    size = FULL if form.full else SMOKE
    if form.dry:
        parts = [Part("dense start", model(size, ARMS[0]), size.steps, form.seeds)]
        show([*parts, *(Part(arm.name, model(size, arm), size.steps, form.seeds) for arm in ARMS)], size)
        return None
    speech = corpus("translation", utterances(size))
    heading("smoe", form.full, f"{speech}, {form.seeds} seeds", ("torch", "jiwer", "sentencepiece"))
    train, test = speech.split("train"), speech.split("test")
    tokens = sizes.tokens((text for one in train for text in (one.text, one.labels["spanish"])), num_subwords=440)
    trainings = Trainings("smoe", speech, tokens, form.clock)
    results: dict[str, list[Figures]] = {arm.name: [] for arm in ARMS}
    truth = lessons(train, ARMS[0])
    for seed in range(form.seeds):
        dense = start(size, seed)
        trainings.trained(dense, truth)
        for arm in ARMS:
            figures = trainings.result(
                job(size, arm, seed, trainings.key(dense, truth)), lessons(train, arm), judge(speech, lessons(test, arm)),
                start=upcycled(trainings, dense, truth),
            )  # fmt: skip
            results[arm.name].append(figures)
    return verdict(results, form, size)


def upcycled(trainings: Trainings, dense: Job, truth: Sequence[Lesson]) -> Start:
    """Experts become copies of the dense layers. Nothing may be left as it was drawn, else arms would begin differently."""

    def begin(fresh: SpeechModel) -> None:
        left = upcycle(fresh, trainings.trained(dense, truth).model.cpu())
        assert not left, left

    return begin


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
    conduct("smoe", seeds=(1, 5), run=run)
