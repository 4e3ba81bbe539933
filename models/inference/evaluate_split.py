"""Evaluates a model on a split of shards: recognises every sample and compares the result with its transcript and labels."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.image_encoder import FrameEmbedder
from voxmill.models.common.text_rules import TextRules, ruled
from voxmill.models.common.tokenizer import CLASSES
from voxmill.models.common.video_frames import pad_video_frames
from voxmill.models.data.batch_cutter import PlannedSample
from voxmill.models.data.sampler import BucketingSampler, NothingToLearn
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.targets import LabelledUtterance, read_utterance
from voxmill.models.inference.load import open_recognizer
from voxmill.models.inference.metrics import UtteranceResult, compute_metrics
from voxmill.models.inference.recognizer import Recognition, Recognizer
from voxmill.models.network.size import model_size
from voxmill.sharding.index import NoShards, read_index
from voxmill.sharding.reader import SampleReader, StoredSample
from voxmill.sharding.sidecar import ShardError

SPLITS = ("test", "dev", "train")
"""Splits in the order in which evaluation looks for samples by default: held-out ones first."""


@dataclass(frozen=True, slots=True)
class BudgetResult:
    """Size, speed and metrics of one budget, as plain values for JSON."""

    budget: str
    stored: int
    active: int
    utterances: int
    audio_seconds: float
    rtf: float
    """Real-time factor: seconds of features, network and search for a second of audio, without reading and decoding files."""
    skipped: dict[str, int]
    figures: dict[str, Any]
    """`metrics.Metrics` as a dictionary."""


class EvaluationSamples:
    """The samples to evaluate on, in batches of similar length. `len()`: how many there are."""

    def __init__(self, root: str, plan: SamplerConfig, limit: int | None = None) -> None:
        """`limit`: most samples. Raises NoShards, NothingToLearn, ConditionError."""
        self.root, self._reader = root, SampleReader(root)
        self.skipped: Counter[str] = Counter()
        sampler = BucketingSampler(root, plan.model_copy(update={"shuffle": False}))
        batches = []
        for planned in sampler.epoch(0):
            self.skipped.update(planned.skipped)
            batches += [planned.samples]
        self.batches: list[tuple[PlannedSample, ...]] = list(_limited(batches, limit))
        if not self.batches:
            condition = f" where {plan.where}" if plan.where else ""
            raise NothingToLearn(f"no sample of split {plan.split!r} in {root}{condition}")

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    def read(self, batch: Sequence[PlannedSample], skipped: Counter[str]) -> list[tuple[StoredSample, LabelledUtterance]]:
        """Reads the samples of a batch; those that cannot be read are counted in `skipped`, by reason (`examples.REASONS`)."""
        found = []
        for planned in batch:
            try:
                sample = self._reader[planned.key]
                found.append((sample, read_utterance(sample.document)))
            except (ShardError, KeyError, TypeError, ValueError) as error:
                skipped["damaged" if isinstance(error, ShardError) else "document"] += 1
        return found


def evaluate_model(
    bundle: Bundle, budget: str, shards: EvaluationSamples, asked: dict[str, Any], on_batch: Callable[[int], None]
) -> BudgetResult:
    """Evaluates one budget. `asked`: fields of RecognizerConfig; `on_batch` is called with the number of samples of each
    batch."""
    recognizer = open_recognizer(bundle, with_video=True, **asked)
    recognizer([np.zeros(SAMPLE_RATE, np.float32)], ["wide"])  # the first call sets things up
    embedder = frame_embedder(bundle)
    of_transcripts = ("hotwords", "lm")  # in another language than a translation
    translating = {key: value for key, value in asked.items() if key not in of_transcripts}
    translators = {
        to: open_recognizer(bundle, with_video=True, **translating, translate_to=to)
        for to in bundle.tokens.config.translate_to
        if bundle.translates_into(to)
    }
    skipped, results = Counter(shards.skipped), list[UtteranceResult]()
    busy = audio_seconds = 0.0
    for batch in shards.batches:
        samples = shards.read(batch, skipped)
        start = time.perf_counter()
        recognised = _recognise(recognizer, samples, embedder)
        busy += time.perf_counter() - start
        audio_seconds += sum(len(sample.audio) for sample, _ in samples) / SAMPLE_RATE
        results += [
            utterance_result(*sample, one, translators, bundle.targets.text, embedder)
            for sample, one in zip(samples, recognised, strict=True)
        ]
        on_batch(len(batch))
    size = model_size(bundle.model)
    rtf = busy / audio_seconds if audio_seconds else 0.0
    return BudgetResult(
        budget, size.stored, size.active, len(results), round(audio_seconds, 1), round(rtf, 4), dict(skipped),
        asdict(compute_metrics(results)),
    )  # fmt: skip


def frame_embedder(bundle: Bundle) -> FrameEmbedder | None:
    """The image encoder that a model was trained with; None for a model without vision."""
    vision = bundle.model.config.vision
    return FrameEmbedder(vision.images, name=vision.encoder) if vision and vision.images else None


def utterance_result(
    sample: StoredSample,
    utterance: LabelledUtterance,
    recognised: Recognition,
    translators: dict[str, Recognizer],
    rules: TextRules,
    embedder: FrameEmbedder | None = None,
) -> UtteranceResult:
    """References and predictions of a sample. It is recognised again for each language it has a translation into.

    `rules`: those that the model learnt its text under. A translation is judged with its case and punctuation, so its reference is put
    under them; transcripts are compared without either.
    """
    labels = {kind: label for kind in CLASSES if (label := getattr(utterance.labels, kind)) is not None}
    offers = utterance.labels.translation.marks if utterance.labels.translation else ()
    translations = {
        mark.language: (
            ruled(mark.value, rules).text,
            _recognise(translators[mark.language], [(sample, utterance)], embedder)[0].text,
        )
        for mark in offers
        if mark.language in translators
    }
    return UtteranceResult(
        language=sample.document["language"] or "unknown",
        text=utterance.text,
        said=recognised.text,
        labels={kind: tuple(_value(mark.value, kind) for mark in label.marks) for kind, label in labels.items()},
        said_labels=recognised.labels,
        translations=translations,
    )


def first_split(root: str) -> str:
    """The split that evaluation takes by default. Raises NoShards."""
    there = {shard.split for shard in read_index(root)}
    for split in SPLITS:
        if split in there:
            return split
    raise NoShards(root, "holds no committed shard: its run kept nothing")


def _recognise(
    recognizer: Recognizer, samples: Sequence[tuple[StoredSample, LabelledUtterance]], embedder: FrameEmbedder | None
) -> list[Recognition]:
    bandwidths = [(sample.document.get("recording") or {}).get("bandwidth") or "wide" for sample, _ in samples]
    frames = pad_video_frames([embedder(sample) for sample, _ in samples]) if embedder else None
    recognised: list[Recognition] = recognizer([sample.audio for sample, _ in samples], bandwidths, frames)
    return recognised


def _value(name: str, kind: str) -> str:
    """A label value as the tokeniser spells it."""
    low = name.lower()
    return low.split("-")[0] if kind == "language" else low


def _limited(batches: Sequence[tuple[PlannedSample, ...]], limit: int | None) -> Iterator[tuple[PlannedSample, ...]]:
    left = sum(map(len, batches)) if limit is None else limit
    for batch in batches:
        kept = tuple(islice(batch, max(0, left)))
        left -= len(kept)
        if kept:
            yield kept
