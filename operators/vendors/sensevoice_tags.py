"""Parses the tags that SenseVoice writes before its text: language, emotion, sound event. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TAG = re.compile(r"<\|([^|]*)\|>")
LANGUAGES = frozenset({"zh", "en", "yue", "ja", "ko", "nospeech"})
EMOTIONS = frozenset({"HAPPY", "SAD", "ANGRY", "NEUTRAL", "FEARFUL", "DISGUSTED", "SURPRISED", "EMO_UNKNOWN"})
EVENTS = frozenset({"BGM", "Speech", "Applause", "Laughter", "Cry", "Sneeze", "Breath", "Cough", "Sing", "Event_UNK"})


@dataclass(frozen=True, slots=True)
class Tagged:
    """A parsed SenseVoice result. A field is None where its tag is missing or unknown."""

    text: str
    language: str | None = None
    emotion: str | None = None
    """In lower case: `happy`, `neutral`, …"""
    event: str | None = None
    """In lower case: `speech`, `bgm`, `laughter`, …"""

    @property
    def silent(self) -> bool:
        """Whether the language tag says that nobody speaks."""
        return self.language == "nospeech"


def untag(raw: str) -> Tagged:
    """The first tag of each kind, and the text without any tag.

    >>> untag("<|en|><|HAPPY|><|Speech|><|woitn|>good morning")
    Tagged(text='good morning', language='en', emotion='happy', event='speech')
    """
    tags = _TAG.findall(raw)

    def first(kind: frozenset[str]) -> str | None:
        return next((tag.lower() for tag in tags if tag in kind and not tag.upper().endswith(("UNK", "UNKNOWN"))), None)

    return Tagged(_TAG.sub("", raw).strip(), first(LANGUAGES), first(EMOTIONS), first(EVENTS))
