"""The model and the training that all experiments begin with: what learns the corpus in minutes on one core.

Every arm of a comparison has these, except what it compares.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.experiments.corpus import FBANK
from voxmill.models.common.tokenizer import Tokenizer, TokenizerConfig
from voxmill.models.data.augment import AugmentConfig, SpecAugmentConfig
from voxmill.models.data.examples import ExampleConfig
from voxmill.models.data.loader import DataConfig
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.targets import TargetsConfig
from voxmill.models.network.conformer import EncoderConfig
from voxmill.models.network.decoder import DecoderConfig
from voxmill.models.network.model import ModelConfig
from voxmill.models.training.loss import LossConfig
from voxmill.models.training.schedule import RateConfig
from voxmill.models.training.train_config import TrainConfig


@dataclass(frozen=True, slots=True)
class Size:
    train: int
    """Utterances in the training split."""
    test: int
    steps: int
    """Of every training: arms are step-matched."""
    layers: int = 4
    dim: int = 96
    hidden: int = 384
    """Of a dense feed-forward layer."""
    batch_seconds: float = 48.0
    peak: float = 2e-3


FULL = Size(train=2000, test=300, steps=1200)
"""The dense model (1.3 M parameters) learns `corpus.commands` in 390 s of one core: on voices that it never heard WER is 19.9 % after
600 steps and 4.1 % after 1,200, at a rate that was still near its peak (a training of 2,000, one seed, 100 utterances)."""
SMOKE = Size(train=60, test=16, steps=6, layers=2, dim=32, hidden=64)


def model(size: Size, **switches: Any) -> ModelConfig:
    """Dense unless switches say otherwise: `emoe=…`, `smoe=…`, `vision=…`, `tasks=…`, or another `decoder`."""
    parts: dict[str, Any] = {
        "fbank": FBANK,
        "encoder": EncoderConfig(layers=size.layers, dim=size.dim, heads=4, hidden=size.hidden, causal=False, dropout=0.05),
        "decoder": DecoderConfig(layers=1, backward_layers=0, heads=4, hidden=size.hidden, dropout=0.05),
        **switches,
    }
    return ModelConfig(**parts)


def train(size: Size, seed: int, steps: int | None = None, **changes: Any) -> TrainConfig:
    steps = steps or size.steps
    parts: dict[str, Any] = {
        "steps": steps,
        "rate": RateConfig(peak=size.peak, warmup=max(1, steps // 12), shape="cosine"),
        "dynamic_chunk": False,
        "loss": LossConfig(ctc=0.5),
        "save_every": 1 << 30,
        "seed": seed,
        **changes,
    }
    return TrainConfig(**parts)


def data(size: Size, seed: int, targets: TargetsConfig | None = None) -> DataConfig:
    """Masks on features only: the corpus has noise of its own."""
    masks = SpecAugmentConfig(num_bands=1, band_mels=8, num_gaps=1, gap_frames=20, num_echoes=0)
    return DataConfig(
        plan=SamplerConfig(batch_seconds=size.batch_seconds, seed=seed),
        example=ExampleConfig(
            targets=targets or TargetsConfig(tasks=("asr",)),
            augment=AugmentConfig(speeds=(), noise=0, telephone=0, spec=masks),
            seed=seed,
        ),
    )


def tokens(texts: Iterable[str], num_subwords: int = 340, **classes: tuple[str, ...]) -> Tokenizer:
    """Subwords of those texts and the atomic tokens; `classes` (language=…, …) instead of the full lists."""
    return Tokenizer.train(sorted(set(texts)), TokenizerConfig(num_subwords=num_subwords, **classes))  # type: ignore[arg-type]


def words_only(texts: Iterable[str], num_subwords: int = 340, translate_to: tuple[str, ...] = ()) -> Tokenizer:
    """Subwords without the classes of other tasks: fewer outputs, which a small model has to learn the silence of."""
    none: dict[str, tuple[str, ...]] = {"gender": (), "age": (), "emotion": (), "sound_events": ()}
    return tokens(texts, num_subwords, language=("en",), translate_to=translate_to, **none)
