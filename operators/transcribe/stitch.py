"""Assigns the words recognised in a window to the spans in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import exp, log

from voxmill.operators.contract.adapters import Span, TimedWord, Transcript
from voxmill.operators.transcribe.windows import Window


@dataclass(frozen=True, slots=True)
class WindowTranscript:
    """What an engine recognised in one window. Times are relative to the clip; words keep the space before them."""

    words: tuple[TimedWord, ...]
    language: str | None = None
    language_confidence: float | None = None
    no_speech: float | None = None


def share(spans: Sequence[Span], heard: Iterable[tuple[Window, WindowTranscript]], longest_word: int) -> list[Transcript]:
    """One transcript per span. A span that was cut gets the words of all its pieces, and the language of the first.

    A word longer than `longest_word` samples is placed by its end: its start may be that of the pause before it.
    """
    words: list[list[TimedWord]] = [[] for _ in spans]
    origin: list[WindowTranscript | None] = [None] * len(spans)
    for window, found in heard:
        for piece in window.pieces:
            origin[piece.owner] = origin[piece.owner] or found
        for word in found.words:
            words[window.owner(max(word.start, word.end - longest_word), word.end)].append(word)
    return [_transcript(*of_span) for of_span in zip(spans, words, origin, strict=True)]


def confidence(probabilities: Iterable[float | None]) -> float | None:
    """Geometric mean of the known probabilities, exp(mean log p), as engines report it; None without any.

    >>> confidence([0.5, None, 0.125])
    0.25
    """
    logs = [log(max(p, 1e-10)) for p in probabilities if p is not None]
    return exp(sum(logs) / len(logs)) if logs else None


def _transcript(span: Span, words: Sequence[TimedWord], heard: WindowTranscript | None) -> Transcript:
    heard = heard or WindowTranscript(())
    return Transcript(
        text="".join(word.text for word in words).strip(),
        words=tuple(_inside(span, word) for word in words if word.text.strip()),
        confidence=confidence(word.confidence for word in words),
        language=heard.language,
        language_confidence=heard.language_confidence,
        no_speech=heard.no_speech,
    )


def _inside(span: Span, word: TimedWord) -> TimedWord:
    """A word's estimated times may reach over the edge of its span; its samples must not."""
    start, end = (min(max(time, span.start), span.end) for time in (word.start, word.end))
    return replace(word, text=word.text.strip(), start=start, end=max(start, end))
