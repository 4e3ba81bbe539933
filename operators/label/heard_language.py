"""Spoken language as a recogniser detected it while it transcribed: Whisper's LID, without running a model again."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from voxmill.manifests.records import LabelTask, Mark
from voxmill.operators.contract.adapters import LabelAnswer, LabelInput, Scene
from voxmill.operators.label.labeller_config import LabellerName, LabellerSettings
from voxmill.operators.label.language_codes import spoken


class HeardLanguageConfig(LabellerSettings):
    """The language that a recogniser detected while it transcribed; no model runs again."""

    reads = ("transcribe",)
    kind: Literal["heard_language"] = "heard_language"
    name: LabellerName = "heard"
    engine: str = "whisperx"
    """Whose detection it is: the name of an entry of `transcribe:`."""
    min_confidence: float = Field(default=0.5, ge=0.0, le=1.0)
    """Below this it is not sure."""

    def tasks(self) -> tuple[LabelTask, ...]:
        return ("language",)


class HeardLanguage:
    """A language that the engine was told, rather than detected, comes without a probability and is not taken for a detection."""

    model = "detection@1"

    def __init__(self, config: HeardLanguageConfig) -> None:
        self._config = config

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        return [[self._answer(utterance)] for utterance in scene.utterances]

    def _answer(self, utterance: LabelInput) -> LabelAnswer:
        heard = next((h for h in utterance.hypotheses if h.engine == self._config.engine and h.rejection is None), None)
        if heard is None or heard.language is None or (heard.language_confidence or 0.0) < self._config.min_confidence:
            return LabelAnswer("language", None, model=heard.model if heard else None)
        sure = heard.language_confidence
        return LabelAnswer("language", (Mark(spoken(heard.language), confidence=sure),), sure, model=heard.model)
