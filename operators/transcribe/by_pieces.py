"""Gives an engine that hears a limited length one piece of audio after the other, and puts spans together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, islice
from math import exp, log

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import Audio, AudioClip, Span, Transcript
from voxmill.operators.transcribe.windows import cut_spans
from voxmill.operators.vendors.funasr_text import joined

SHORTEST = SAMPLE_RATE // 10
"""Features of less audio are too few for most encoders: it is followed by silence up to this length (samples)."""

Heard = Sequence[tuple[AudioClip, Span]]
"""Pieces of like length, each a span of a clip."""


def by_pieces(
    clips: Sequence[AudioClip], max_seconds: float, batch_size: int, hear: Callable[[Heard], list[Transcript]]
) -> list[list[Transcript]]:
    """One list per clip, one transcript per span, in order. Spans longer than `max_seconds` are cut at their quietest points.

    `hear` is given up to `batch_size` pieces at once, those of like length together, and returns a transcript for each.
    """
    plans = [cut_spans(clip.audio, clip.spans, int(max_seconds * SAMPLE_RATE)) for clip in clips]
    jobs = [(clip, Span(piece.start, piece.end)) for clip, plan in zip(clips, plans, strict=True) for piece in plan]
    found = [Transcript("", words=())] * len(jobs)
    rows = sorted((row for row, (_, span) in enumerate(jobs) if span.end > span.start), key=lambda row: _length(jobs[row][1]))
    waiting = iter(rows)
    while batch := list(islice(waiting, batch_size)):
        for row, transcript in zip(batch, hear([jobs[row] for row in batch]), strict=True):
            found[row] = transcript
    heard = iter(found)
    of_clips = []
    for clip, plan in zip(clips, plans, strict=True):
        parts: list[list[Transcript]] = [[] for _ in clip.spans]
        for piece in plan:
            parts[piece.owner].append(next(heard))
        of_clips.append([whole(part) for part in parts])
    return of_clips


def audible(clip: AudioClip, span: Span) -> Audio:
    """The samples of a span, with silence behind them where they are fewer than `SHORTEST`."""
    import numpy as np

    audio = clip.audio[span.start : span.end]
    return np.pad(audio, (0, max(SHORTEST - len(audio), 0)))


def whole(parts: Sequence[Transcript]) -> Transcript:
    """One transcript of a span that was heard in parts: confidence is their mean by length of text, the language that of the first.

    Where one part was refused, all of it is: a text with a gap would pass for the whole.
    """
    first = next((part for part in parts if part.refusal), parts[0])
    if len(parts) == 1 or first.refusal:
        return first
    said = [part for part in parts if part.text]
    lengths = [(len(part.text), part.confidence) for part in said if part.confidence is not None]
    words = [part.words for part in parts]
    return replace(
        said[0] if said else first,
        text=joined([part.text for part in said]),
        words=None if None in words else tuple(chain.from_iterable(one for one in words if one is not None)),
        confidence=exp(sum(n * log(max(p, 1e-10)) for n, p in lengths) / sum(n for n, _ in lengths)) if lengths else None,
    )


def _length(span: Span) -> int:
    return span.end - span.start
