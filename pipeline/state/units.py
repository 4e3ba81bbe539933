"""Recordings to units of work: pure, in listing order, append-only.

A unit holds recordings up to `seconds` of audio; a longer recording becomes several units of fixed duration, so that no worker
ever holds more than one unit's audio, be the file 15 hours long. Duplicates are settled here, once, in listing order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.ids import digest
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import SAMPLE_RATE, Part, Recording, Unit


class UnitConfig(Settings):
    """The grain of work and of retry."""

    seconds: float = Field(default=600.0, ge=1)
    """Most audio in a unit (s): what a killed worker redoes, and what it holds in memory (64 kB a second)."""


def reject_duplicates(recordings: Iterable[Recording], kept: Iterable[Recording] = ()) -> list[Recording]:
    """The recordings with repeats rejected: the same bytes, or the same samples in another wrapping.

    The first in order wins; `kept` are the recordings of earlier generations, which always win.
    """
    by_bytes = {r.id: r.item_id for r in kept if r.rejection is None}
    by_samples = {r.pcm_sha256: r.id for r in kept if r.rejection is None and r.pcm_sha256}
    settled = []
    for recording in recordings:
        if recording.rejection is None and recording.id in by_bytes:
            recording = replace(recording, rejection=reject("crawl.duplicate", recording.id))
        elif recording.rejection is None and recording.pcm_sha256 in by_samples:
            recording = replace(recording, rejection=reject("decode.duplicate", by_samples[recording.pcm_sha256]))
        elif recording.rejection is None:
            by_bytes[recording.id] = recording.item_id
            if recording.pcm_sha256:
                by_samples[recording.pcm_sha256] = recording.id
        settled.append(recording)
    return settled


def form_units(recordings: Sequence[Recording], config: UnitConfig, *, position: int = 0, generation: int = 0) -> list[Unit]:
    """Units over the recordings that are not rejected, in order; `position` is that of the first one.

    >>> from voxmill.manifests.records import Licence, Provenance
    >>> long = Recording("a" * 64, "i", Provenance("s", "u"), Licence(), num_samples=25 * SAMPLE_RATE)
    >>> [u.num_samples // SAMPLE_RATE for u in form_units([long], UnitConfig(seconds=10))]
    [10, 10, 5]
    """
    limit = int(config.seconds * SAMPLE_RATE)
    groups: list[list[Part]] = []
    room = 0
    for recording in recordings:
        if recording.rejection is not None:
            continue
        each = recording.num_samples // (recording.apart or 1)
        if recording.num_samples > limit or recording.apart:
            for begin in range(0, recording.num_samples, each):  # no part holds the end of one channel and the next one's begin
                starts = range(begin, begin + each, limit)
                groups += [[Part(recording.id, s, min(limit, begin + each - s))] for s in starts]
            room = 0
            continue
        if not groups or recording.num_samples > room:
            groups.append([])
            room = limit
        groups[-1].append(Part(recording.id, 0, recording.num_samples))
        room -= recording.num_samples
    return [Unit(_unit_id(position + i, parts), position + i, generation, tuple(parts)) for i, parts in enumerate(groups)]


def _unit_id(position: int, parts: Iterable[Part]) -> str:
    """Sorts by position; the digest ties it to its members."""
    content = digest(f"{p.recording_id}:{p.start}:{p.num_samples}" for p in parts)
    return f"u{position:07d}-{content[:12]}"
