"""Any audio classifier of the `transformers` library: taggers of sound events (AudioSet), or of a speaker's gender or age."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from voxmill.manifests.records import SAMPLE_RATE, LabelTask, Mark
from voxmill.operators.contract.adapters import Audio, LabelAnswer, Scene
from voxmill.operators.label.labeller_config import LabellerName, ModelSettings
from voxmill.operators.weights.registry import identity, resolve

SHORTEST = SAMPLE_RATE // 10
"""Shorter audio gets no label (samples)."""

EVENTS = {
    "music": "bgm", "background music": "bgm", "singing": "sing", "crying, sobbing": "cry", "baby cry, infant cry": "cry",
    "breathing": "breath", "clapping": "applause", "speech": "", "male speech, man speaking": "",
    "female speech, woman speaking": "", "conversation": "", "narration, monologue": "", "silence": "",
}  # fmt: skip
"""AudioSet class names to the names SenseVoice uses; '' is no sound event."""


class AudioClassesConfig(ModelSettings):
    """Any audio classifier of the `transformers` library: sound events, gender, age or emotion."""

    hears = True
    events = True
    modules = ("transformers", "torch")
    kind: Literal["audio_classes"] = "audio_classes"
    name: LabellerName = "audio_classes"
    task: Literal["sound_events", "gender", "age", "emotion"] = "sound_events"
    """Task that its classes belong to."""
    classes: dict[str, str] = {}
    """Class names of the model (in lower case) to those of labels, where they differ; '' is no label."""
    only: tuple[str, ...] = ()
    """Labels to keep, by the names used here; empty: all. A tokeniser has tokens for a few, not for AudioSet's 527."""
    several: bool | None = None
    """Whether several classes can hold at once (each with a probability of its own); null: for sound events, yes."""
    min_confidence: float = Field(default=0.5, ge=0.0, le=1.0)
    """Least probability of a label."""
    max_seconds: float = Field(default=30.0, gt=0)
    """Of a longer segment only its middle is classified (s)."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """See `LabellerSettings.tasks`."""
        return (self.task,)


class AudioClasses:
    """A loaded classifier. If several classes can hold, none above the threshold means labelled and empty; else the likeliest class, or not sure."""

    def __init__(self, config: AudioClassesConfig) -> None:
        import torch
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

        folder = resolve(config.model)
        torch.set_num_threads(config.threads)
        self._extract: Any = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        network: Any = AutoModelForAudioClassification.from_pretrained(folder, local_files_only=True)
        self._network = network.eval().to(config.device)
        if self._extract.sampling_rate != SAMPLE_RATE:
            raise ValueError(f"{config.model} wants {self._extract.sampling_rate} Hz; only {SAMPLE_RATE} is offered here")
        self.model = identity(config.model)
        self._config = config
        self._several = config.several if config.several is not None else config.task == "sound_events"
        shared = EVENTS if config.task == "sound_events" else {}
        given = (str(network.config.id2label[i]) for i in range(network.config.num_labels))
        names = (_name(one, shared | config.classes) for one in given)
        self._names = [name if not config.only or name in config.only else "" for name in names]

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        """See `Labeller.label`."""
        return [
            [self._answer(scene.wave(u.segment))] if u.segment.kind == "speech" or self._config.task == "sound_events" else []
            for u in scene.utterances
        ]

    def _answer(self, wave: Audio) -> LabelAnswer:
        import torch

        if len(wave) < SHORTEST:
            return LabelAnswer(self._config.task, None)
        most = round(self._config.max_seconds * SAMPLE_RATE)
        middle = wave[max(0, (len(wave) - most) // 2) :][:most]
        with torch.inference_mode():
            inputs = self._extract(middle, sampling_rate=SAMPLE_RATE, return_tensors="pt").to(self._config.device)
            logits = self._network(**inputs).logits[0].float().cpu()
        chances = (logits.sigmoid() if self._several else logits.softmax(-1)).numpy()
        return self._several_of(chances) if self._several else self._one_of(chances)

    def _several_of(self, chances: Any) -> LabelAnswer:
        best: dict[str, float] = {}
        for name, chance in zip(self._names, chances.tolist(), strict=True):
            if name and chance >= self._config.min_confidence:
                best[name] = max(chance, best.get(name, 0.0))
        marks = tuple(Mark(name, confidence=best[name]) for name in sorted(best, key=lambda n: (-best[n], n)))
        return LabelAnswer(self._config.task, marks, marks[0].confidence if marks else None)

    def _one_of(self, chances: Any) -> LabelAnswer:
        index = int(np.argmax(chances))
        name, chance = self._names[index], float(chances[index])
        if not name or chance < self._config.min_confidence:
            return LabelAnswer(self._config.task, None)
        return LabelAnswer(self._config.task, (Mark(name, confidence=chance),), chance)


def _name(given: str, names: dict[str, str]) -> str:
    plain = given.strip().lower()
    return names.get(plain, plain.replace(" ", "_"))
