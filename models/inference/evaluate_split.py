"""A model put to the test: every sample of a split is heard, and the answers are kept beside what the shards say is true."""

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
from voxmill.models.common.tokenizer import CLASSES
from voxmill.models.common.video_frames import pad_video_frames
from voxmill.models.data.sampler import BucketingSampler, NothingToLearn, PlannedSample, SamplerConfig
from voxmill.models.data.targets import LabelledUtterance, read_utterance
from voxmill.models.inference.load import open_recognizer
from voxmill.models.inference.metrics import UtteranceResult, compute_metrics
from voxmill.models.inference.recognizer import Recognition, Recognizer
from voxmill.models.network.size import model_size
from voxmill.sharding.index import NoShards, read_index
from voxmill.sharding.reader import SampleReader, StoredSample
from voxmill.sharding.sidecar import ShardError

SPLITS = ("test", "dev", "train")
"""Where evaluation looks for samples, if nobody says: what was held out first."""


@dataclass(frozen=True, slots=True)
class BudgetResult:
    """One budget's figures, all of them plain values for JSON."""

    budget: str
    stored: int
    active: int
    utterances: int
    audio_seconds: float
    rtf: float
    """Seconds of features, network and search for a second of audio; reading and decoding files is not in it."""
    skipped: dict[str, int]
    figures: dict[str, Any]
    """`evaluate.Figures`."""


class EvaluationSamples:
    """The samples to be tried on, in the order of their batches."""

    def __init__(self, root: str, plan: SamplerConfig, limit: int | None = None) -> None:
        """Raises NothingToLearn, ConditionError."""
        self.root, self._reader = root, SampleReader(root)
        self.skipped: Counter[str] = Counter()
        planner = BucketingSampler(root, plan.model_copy(update={"shuffle": False}))
        places = []
        for planned in planner.epoch(0):
            self.skipped.update(planned.skipped)
            places += [planned.places]
        self.batches: list[tuple[PlannedSample, ...]] = list(_limited(places, limit))
        if not self.batches:
            condition = f" where {plan.where}" if plan.where else ""
            raise NothingToLearn(f"no sample of split {plan.split!r} in {root}{condition}")

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    def read(self, batch: Sequence[PlannedSample], skipped: Counter[str]) -> list[tuple[StoredSample, LabelledUtterance]]:
        """What can be read of a batch; the rest is counted, by the reasons of `examples`."""
        found = []
        for place in batch:
            try:
                sample = self._reader[place.key]
                found.append((sample, read_utterance(sample.document)))
            except (ShardError, KeyError, TypeError, ValueError) as error:
                skipped["damaged" if isinstance(error, ShardError) else "document"] += 1
        return found


def evaluate_model(
    bundle: Bundle, budget: str, shards: EvaluationSamples, asked: dict[str, Any], on_batch: Callable[[int], None]
) -> BudgetResult:
    """`asked`: fields of ListenConfig; `on_batch` is told how many samples were heard since it was last called."""
    listener = open_recognizer(bundle, looks=True, **asked)
    listener([np.zeros(SAMPLE_RATE, np.float32)], ["wide"])  # the first call sets things up
    look = frame_embedder(bundle)
    translators = {
        to: open_recognizer(bundle, looks=True, **asked, translate_to=to) for to in bundle.tokens.config.translate_to
    }
    skipped, answers = Counter(shards.skipped), list[UtteranceResult]()
    busy = heard_seconds = 0.0
    for batch in shards.batches:
        samples = shards.read(batch, skipped)
        start = time.perf_counter()
        heard = _hear(listener, samples, look)
        busy += time.perf_counter() - start
        heard_seconds += sum(len(sample.audio) for sample, _ in samples) / SAMPLE_RATE
        answers += [utterance_result(*sample, one, translators, look) for sample, one in zip(samples, heard, strict=True)]
        on_batch(len(batch))
    size = model_size(bundle.model)
    rtf = busy / heard_seconds if heard_seconds else 0.0
    return BudgetResult(
        budget, size.stored, size.active, len(answers), round(heard_seconds, 1), round(rtf, 4), dict(skipped),
        asdict(compute_metrics(answers)),
    )  # fmt: skip


def frame_embedder(bundle: Bundle) -> FrameEmbedder | None:
    """What looks at the video frames of samples, where the model was trained to see them."""
    vision = bundle.model.config.vision
    return FrameEmbedder(vision.images, name=vision.encoder) if vision and vision.images else None


def utterance_result(
    sample: StoredSample,
    utterance: LabelledUtterance,
    heard: Recognition,
    translators: dict[str, Recognizer],
    look: FrameEmbedder | None = None,
) -> UtteranceResult:
    """What is true of a sample beside what was said; what it has translations of is heard again for each."""
    labels = {kind: label for kind in CLASSES if (label := getattr(utterance.labels, kind)) is not None}
    offers = utterance.labels.translation.marks if utterance.labels.translation else ()
    translations = {
        mark.language: (mark.value, _hear(translators[mark.language], [(sample, utterance)], look)[0].text)
        for mark in offers
        if mark.language in translators
    }
    return UtteranceResult(
        language=sample.document["language"] or "unknown",
        text=utterance.text,
        said=heard.text,
        labels={kind: tuple(_value(mark.value, kind) for mark in label.marks) for kind, label in labels.items()},
        said_labels=heard.labels,
        translations=translations,
    )


def first_split(root: str) -> str:
    """The split that evaluation takes where nobody says. Raises NoShards."""
    there = {shard.split for shard in read_index(root)}
    for split in SPLITS:
        if split in there:
            return split
    raise NoShards(root, "holds no committed shard: its run kept nothing")


def _hear(
    listener: Recognizer, samples: Sequence[tuple[StoredSample, LabelledUtterance]], look: FrameEmbedder | None
) -> list[Recognition]:
    bandwidths = [(sample.document.get("recording") or {}).get("bandwidth") or "wide" for sample, _ in samples]
    frames = pad_video_frames([look(sample) for sample, _ in samples]) if look else None
    heard: list[Recognition] = listener([sample.audio for sample, _ in samples], bandwidths, frames)
    return heard


def _value(name: str, kind: str) -> str:
    """A label as the tokeniser spells it."""
    low = name.lower()
    return low.split("-")[0] if kind == "language" else low


def _limited(batches: Sequence[tuple[PlannedSample, ...]], limit: int | None) -> Iterator[tuple[PlannedSample, ...]]:
    left = sum(map(len, batches)) if limit is None else limit
    for batch in batches:
        kept = tuple(islice(batch, max(0, left)))
        left -= len(kept)
        if kept:
            yield kept
