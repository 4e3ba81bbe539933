"""What counts as a word error: English as Whisper's own normaliser sees it, and Levenshtein's edits of words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
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

    Of an ellipsis the normaliser leaves a dot standing by itself, which is no word.

    >>> english("the default level...")
    ('the', 'default', 'level')
    """
    return tuple(word for word in _normaliser()(text).split() if any(map(str.isalnum, word)))


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


def respaced(hypothesis: tuple[str, ...], reference: tuple[str, ...]) -> tuple[str, ...]:
    """The hypothesis with spaces where the reference has them: `voice mail` and `voicemail` are the same words.

    Only two words against one, letter by letter the same; the reference, and with it the denominator, stays as it is.

    >>> respaced(("touchtone", "voice", "mail"), ("touch", "tone", "voicemail"))
    ('touch', 'tone', 'voicemail')
    """
    known = set(reference)
    halves = {left + right: (left, right) for left, right in pairwise(reference) if left + right not in known}
    out: list[str] = []
    for word in hypothesis:
        if out and out[-1] + word in known and not {out[-1], word} <= known:
            out[-1] += word
        else:
            out += halves.get(word, (word,))
    return tuple(out)


def edits(reference: tuple[str, ...], hypothesis: tuple[str, ...]) -> Edits:
    """The fewest edits of words that turn one into the other, whatever the spaces inside compounds.

    >>> edits(("press", "1", "now"), ("press", "one"))
    Edits(words=3, substitutions=1, deletions=1, insertions=0)
    """
    tags = [edit.tag for edit in Levenshtein.editops(reference, respaced(hypothesis, reference))]
    return Edits(len(reference), tags.count("replace"), tags.count("delete"), tags.count("insert"))
