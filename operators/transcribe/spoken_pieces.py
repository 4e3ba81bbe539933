"""Words out of the pieces that a recogniser emits: each piece has the time at which it was emitted, and perhaps a probability. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import Span, TimedWord
from voxmill.operators.transcribe.windows import mean_probability
from voxmill.operators.vendors.funasr_text import unspaced

SPACE = "\u2581"
"""How SentencePiece writes the space before a word."""
GLUE = "@@"
"""How subword-nmt, and Paraformer's English, write that a word goes on."""
LONGEST = int(0.32 * SAMPLE_RATE)
"""A transducer or CTC emits a piece in one frame and does not say where it ends: at the next one, or after this (samples)."""


@dataclass(frozen=True, slots=True)
class SpokenPiece:
    """A piece of text and where it was emitted, in seconds from the start of the audio; `end` is None where that is not known."""

    text: str
    start: float
    end: float | None = None
    probability: float | None = None


def timed_words(text: str, pieces: Sequence[SpokenPiece], span: Span) -> tuple[TimedWord, ...] | None:
    """The words of `text`, with times relative to the clip that `span` is of, and the mean probability of their pieces.

    A piece begins a word where it has a space before it, where the model marks no spaces at all, or beside a Han character or kana.
    None where there are no times, or where the pieces do not spell the text (as those of byte-level vocabularies): no time is guessed.
    """
    if not pieces:
        return None if text else ()
    edges = [_sample(piece.start, span) for piece in pieces]
    ends = [
        _sample(piece.end, span) if piece.end is not None else min(following, edge + LONGEST)
        for piece, edge, following in zip(pieces, edges, [*edges[1:], span.end], strict=True)
    ]
    words = [
        TimedWord(
            "".join(_plain(pieces[row].text) for row in rows),
            edges[rows[0]],
            max(edges[rows[0]], ends[rows[-1]]),
            mean_probability(pieces[row].probability for row in rows),
        )
        for rows in _groups(pieces)
    ]
    words = [word for word in words if word.text]
    return tuple(words) if "".join(word.text for word in words) == "".join(text.split()) else None


def _groups(pieces: Sequence[SpokenPiece]) -> Iterator[list[int]]:
    """Rows of the pieces of each word, in order."""
    marked = any(piece.text.startswith((" ", SPACE)) for piece in pieces)
    group: list[int] = []
    for row, piece in enumerate(pieces):
        if group and _begins(pieces[row - 1].text, piece.text, marked):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _begins(before: str, piece: str, marked: bool) -> bool:
    left, right = _plain(before), _plain(piece)
    if not right or not any(map(str.isalnum, right)):
        return False  # punctuation belongs to the word before it
    if piece.startswith((" ", SPACE)) or before.endswith((" ", SPACE)) or (left and unspaced(left[-1])) or unspaced(right[0]):
        return True
    return not marked and not before.endswith(GLUE)


def _plain(piece: str) -> str:
    return "".join(piece.replace(SPACE, " ").removesuffix(GLUE).split())


def _sample(seconds: float, span: Span) -> int:
    return min(max(span.start + round(seconds * SAMPLE_RATE), span.start), span.end)
