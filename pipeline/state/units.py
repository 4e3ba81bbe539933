"""Recordings to units of work: pure, in listing order, append-only.

A unit holds recordings up to `seconds` of audio; a longer recording becomes several units of fixed duration, so that no worker
ever holds more than one unit's audio, be the file 15 hours long. Spans that a corpus names are not cut: the unit ends before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.ids import digest
from voxmill.manifests.records import SAMPLE_RATE, GivenSpan, Part, Recording, Unit


class UnitConfig(Settings):
    """The grain of work and of retry."""

    seconds: float = Field(default=600.0, ge=1)
    """Most audio in a unit (s): what a killed worker redoes, and what it holds in memory (64 kB a second)."""
    recordings: int | None = Field(default=None, ge=1)
    """Most recordings in a unit; null: as many as fit. `voxmill plan` puts one in each, to see what it costs."""


def form_units(
    recordings: Iterable[Recording], config: UnitConfig, *, position: int = 0, generation: int = 0
) -> Iterator[tuple[Unit, list[Recording]]]:
    """Units over the recordings that are not rejected, in order, each with its recordings; `position` is that of the first one.

    >>> from voxmill.manifests.records import Licence, Provenance
    >>> long = Recording("a" * 64, "i", Provenance("s", "u"), Licence(), num_samples=25 * SAMPLE_RATE)
    >>> [u.num_samples // SAMPLE_RATE for u, _ in form_units([long], UnitConfig(seconds=10))]
    [10, 10, 5]
    """
    for number, (parts, mine) in enumerate(_groups(recordings, config), position):
        yield Unit(_unit_id(number, parts), number, generation, tuple(parts)), mine


def _groups(recordings: Iterable[Recording], config: UnitConfig) -> Iterator[tuple[list[Part], list[Recording]]]:
    """The parts of each unit, and their recordings."""
    limit = int(config.seconds * SAMPLE_RATE)
    parts: list[Part] = []
    mine: list[Recording] = []
    room = 0
    for recording in recordings:
        if recording.rejection is not None:
            continue
        alone = recording.num_samples > limit or bool(recording.apart)
        if parts and (alone or recording.num_samples > room or len(mine) == config.recordings):
            yield parts, mine
            parts, mine = [], []
        if alone:
            each = recording.num_samples // (recording.apart or 1)
            for begin in range(0, recording.num_samples, each):  # no part holds the end of one channel and the next one's begin
                edges = _edges(begin, begin + each, limit, recording.given or ())
                for start, end in pairwise(edges):
                    yield [Part(recording.id, start, end - start)], [recording]
            continue
        room = (room if parts else limit) - recording.num_samples
        parts.append(Part(recording.id, 0, recording.num_samples))
        mine.append(recording)
    if parts:
        yield parts, mine


def _edges(begin: int, end: int, limit: int, given: Sequence[GivenSpan]) -> list[int]:
    """Where a long recording is cut: every `limit` samples, or before a span that a corpus names and that would be cut there.

    Only a span that is longer than `limit` makes a part longer than that.
    """
    edges = [begin]
    spans = iter([(one.start, one.start + (one.num_samples or 0)) for one in given if one.rejection is None])
    first, last = next(spans, (end, end))
    while (cut := edges[-1] + limit) < end:
        while last <= cut and last < end:
            first, last = next(spans, (end, end))
        if first < cut < last:
            cut = first if first > edges[-1] else last
        edges.append(cut)
    return [*edges, end] if edges[-1] < end else edges


def _unit_id(position: int, parts: Iterable[Part]) -> str:
    """Sorts by position; the digest ties it to its members."""
    content = digest(f"{p.recording_id}:{p.start}:{p.num_samples}" for p in parts)
    return f"u{position:07d}-{content[:12]}"
