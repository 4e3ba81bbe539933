"""Records for tests: every field has a sensible value, and a test names only what it is about."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from voxmill.manifests.ids import segment_id
from voxmill.manifests.records import Item, Licence, Part, Provenance, Recording, Segment


def provenance(**changes: Any) -> Provenance:
    return replace(Provenance("source", "https://example.org/a.mp3", host="example.org"), **changes)


def item(name: str = "a", **changes: Any) -> Item:
    return replace(
        Item(hashlib.sha256(name.encode()).hexdigest(), provenance(url=f"https://example.org/{name}"), Licence("cc0-1.0")),
        **changes,
    )


def recording(name: str = "a", seconds: float = 10.0, **changes: Any) -> Recording:
    made = Recording(
        hashlib.sha256(f"bytes of {name}".encode()).hexdigest(),
        item(name).id,
        provenance(url=f"https://example.org/{name}"),
        Licence("cc0-1.0"),
        audio=f"audio/{name}.wav",
        num_samples=int(seconds * 16000),
        sampling_rate=16000,
        num_channels=1,
        pcm_sha256=hashlib.sha256(f"samples of {name}".encode()).hexdigest(),
    )
    return replace(made, **changes)


def part(of: Recording) -> Part:
    return Part(of.id, 0, of.num_samples)


def segment(of: Recording, start: int = 0, num_samples: int | None = None, **changes: Any) -> Segment:
    length = of.num_samples if num_samples is None else num_samples
    return replace(Segment(segment_id(of.id, start, start + length), of.id, start, length), **changes)
