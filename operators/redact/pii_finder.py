"""Finds personal data in text by Microsoft's Presidio: its patterns, ours for spoken forms, and a NER model for names.

Presidio knows how e-mail addresses and numbers of telephones, cards and accounts are *written*. A transcript may have them as they
are *spoken*: `john dot smith at example dot com`, `five five five one two three four`. Two patterns of ours cover these.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import Unavailable

NAMES = {
    "PERSON": "NAME", "EMAIL_ADDRESS": "EMAIL", "SPOKEN_EMAIL": "EMAIL", "PHONE_NUMBER": "PHONE", "SPOKEN_NUMBER": "NUMBER",
    "CREDIT_CARD": "NUMBER", "IBAN_CODE": "NUMBER", "IP_ADDRESS": "ADDRESS", "URL": "ADDRESS", "LOCATION": "PLACE",
    "US_SSN": "NUMBER", "US_BANK_NUMBER": "NUMBER", "US_DRIVER_LICENSE": "NUMBER", "US_PASSPORT": "NUMBER", "US_ITIN": "NUMBER",
}  # fmt: skip
"""Presidio's entities to the placeholders in the text; others keep their name."""

DIGIT = r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)"
SPOKEN = {
    "SPOKEN_EMAIL": r"\b[\w.+-]+(?:\s+(?:dot|underscore|dash)\s+[\w-]+)*\s+at\s+[\w-]+(?:(?:\s+dot\s+|\.)[a-z]{2,12})+\b"
    r"|\b[\w.+-]+@[\w-]+(?:\s*(?:dot|\.)\s*[a-z]{2,12})+\b",
    "SPOKEN_NUMBER": rf"\b(?:(?:double|triple)\s+)?{DIGIT}(?:[\s,.-]+(?:(?:double|triple)\s+)?{DIGIT}){{4,}}\b|\b\d(?:[\s.()-]*\d){{4,}}\b|\b\d(?:,\s*\d\b){{4,}}",
}
"""Five or more digits, however spoken or grouped; e-mail addresses with spoken dots."""


class RedactConfig(Settings):
    """Which personal data is masked."""

    model: str | None = None
    """Folder of a spaCy pipeline with NER: finds names. None: patterns alone, which find no names."""
    language: str = "en"
    """Language of the patterns and the model. Segments in other languages are not searched."""
    entities: tuple[str, ...] = (
        "PERSON", "EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "IP_ADDRESS", "US_SSN", "SPOKEN_EMAIL", "SPOKEN_NUMBER", "URL"
    )  # fmt: skip
    """Entities to find, by Presidio's names; `SPOKEN_EMAIL` and `SPOKEN_NUMBER` are ours. `URL` is among
    them because engines write a spoken e-mail address as one word with a dot (`annatexample.com`)."""
    min_score: float = Field(default=0.3, ge=0.0, le=1.0)
    """Least score of a finding."""
    margin: float = Field(default=0.2, ge=0.0)
    """Silence added before and after masked words (s), since word times are not exact."""


class RecogniserMissing(Unavailable, ImportError):
    """Presidio or the model is not installed; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class PiiSpan:
    """Personal data at `[start, end)` of a text, in characters."""

    start: int
    end: int
    entity: str
    score: float


class PiiFinder:
    """Loads Presidio once; then `finder(text)`: its spans in order, not overlapping. Raises RecogniserMissing."""

    def __init__(self, config: RedactConfig) -> None:
        self.config = config
        try:
            from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer
        except ImportError as error:
            raise RecogniserMissing(f"Presidio is not here ({error}): pip install 'voxmill[pii]'") from error
        logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
        _stay_offline()
        language = config.language
        self._engine = AnalyzerEngine(nlp_engine=_nlp(config), supported_languages=[language])
        for entity, pattern in SPOKEN.items():
            shape = Pattern(entity.lower(), pattern, 0.6)
            known = PatternRecognizer(supported_entity=entity, patterns=[shape], supported_language=language)
            self._engine.registry.add_recognizer(known)
        there = set(self._engine.get_supported_entities(language))
        self._entities = [entity for entity in config.entities if entity in there]

    def __call__(self, text: str) -> list[PiiSpan]:
        found = self._engine.analyze(text, self.config.language, entities=self._entities, score_threshold=self.config.min_score)
        kept: list[PiiSpan] = []
        for one in sorted(found, key=lambda f: (-(f.end - f.start), -f.score, f.start, f.entity_type)):
            if all(one.end <= k.start or k.end <= one.start for k in kept):
                name = NAMES.get(one.entity_type, one.entity_type)
                kept.append(PiiSpan(one.start, one.end, name, round(float(one.score), 4)))
        return sorted(kept, key=lambda f: f.start)


def _stay_offline() -> None:
    """Presidio checks the domains of addresses by tldextract, which would fetch a list from the web: its own copy will do."""
    import tldextract.tldextract

    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


def _nlp(config: RedactConfig) -> Any:
    """A spaCy pipeline for Presidio: the model, or the bare tokenizer of the language."""
    import spacy
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    class Loaded(SpacyNlpEngine):
        """Presidio would download a model that it does not find: it is given one that is loaded."""

        def __init__(self) -> None:
            super().__init__(ner_model_configuration=NerModelConfiguration())
            try:
                self.nlp: Any = {config.language: spacy.load(config.model) if config.model else spacy.blank(config.language)}
            except (OSError, ImportError) as error:
                raise RecogniserMissing(f"redact.model: no spaCy pipeline at {config.model} ({error})") from error

    return Loaded()
