"""Plans the windows of audio that a recogniser decodes: long spans are cut at their quietest point, short ones share a window.

A model of fixed input length costs the same for 3 s as for 30 s, so neighbours share a window, with the real pause between them.
`assign_words` then gives each span the words recognised in its windows. Pure arithmetic on samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import exp, log

import numpy as np

from voxmill.operators.contract.adapters import Audio, Span, TimedWord, Transcript

FRAME = 320
"""Samples (20 ms) over which energy is measured to find the quietest point."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A span, or a part of one that was too long: `owner` is the index of the span it came from."""

    start: int
    end: int
    owner: int


@dataclass(frozen=True, slots=True)
class Window:
    """Neighbouring pieces decoded together, from the start of the first to the end of the last."""

    pieces: tuple[Piece, ...]

    @property
    def start(self) -> int:
        """First sample."""
        return self.pieces[0].start

    @property
    def end(self) -> int:
        """Sample after the last."""
        return self.pieces[-1].end

    def owner(self, start: float, end: float) -> int:
        """Index of the span that a word at `[start, end)` belongs to: the one that holds its midpoint, else the nearest."""
        middle = (start + end) / 2
        return min(self.pieces, key=lambda piece: max(piece.start - middle, middle - piece.end, 0)).owner


def cut_spans(audio: Audio, spans: Sequence[Span], limit: int) -> list[Piece]:
    """Cuts the spans into pieces of at most `limit` samples; a piece of a cut span keeps at least a quarter of the limit."""
    pieces = []
    for owner, span in enumerate(spans):
        start = span.start
        while span.end - start > limit:
            earliest, latest = start + limit // 2, min(start + limit, span.end - limit // 4)
            middle = _quietest(audio, earliest, latest)
            pieces.append(Piece(start, middle, owner))
            start = middle
        pieces.append(Piece(start, span.end, owner))
    return pieces


def spans_sharing(windows: Iterable[Window]) -> list[int]:
    """Indices, in order, of the spans that share a window with another span."""
    shared = {piece.owner for window in windows if len({p.owner for p in window.pieces}) > 1 for piece in window.pieces}
    return sorted(shared)


def pack_windows(pieces: Sequence[Piece], limit: int, max_pause: int) -> list[Window]:
    """The fewest windows of at most `limit` samples; among those plans, the one that splits at the longest pauses.

    A pause longer than `max_pause` always splits. A piece longer than the limit gets its own window.
    """
    last = len(pieces)
    best: list[tuple[int, int, int]] = [(0, 0, last)] * (
        last + 1
    )  # for pieces[i:]: windows, - pauses at cuts, end of the first
    for first in reversed(range(last)):
        options = []
        for end in range(first + 1, last + 1):
            pause = pieces[end - 1].start - pieces[end - 2].end if end - first > 1 else 0
            if end - first > 1 and (pieces[end - 1].end - pieces[first].start > limit or pause > max_pause):
                break
            windows, pauses, _ = best[end]
            after = pieces[end].start - pieces[end - 1].end if end < last else 0
            options.append((windows + 1, pauses - after, end))
        best[first] = min(options)
    packed, first = [], 0
    while first < last:
        end = best[first][2]
        packed.append(Window(tuple(pieces[first:end])))
        first = end
    return packed


@dataclass(frozen=True, slots=True)
class WindowTranscript:
    """What an engine recognised in one window. Times are relative to the clip; words keep the space before them."""

    words: tuple[TimedWord, ...]
    language: str | None = None
    language_confidence: float | None = None
    no_speech: float | None = None


def assign_words(
    spans: Sequence[Span], heard: Iterable[tuple[Window, WindowTranscript]], longest_word: int
) -> list[Transcript]:
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


def mean_probability(probabilities: Iterable[float | None]) -> float | None:
    """Geometric mean of the known probabilities, exp(mean log p), as engines report it; None without any.

    >>> mean_probability([0.5, None, 0.125])
    0.25
    """
    logs = [log(max(p, 1e-10)) for p in probabilities if p is not None]
    return exp(sum(logs) / len(logs)) if logs else None


def _transcript(span: Span, words: Sequence[TimedWord], heard: WindowTranscript | None) -> Transcript:
    heard = heard or WindowTranscript(())
    return Transcript(
        text="".join(word.text for word in words).strip(),
        words=tuple(_inside(span, word) for word in words if word.text.strip()),
        confidence=mean_probability(word.confidence for word in words),
        language=heard.language,
        language_confidence=heard.language_confidence,
        no_speech=heard.no_speech,
    )


def _inside(span: Span, word: TimedWord) -> TimedWord:
    """A word's estimated times may reach over the edge of its span; its samples must not."""
    start, end = (min(max(time, span.start), span.end) for time in (word.start, word.end))
    return replace(word, text=word.text.strip(), start=start, end=max(start, end))


def _quietest(audio: Audio, earliest: int, latest: int) -> int:
    """Middle of the frame with the least energy in `[earliest, latest)`."""
    frames = max((latest - earliest) // FRAME, 1)
    region = audio[earliest : earliest + frames * FRAME]
    if len(region) < frames * FRAME:
        return earliest
    energy = np.square(region.reshape(frames, FRAME)).sum(axis=1)
    return earliest + int(energy.argmin()) * FRAME + FRAME // 2
