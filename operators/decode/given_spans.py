"""Spans that a corpus names, held against the recording as it was decoded: what can be heard as one unit, and why the rest cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from voxmill.manifests.reasons import reject
from voxmill.manifests.records import SAMPLE_RATE, GivenSpan

SHORT = round(0.02 * SAMPLE_RATE)
"""A span that ends this close to the recording's end goes to the end (20 ms): durations are rounded."""

BEYOND = round(0.1 * SAMPLE_RATE)
"""By how much a span may go beyond the recording's end and is cut there (100 ms): codecs pad, and decoders differ."""

SHARED = round(0.5 * SAMPLE_RATE)
"""Most that two neighbours may have in common (500 ms, and less than half of either); they then meet in the middle of it."""


def settle_spans(given: Sequence[GivenSpan], num_samples: int, longest: int) -> tuple[GivenSpan, ...]:
    """The spans in order of time, each with its length, or with the reason why it is not heard as the corpus has it.

    What is not rejected lies in `[0, num_samples)`, is at most `longest` samples long, and overlaps nothing.
    """
    settled: list[GivenSpan] = []
    last: int | None = None
    for one in sorted(given, key=lambda span: span.start):
        span = _placed(one, num_samples, longest)
        if span.rejection is None and last is not None:
            before = settled[last]
            shared = _end(before) - span.start
            if shared > min(SHARED, _length(before) // 2, _length(span) // 2):
                span = replace(span, rejection=reject("decode.given_overlap", f"{shared / SAMPLE_RATE:.2f} s of {before.key}"))
            elif shared > 0:
                middle = span.start + shared // 2
                settled[last] = replace(before, num_samples=middle - before.start)
                span = replace(span, start=middle, num_samples=_end(span) - middle)
        if span.rejection is None:
            last = len(settled)
        settled.append(span)
    return tuple(settled)


def _placed(span: GivenSpan, num_samples: int, longest: int) -> GivenSpan:
    end = num_samples if span.num_samples is None else span.start + span.num_samples
    if span.start < num_samples and -BEYOND <= num_samples - end <= SHORT:
        end = num_samples
    span = replace(span, num_samples=max(0, end - span.start))
    if end > num_samples or end <= span.start:
        where = f"{span.start / SAMPLE_RATE:.2f} to {end / SAMPLE_RATE:.2f} s of {num_samples / SAMPLE_RATE:.2f} s"
        return replace(span, rejection=reject("decode.given_outside", where))
    if _length(span) > longest:
        return replace(span, rejection=reject("decode.given_too_long", f"{_length(span) / SAMPLE_RATE:.1f} s"))
    return span


def _length(span: GivenSpan) -> int:
    return span.num_samples or 0


def _end(span: GivenSpan) -> int:
    return span.start + _length(span)
