"""Two recognisers that hear nothing, answer at once, and agree about as often as real ones do: by a hash of the span."""

from __future__ import annotations

from collections.abc import Sequence

from voxmill.manifests.ids import digest
from voxmill.operators.contract.adapters import AudioClip, Transcript

SAID = [
    "it",
    "was",
    "the",
    "best",
    "of",
    "times",
    "it",
    "was",
    "the",
    "worst",
    "of",
    "times",
    "it",
    "was",
    "the",
    "age",
    "of",
    "wisdom",
]


class Disagreeing:
    """Says `SAID`; the `careless` one has some other words, the more the higher the hash of the span."""

    model = "disagreeing@1"

    def __init__(self, careless: bool = False) -> None:
        self._careless = careless

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """One transcript for each span of each clip."""
        return [[self._said(f"{len(clip.audio)} {span}") for span in clip.spans] for clip in clips]

    def _said(self, span: str) -> Transcript:
        wrong = int(digest([span])[:2], 16) % 8 if self._careless else 0
        words = ["wrong" if place % 8 < wrong else word for place, word in enumerate(SAID)]
        return Transcript(" ".join(words), confidence=1 - wrong / 10)


ENGINES = [
    {"kind": "python", "name": "one", "call": "disagreeing:Disagreeing", "version": "1"},
    {"kind": "python", "name": "two", "call": "disagreeing:Disagreeing", "version": "1", "options": {"careless": True}},
]
