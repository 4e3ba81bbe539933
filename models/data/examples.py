"""A sample of the shards as a training example: read, checked, augmented, with features and target.

The content of shards is not trusted: a sample that cannot be used raises UnusableSample with a reason, and nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from voxmill.manifests.config_base import Settings
from voxmill.manifests.records import Bandwidth
from voxmill.models.common.image_encoder import FrameEmbedder, ImageEncoderConfig
from voxmill.models.common.seeds import Generator, seeded
from voxmill.models.common.sound_features import SoundFeatures
from voxmill.models.common.tokenizer import Tokenizer, UnknownTokenError
from voxmill.models.data.augment import AugmentConfig, augment_wave, spec_augment
from voxmill.models.data.batch import Example
from voxmill.models.data.batch_cutter import PlannedSample
from voxmill.models.data.shard_roots import ShardRoots, roots_of
from voxmill.models.data.targets import Target, TargetsConfig, make_target, read_utterance
from voxmill.sharding.reader import SampleReader, StoredSample
from voxmill.sharding.sidecar import ShardError

REASONS = {
    "shard": "the sidecar of its shard is missing or damaged",
    "denied": "its recording is revoked, or on a deny-list",
    "twice": "an earlier folder of shards holds it as well, and it is read from there",
    "too_short": "shorter than `min_seconds`, or than one frame of the encoder",
    "too_long": "longer than `max_seconds`, or than the encoder hears",
    "damaged": "its bytes are missing or differ from their digest",
    "audio": "its audio cannot be decoded",
    "picture": "a video frame of it cannot be decoded",
    "document": "its JSON is not one of ours, or misses a field",
    "unknown_token": "it carries a label that the tokeniser has no token for",
    "no_label": "it has no label for any task of this model",
    "text_too_long": "more tokens than frames, or than the decoder has places: CTC cannot align it, and the label is likely wrong",
}
"""Why a sample is not in its batch."""


class ExampleConfig(Settings):
    """How a sample becomes a training example."""

    targets: TargetsConfig = TargetsConfig()
    augment: AugmentConfig | None = AugmentConfig()
    """Augmentation in training; null: none, for evaluation."""
    images: ImageEncoderConfig | None = None
    """The image encoder for the video frames of the shards; needed with `model.vision`. Null: frames are not read."""
    tier_weights: dict[str, float] = {}
    """Loss weight by tier, instead of the weight that is stored in the shard."""
    seed: int = 0
    """Seed of augmentation and targets."""


class FramesOf(Protocol):
    """Embeds the video frames of a stored sample: shape (F, C), or None without video. `FrameEmbedder` is one."""

    def __call__(self, sample: StoredSample) -> Tensor | None: ...


class UnusableSample(Exception):
    """A sample that is left out. `reason` is a key of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}: {REASONS[reason]}")
        self.reason = reason


class ExampleReader:
    """Makes examples of the samples of one folder of shards or several."""

    def __init__(
        self,
        shards: ShardRoots,
        tokens: Tokenizer,
        features: SoundFeatures,
        config: ExampleConfig,
        noises: Sequence[Tensor] = (),
        frames_of: FramesOf | None = None,
    ) -> None:
        """`noises`: recordings of noise at 16 kHz; without any, coloured noise is made."""
        self.tokens, self.features, self.config = tokens, features, config
        self.noises = noises
        self.frames_of = frames_of or (FrameEmbedder(config.images) if config.images else None)
        self._samples = [SampleReader(root, pictures=self.frames_of is not None) for root in roots_of(shards)]

    def __call__(self, planned: PlannedSample, epoch: int) -> Example:
        """The example of a sample; the same for the same sample, epoch and turn in it. Raises UnusableSample."""
        sample = self._read(planned)
        generator = seeded(self.config.seed, "example", epoch, planned.key, *([planned.turn] if planned.turn else []))
        target, bandwidth = self._label(sample.document, generator)
        wave_S = torch.from_numpy(sample.audio)
        augment = self.config.augment
        if augment is not None:
            wave_S, bandwidth = augment_wave(wave_S, bandwidth, augment, generator, self.noises)
        feature_TM = self.features.of(wave_S, generator if augment is not None else None)
        frames = self.features.num_encoded(len(feature_TM))
        if not frames:
            raise UnusableSample("too_short")
        if self.features.longest is not None and len(feature_TM) > self.features.longest:
            raise UnusableSample("too_long")
        if target.ctc is not None and len(target.ctc) > frames:
            raise UnusableSample("text_too_long")
        if len(target.prompt) + len(target.text or ()) > (self.tokens.config.longest or math.inf):
            raise UnusableSample("text_too_long")
        if augment is not None and augment.spec is not None and self.features.spectral:
            feature_TM = spec_augment(feature_TM, augment.spec, generator)
        weight = self.config.tier_weights.get(planned.tier, planned.weight)
        seen = self._look(sample)
        return Example(planned.key, feature_TM, bandwidth, target, weight, seen)

    def _look(self, sample: StoredSample) -> Tensor | None:
        try:
            return self.frames_of(sample) if self.frames_of else None
        except ValueError:
            raise UnusableSample("picture") from None

    def _read(self, planned: PlannedSample) -> StoredSample:
        try:
            return self._samples[planned.root][planned.key]
        except (ShardError, KeyError):
            raise UnusableSample("damaged") from None
        except json.JSONDecodeError:
            raise UnusableSample("document") from None
        except ValueError:
            raise UnusableSample("audio") from None

    def _label(self, document: dict[str, Any], generator: Generator) -> tuple[Target, Bandwidth]:
        doubts = self.config.targets.disputed == "skip"
        try:
            target = make_target(read_utterance(document, doubts=doubts), self.tokens, self.config.targets, generator)
            bandwidth: Bandwidth = document["recording"]["bandwidth"] or "wide"
        except UnknownTokenError:
            raise UnusableSample("unknown_token") from None
        except (KeyError, TypeError, AttributeError):
            raise UnusableSample("document") from None
        if not target.teaches:
            raise UnusableSample("no_label")
        return target, bandwidth
