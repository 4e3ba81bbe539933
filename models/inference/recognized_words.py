"""Words with times and confidences, from tokens that are known to have been said in certain frames."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import regex

from voxmill.models.common.tokenizer import Tokenizer

SPACE = ("▁", "Ġ")
"""With which pieces that begin with a space are spelt: SentencePiece's, and those of byte-level BPE."""
UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
"""Scripts without spaces between words: each character is one, or all those of a token."""
_SPOKEN = regex.compile(r"[\p{L}\p{N}]")


class PlacedLog(NamedTuple):
    """Where a token was said, and how surely."""

    start: int
    """Its first encoder frame."""
    end: int
    """The frame after its last one."""
    log_probability: float


@dataclass(frozen=True, slots=True)
class RecognizedWord:
    """A word that was said."""

    text: str
    start: float
    """Start of the first frame of its first token, in seconds from the start of the sound."""
    end: float
    """End of the last frame of its last token."""
    confidence: float
    """Geometric mean of the probabilities of its tokens."""


def recognized_words(
    said: Sequence[int], places: Sequence[PlacedLog], tokens: Tokenizer, frame_ms: float
) -> tuple[RecognizedWord, ...]:
    """The words of a token sequence, in order. Special tokens belong to none and end one. `frame_ms`: from frame to frame."""
    words, last = [list[int]()], ""
    for run in _characters(said, tokens):
        text = tokens.decode(said[index] for index in run)
        after_unspaced = UNSPACED.search(last[-1:]) and _SPOKEN.match(text)
        if not run or tokens.name(said[run[0]]).startswith(SPACE) or UNSPACED.match(text) or after_unspaced:
            words.append([])
        words[-1] += run
        last = text
    made = (_word(run, said, places, tokens, frame_ms) for run in words if run)
    return tuple(word for word in made if word.text)


def _characters(said: Sequence[int], tokens: Tokenizer) -> Iterator[list[int]]:
    """Places of tokens that are whole characters together, of which a byte is a part; an empty list for a special token."""
    run: list[int] = []
    for index, token in enumerate(said):
        special = not tokens.is_subword(token)
        if run and (special or tokens.name(token).startswith(SPACE)):
            yield run  # bytes that are no character
            run = []
        if not special:
            run.append(index)
        if special or "\ufffd" not in tokens.decode(said[one] for one in run):
            yield run
            run = []
    if run:
        yield run


def _word(
    run: Sequence[int], said: Sequence[int], places: Sequence[PlacedLog], tokens: Tokenizer, frame_ms: float
) -> RecognizedWord:
    own = [places[index] for index in run]
    return RecognizedWord(
        text=tokens.decode(said[index] for index in run).strip(),
        start=own[0].start * frame_ms / 1000,
        end=own[-1].end * frame_ms / 1000,
        confidence=math.exp(sum(one.log_probability for one in own) / len(own)),
    )
