"""What counts as a word error: English as Whisper's own normaliser sees it, and Levenshtein's edits of words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from rapidfuzz.distance import Levenshtein


@cache
def _normaliser() -> Any:
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()


def english(text: str) -> tuple[str, ...]:
    """The words that are compared: lower case, no punctuation, numbers as digits, fillers and contractions evened out.

    >>> english("Um, you'll press TWO, the colour key.")
    ('you', 'will', 'press', '2', 'the', 'color', 'key')
    """
    return tuple(_normaliser()(text).split())


@dataclass(frozen=True, slots=True)
class Edits:
    """How a hypothesis differs from `words` reference words. Adds up over segments."""

    words: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Word error rate; NaN without words."""
        return self.errors / self.words if self.words else float("nan")

    @property
    def deletion_rate(self) -> float:
        return self.deletions / self.words if self.words else float("nan")

    def __add__(self, other: Edits) -> Edits:
        return Edits(
            self.words + other.words,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


def edits(reference: tuple[str, ...], hypothesis: tuple[str, ...]) -> Edits:
    """The fewest edits of words that turn one into the other.

    >>> edits(("press", "1", "now"), ("press", "one"))
    Edits(words=3, substitutions=1, deletions=1, insertions=0)
    """
    tags = [edit.tag for edit in Levenshtein.editops(reference, hypothesis)]
    return Edits(len(reference), tags.count("replace"), tags.count("delete"), tags.count("insert"))
