"""The language that the source states, dialects included, which detectors cannot tell apart."""

from __future__ import annotations

from typing import Literal

from voxmill.manifests.records import LabelTask, Mark
from voxmill.operators.contract.adapters import LabelAnswer, Scene
from voxmill.operators.label.labeller_config import LabellerName, LabellerSettings
from voxmill.operators.label.language_codes import language_class


class StatedLanguageConfig(LabellerSettings):
    """The language that the source states, dialects included."""

    kind: Literal["stated_language"] = "stated_language"
    name: LabellerName = "stated"

    def tasks(self) -> tuple[LabelTask, ...]:
        """See `LabellerSettings.tasks`."""
        return ("language",)


class StatedLanguage:
    """The language that the source states, for every segment. Task: `language`."""

    model = "metadata@1"

    def __init__(self, config: StatedLanguageConfig) -> None:
        pass

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        """See `Labeller.label`."""
        stated = scene.recording.language
        answer = LabelAnswer("language", (Mark(language_class(stated)),) if stated else None)
        return [[answer] for _ in scene.utterances]
