"""Emotions by emotion2vec (Ma et al., 2023) through FunASR."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from voxmill.manifests.records import SAMPLE_RATE, LabelTask, Mark
from voxmill.operators.contract.adapters import LabelAnswer, Scene
from voxmill.operators.label.labeller_config import LabellerName, ModelSettings
from voxmill.operators.vendors.funasr_model import auto_model
from voxmill.operators.weights.registry import identity, resolve

SHORTEST = SAMPLE_RATE // 10
"""Shorter audio gets no label (samples)."""

CLASSES = ("angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")
"""Classes that become labels; the model's `other` and `unknown` do not."""


class Emotion2VecConfig(ModelSettings):
    """Emotion of the voice, by emotion2vec."""

    hears = True
    modules = ("funasr", "torch")
    kind: Literal["emotion2vec"] = "emotion2vec"
    name: LabellerName = "emotion2vec"
    model: str = "emotion2vec-plus-base"
    min_confidence: float = Field(default=0.5, ge=0.0, le=1.0)
    """Below this it is not sure."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """See `LabellerSettings.tasks`."""
        return ("emotion",)


class Emotion2Vec:
    """A loaded emotion2vec. Task: `emotion`, one of `CLASSES`."""

    def __init__(self, config: Emotion2VecConfig) -> None:
        folder = resolve(config.model)
        check_layers((folder / "config.yaml").read_text(encoding="utf-8"))
        self._auto: Any = auto_model(folder, config.device, config.threads)
        self.model = identity(config.model)
        self._least = config.min_confidence

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        """See `Labeller.label`."""
        return [[self._answer(scene.wave(utterance.segment))] for utterance in scene.utterances]

    def _answer(self, wave: Any) -> LabelAnswer:
        if len(wave) < SHORTEST:
            return LabelAnswer("emotion", None)
        [raw] = self._auto.generate([wave], batch_size=1, granularity="utterance", extract_embedding=False)
        emotion, sure = likeliest(raw["labels"], raw["scores"])
        if emotion is None or sure < self._least:
            return LabelAnswer("emotion", None)
        return LabelAnswer("emotion", (Mark(emotion, confidence=sure),), sure)


def check_layers(config: str) -> None:
    """FunASR evaluates the layer list of a model's config as Python: raises ValueError where it is more than numbers."""
    for spec in re.findall(r"feature_encoder_spec\s*:(.*)", config):
        if not re.fullmatch(r"[\s\d\[\](),+*'\"]*", spec):
            raise ValueError(f"config.yaml: feature_encoder_spec is no list of numbers: {spec.strip()[:80]}")


def likeliest(labels: Sequence[str], scores: Sequence[float]) -> tuple[str | None, float]:
    """The best class and its probability; None for `other` and `unknown`. Names may be in two languages.

    >>> likeliest(["生气/angry", "<unk>"], [0.9, 0.1]), likeliest(["生气/angry", "其他/other"], [0.2, 0.8])
    (('angry', 0.9), (None, 0.8))
    """
    sure, label = max(zip(scores, labels, strict=True))
    name = label.rsplit("/", 1)[-1].strip().lower()
    return (name if name in CLASSES else None), float(sure)
