"""Named entities in the chosen text, by a spaCy pipeline or a token classifier of `transformers`, each from a local folder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from voxmill.manifests.records import LabelTask, Mark
from voxmill.operators.contract.adapters import LabelAnswer, LabelInput, Scene
from voxmill.operators.label.labeller_config import LabellerName, LabellerSettings, ModelSettings
from voxmill.operators.weights.registry import identity, resolve

Entity = tuple[int, str, str, float | None]
"""(index of its first character, its words as in the text, kind, confidence)."""


class SpacyEntitiesConfig(LabellerSettings):
    """Names of persons, places and organisations in the text, by a spaCy pipeline of yours."""

    reads = ("reconcile",)
    modules = ("spacy",)
    kind: Literal["spacy_entities"] = "spacy_entities"
    name: LabellerName = "spacy"
    model: str
    """Folder of a saved pipeline (`nlp.to_disk`, or what a model's package holds): statistical, or rules (an EntityRuler)."""
    languages: tuple[str, ...] = ()
    """Languages that it knows; texts in others are left out. Empty: those of the pipeline itself."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """See `LabellerSettings.tasks`."""
        return ("named_entities",)


class SpacyEntities:
    """A loaded spaCy pipeline. Its components may name Python code of installed packages; a folder cannot bring code of its own."""

    def __init__(self, config: SpacyEntitiesConfig) -> None:
        import spacy

        self._pipeline: Any = spacy.load(resolve(config.model))
        self.model = identity(config.model)
        language = str(self._pipeline.lang)
        self._languages: tuple[str, ...] = config.languages or (() if language == "xx" else (language,))

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        """See `Labeller.label`."""
        return [_asked(utterance, self._languages, self._entities) for utterance in scene.utterances]

    def _entities(self, text: str) -> list[Entity]:
        return [(entity.start_char, entity.text, entity.label_, None) for entity in self._pipeline(text).ents]


class TokenEntitiesConfig(ModelSettings):
    """Names of persons, places and organisations in the text, by a token classifier of `transformers`."""

    reads = ("reconcile",)
    modules = ("transformers", "torch")
    kind: Literal["token_entities"] = "token_entities"
    name: LabellerName = "token_entities"
    model: str = "bert-ner"
    languages: tuple[str, ...] = ("en",)
    """Languages that it knows; texts in others are left out. Empty: all."""
    min_confidence: float = Field(default=0.5, ge=0.0, le=1.0)
    """Least mean probability of an entity's tokens."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """See `LabellerSettings.tasks`."""
        return ("named_entities",)


class TokenEntities:
    """A loaded token classifier of `transformers`."""

    def __init__(self, config: TokenEntitiesConfig) -> None:
        import torch
        from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

        folder = resolve(config.model)
        torch.set_num_threads(config.threads)
        self._find: Any = pipeline(
            "token-classification",
            model=AutoModelForTokenClassification.from_pretrained(folder, local_files_only=True),
            tokenizer=AutoTokenizer.from_pretrained(folder, local_files_only=True),
            aggregation_strategy="first",  # words are never cut in two
            device=config.device,
        )
        self.model = identity(config.model)
        self._config = config

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        """See `Labeller.label`."""
        return [_asked(utterance, self._config.languages, self._entities) for utterance in scene.utterances]

    def _entities(self, text: str) -> Iterable[Entity]:
        for one in self._find(text):
            if one["score"] >= self._config.min_confidence:
                yield one["start"], text[one["start"] : one["end"]], one["entity_group"], float(one["score"])


def _asked(utterance: LabelInput, languages: tuple[str, ...], find: Any) -> list[LabelAnswer]:
    """The entities of one utterance; no answer without text, or in a language that the model does not know."""
    language = utterance.consensus.language if utterance.consensus else None
    if not utterance.text or (languages and language is not None and language not in languages):
        return []
    found = sorted(find(utterance.text))
    marks = tuple(Mark(words, confidence=sure, language=language, kind=kind) for _, words, kind, sure in found if words.strip())
    sure = min((mark.confidence for mark in marks if mark.confidence is not None), default=None)
    return [LabelAnswer("named_entities", marks, sure)]
