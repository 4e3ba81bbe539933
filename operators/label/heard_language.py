"""Spoken language as a recogniser detected it while transcribing (such as Whisper's language ID); no model runs again."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from voxmill.manifests.records import LabelTask, Mark
from voxmill.operators.contract.adapters import LabelAnswer, LabelInput, Scene
from voxmill.operators.label.labeller_config import LabellerName, LabellerSettings
from voxmill.operators.label.language_codes import language_class


class HeardLanguageConfig(LabellerSettings):
    """The language that a recogniser detected while it transcribed; no model runs again."""

    reads = ("transcribe",)
    kind: Literal["heard_language"] = "heard_language"
    name: LabellerName = "heard"
    engine: str = "whisperx"
    """The engine whose detection is used: the name of an entry of `transcribe:`."""
    min_confidence: float = Field(default=0.5, ge=0.0, le=1.0)
    """Below this it is not sure."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """See `LabellerSettings.tasks`."""
        return ("language",)


class HeardLanguage:
    """Task `language`. A language that the engine was given, not detected, has no probability and does not count."""

    model = "detection@1"

    def __init__(self, config: HeardLanguageConfig) -> None:
        self._config = config

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        """See `Labeller.label`."""
        return [[self._answer(utterance)] for utterance in scene.utterances]

    def _answer(self, utterance: LabelInput) -> LabelAnswer:
        heard = next((h for h in utterance.hypotheses if h.engine == self._config.engine and h.rejection is None), None)
        if heard is None or heard.language is None or (heard.language_confidence or 0.0) < self._config.min_confidence:
            return LabelAnswer("language", None, model=heard.model if heard else None)
        sure = heard.language_confidence
        return LabelAnswer("language", (Mark(language_class(heard.language), confidence=sure),), sure, model=heard.model)
