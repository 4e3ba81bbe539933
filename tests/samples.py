"""Synthetic samples for tests of packing: made-up records over noise that depends on the recording's id alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxmill.manifests.ids import segment_id
from voxmill.manifests.records import (
    SAMPLE_RATE,
    Annotation,
    Consensus,
    Hypothesis,
    Labels,
    Licence,
    Mark,
    Provenance,
    Recording,
    Segment,
    Selection,
    Slot,
    Word,
)  # fmt: skip
from voxmill.sharding.sample import Sample

TEXT = "谢谢 thank you"


def recording(name: str, seconds: float = 30, licence: str = "cc-by-4.0") -> Recording:
    ident = hashlib.sha256(name.encode()).hexdigest()
    url = f"https://example.org/{name}.mp3"
    return Recording(
        id=ident,
        item_id=hashlib.sha256(url.encode()).hexdigest(),
        provenance=Provenance("made-up", url, host="example.org", title=f"Talk {name}", etag='"1"', last_modified="today"),
        licence=Licence(licence, evidence="stated on the page", source="page"),
        audio=f"/somewhere/audio/{ident}.mp3",
        num_samples=int(seconds * SAMPLE_RATE),
        sampling_rate=44_100,
        codec="mp3",
    )


def sample(
    rec: Recording, start: float, seconds: float, *, unit: int = 0, order: int = 0, generation: int = 0, **changes: Any
) -> Sample:
    """A kept segment of `rec`, in seconds. `changes` go to its selection (tier, split, weight)."""
    at, length = int(start * SAMPLE_RATE), int(seconds * SAMPLE_RATE)
    key = segment_id(rec.id, at, at + length)
    words = (Word("谢谢", at, at + length // 2, 0.9), Word("thank", at + length // 2, at + length, 0.8), Word("you"))
    heard = [
        Hypothesis(key, engine, f"{engine}-tiny@1", TEXT, words=words, confidence=0.87, language="zh", language_confidence=0.99)
        for engine in ("whisperx", "paraformer")
    ]
    consensus = Consensus(
        key, TEXT, "first_engine", "zh", 0.99, 0.95, None, "mixed", ("whisperx", "paraformer"), (TEXT, TEXT), "3",
        tuple(Slot((w.text, w.text), w.text, False) for w in words), 0, 0.87, 4.2, 0.8, 1,
    )  # fmt: skip
    labels = Labels(key, gender=Annotation((Mark("female", confidence=0.9),), "teller"), sound_events=Annotation((), "tagger"))
    selection = replace(Selection(key, "high", "train", 1.0), **changes)
    return Sample(
        rec, Segment(key, rec.id, at, length, 0.98), tuple(heard), consensus, labels, selection, unit, order, generation
    )


def several(
    recordings: int = 6, segments: int = 4, *, generation: int = 0, first: int = 0, licence: str = "cc-by-4.0"
) -> list[Sample]:
    """Samples of `recordings` recordings, two recordings to a unit, `segments` spans of 1 to 2.5 s in each."""
    made = []
    for index in range(first, first + recordings):
        rec = recording(f"talk-{licence}-{index}", licence=licence)
        for part in range(segments):
            made.append(
                sample(rec, 3 * part + 0.25, 1 + 0.5 * (part % 4), unit=index // 2, order=index % 2, generation=generation)
            )
    return made


def read_audio(rec: Recording, start: int, num_samples: int) -> NDArray[np.float32]:
    return _noise(rec.id, rec.num_samples)[start : start + num_samples]


@lru_cache(maxsize=8)
def _noise(ident: str, num_samples: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(int(ident[:16], 16))
    tone = np.sin(np.arange(num_samples) * (2 * np.pi * (100 + int(ident[:2], 16)) / SAMPLE_RATE))
    audio: NDArray[np.float32] = (0.3 * tone + 0.05 * rng.standard_normal(num_samples)).astype(np.float32)
    return audio
