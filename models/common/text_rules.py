"""Rules of the text that a model learns to write: its case and its punctuation.

A text under the rules keeps, for each of its characters, where it went: labels with places in the text (speaker changes, entities, doubtful words)
are placed in the text as it was stored, and move with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

import regex

from voxmill.manifests.config_base import Settings

UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
"""Scripts without spaces between words."""
_SILENT = regex.compile(r"(?:(?<![\p{L}\p{M}])['’]|['’](?!\p{L})|(?<!\p{N})[.,:/]|[.,:/](?!\p{N})|(?!['’.,:/%‰&@#])\p{P})+")
"""Punctuation that nobody says and that belongs to no word (`don't`) and no number (`3.5`)."""
_OF_UNSPACED = regex.compile(UNSPACED)


class TextRules(Settings):
    """The text that is learnt, made from the transcript (and from a translation). Numbers stay as they are written."""

    case: Literal["keep", "lower"] = "keep"
    """`keep` upper and lower case as the transcripts have it, or learn `lower` case alone."""
    punctuation: Literal["keep", "remove"] = "keep"
    """`keep` punctuation, or `remove` it: apostrophes inside words, and points inside numbers, stay. Words that it joined become two; between
    characters of Chinese, Japanese or Thai nothing takes its place."""


@dataclass(frozen=True, slots=True)
class RuledText:
    """A text under the rules."""

    text: str
    places: Sequence[int]
    """For each character of the stored text, and for its end, where it is in `text`. A place behind a word is before the space that follows."""


def ruled(text: str, rules: TextRules) -> RuledText:
    """The text under the rules.

    >>> ruled("Well—no, it's 3.5%! 好，谢谢。", TextRules(case="lower", punctuation="remove")).text
    "well no it's 3.5% 好谢谢"
    """
    parts = _lower(text) if rules.case == "lower" else list(text)
    if rules.punctuation == "keep":
        return RuledText("".join(parts), tuple(accumulate(map(len, parts), initial=0)))
    for match in _SILENT.finditer(text):
        start, end = match.span()
        parts[start:end] = [""] * (end - start)
        if not _OF_UNSPACED.search(text[max(0, start - 1) : start] + text[end : end + 1]):
            parts[start] = " "
    said, places = "", [0]
    for part in parts:
        if not part.isspace() or (said and not said[-1].isspace()):  # one space between words, none at the ends
            said += part
        places.append(len(said.rstrip()))
    return RuledText(said.rstrip(), places)


def _lower(text: str) -> list[str]:
    """Each character in lower case, which can be two; of the whole text, since a sigma looks at what follows."""
    ends = list(accumulate((len(letter.lower()) for letter in text), initial=0))
    low = text.lower()
    return [low[start:end] for start, end in pairwise(ends)]
