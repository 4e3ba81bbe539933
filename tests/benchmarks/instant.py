"""A recogniser that hears nothing and answers at once: what a run costs without its engines."""

from __future__ import annotations

from collections.abc import Sequence

from voxmill.operators.contract.adapters import AudioClip, Transcript

WORDS = "it was the best of times it was the worst of times"


class Instant:
    model = "instant@1"

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """The same words for every span."""
        return [[Transcript(WORDS, confidence=1.0) for _ in clip.spans] for clip in clips]
