"""Where in the text a label stands: speaker changes and endpoints by time, named entities by time or by their words.

Times come from the words of a hypothesis whose text is exactly the label's. If no engine has that text, labels with a time have
no position, and the label counts as missing for this utterance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from voxmill.manifests.records import Annotation, Mark, Word


@dataclass(frozen=True, slots=True)
class PlacedToken:
    """A token to insert before the character at `offset`; tokens at the same offset are ordered by rank, lowest first."""

    offset: int
    rank: int
    token: str


@dataclass(frozen=True, slots=True)
class TimedSpan:
    """A word: its characters [start, end) in the text, and its samples [begin, finish) in the recording."""

    start: int
    end: int
    begin: int
    finish: int


def timed_spans(text: str, words: Sequence[Word] | None) -> list[TimedSpan] | None:
    """Positions of the words in the text, in order; None if a word is not found there or has no time."""
    if words is None:
        return None
    spans, at = [], 0
    for word in words:
        spelt = word.text.strip()
        start = text.find(spelt, at)
        if start < 0 or word.start is None or word.end is None:
            return None
        at = start + len(spelt)
        spans.append(TimedSpan(start, at, word.start, word.end))
    return spans


def place_moments(
    label: Annotation, text: str, spans: Sequence[TimedSpan] | None, token: str, rank: int
) -> list[PlacedToken] | None:
    """For each mark, a token after the last word whose middle is before the mark's start; None if times are missing.

    A mark without a start (an endpoint has `end` only) counts at its end.
    """
    if not label.marks:
        return []
    placed = []
    for mark in label.marks:
        moment = mark.start if mark.start is not None else mark.end
        if spans is None or moment is None:
            return None
        before = [span.end for span in spans if (span.begin + span.finish) / 2 < moment]
        placed.append(PlacedToken(_after_punctuation(text, before[-1]) if before else 0, rank, token))
    return placed


def place_entities(
    label: Annotation, text: str, spans: Sequence[TimedSpan] | None, opening: str, closing: str
) -> list[PlacedToken] | None:
    """An opening token (before the space that leads to it) and a closing token around each entity, found by its time, else by
    its words.

    None if an entity is not found or overlaps the one before.
    """
    placed: list[PlacedToken] = []
    at = 0
    for mark in label.marks:
        found = _by_time(mark, spans) or _by_words(mark, text, at)
        if found is None or found[0] < at:
            return None
        start, at = found
        placed += [PlacedToken(len(text[:start].rstrip()), 3, opening), PlacedToken(at, 0, closing)]
    return placed


def _after_punctuation(text: str, at: int) -> int:
    while at < len(text) and not text[at].isalnum() and not text[at].isspace():
        at += 1
    return at


def _by_time(mark: Mark, spans: Sequence[TimedSpan] | None) -> tuple[int, int] | None:
    if spans is None or mark.start is None or mark.end is None:
        return None
    inside = [span for span in spans if mark.start <= (span.begin + span.finish) / 2 < mark.end]
    return (inside[0].start, inside[-1].end) if inside else None


def _by_words(mark: Mark, text: str, at: int) -> tuple[int, int] | None:
    start = text.find(mark.value, at) if mark.value else -1
    return None if start < 0 else (start, start + len(mark.value))


def cut(text: str, placed: Iterable[PlacedToken]) -> list[tuple[str, str]]:
    """The text cut at the tokens: (piece, token after it), in order; the last piece has the token ''.

    >>> cut("hello hi", [PlacedToken(5, 1, "[SCD]")])
    [('hello', '[SCD]'), (' hi', '')]
    """
    pieces, at = [], 0
    for one in sorted(placed, key=lambda p: (p.offset, p.rank)):
        pieces.append((text[at : one.offset], one.token))
        at = one.offset
    return [*pieces, (text[at:], "")]
