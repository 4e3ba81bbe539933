"""Labels from the tags that SenseVoice writes before its text: language, emotion, sound event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from voxmill.manifests.records import NO_SPEECH, SAMPLE_RATE, LabelTask, Mark
from voxmill.operators.contract.adapters import LabelAnswer, Scene
from voxmill.operators.label.labeller_config import LabellerName, ModelSettings
from voxmill.operators.vendors.funasr_model import auto_model
from voxmill.operators.vendors.sensevoice_tags import untag
from voxmill.operators.weights.registry import identity, resolve

SHORTEST = SAMPLE_RATE // 10
"""Shorter audio gets no label (samples)."""

RICH = {"language": 0, "emotion": 1, "sound_events": 2}
"""Index of the tag frame, before those of the audio, for each task."""


class SenseVoiceTagsConfig(ModelSettings):
    """Language, emotion and sound events, from SenseVoice's tags."""

    hears = True
    events = True
    modules = ("funasr", "torch")
    kind: Literal["sensevoice"] = "sensevoice"
    name: LabellerName = "sensevoice_tags"
    model: str = "SenseVoiceSmall"
    min_confidence: float = Field(default=0.5, ge=0.0, le=1.0)
    """Below this it is not sure."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """See `LabellerSettings.tasks`."""
        return ("language", "emotion", "sound_events")


class SenseVoiceTags:
    """A loaded SenseVoice. A tag `unknown` counts as not sure; the event `Speech` alone counts as no event."""

    def __init__(self, config: SenseVoiceTagsConfig) -> None:
        self._auto: Any = auto_model(resolve(config.model), config.device, config.threads)
        self.model = identity(config.model)
        self._least = config.min_confidence
        self._sure: list[list[float]] = []
        self._auto.model.ctc.ctc_lo.register_forward_hook(self._listen)

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        """See `Labeller.label`."""
        return [list(self._answers(scene.wave(utterance.segment))) for utterance in scene.utterances]

    def _listen(self, layer: Any, inputs: tuple[Any, ...], logits: Any) -> None:
        """FunASR does not return probabilities: those of the tag frames come from the CTC logits (batch, frames, vocabulary)."""
        best = logits.softmax(-1).max(-1).values
        self._sure.append(best[0, : len(RICH)].tolist())

    def _answers(self, wave: Any) -> Iterator[LabelAnswer]:
        self._sure.clear()
        raw = self._auto.generate([wave], batch_size=1, language="auto", use_itn=False) if len(wave) >= SHORTEST else []
        if not raw or not self._sure:
            yield from (LabelAnswer(task, None) for task in ("language", "emotion", "sound_events"))
            return
        tagged, sure = untag(str(raw[0].get("text", ""))), self._sure[0]
        language = NO_SPEECH if tagged.silent else tagged.language
        yield self._answer("language", language, sure[RICH["language"]])
        yield self._answer("emotion", None if tagged.silent else tagged.emotion, sure[RICH["emotion"]])
        heard = self._answer("sound_events", tagged.event, sure[RICH["sound_events"]])
        yield LabelAnswer("sound_events", (), heard.confidence) if heard.marks and tagged.event == "speech" else heard

    def _answer(self, task: LabelTask, value: str | None, sure: float) -> LabelAnswer:
        if value is None or sure < self._least:
            return LabelAnswer(task, None)
        return LabelAnswer(task, (Mark(value, confidence=sure),), sure)
