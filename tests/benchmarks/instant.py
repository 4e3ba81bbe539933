"""Recognisers that hear nothing and answer at once, or after a stated sleep: what a run costs without its engines."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

from voxmill.operators.contract.adapters import AudioClip, Transcript

AWAKE = "VOXMILL_BENCH_AWAKE"
"""Environment variable: nobody sleeps."""

WORDS = "it was the best of times it was the worst of times"


class Instant:
    model = "instant@1"

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """The same words for every span."""
        return [[Transcript(WORDS, confidence=1.0) for _ in clip.spans] for clip in clips]


class Careless:
    """Says something else of every span that lasts an odd number of tenths of a second."""

    model = "careless@1"

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """The same words for every span but these."""
        return [
            [Transcript("quite another thing" if (span.end - span.start) // 1600 % 2 else WORDS) for span in clip.spans]
            for clip in clips
        ]


class Sleeping:
    """As quick as is stated: for work that several machines would do at once and one machine with two cores cannot."""

    model = "sleeping@1"

    def __init__(self, seconds: float, deadly: int = 0) -> None:
        self._seconds, self._deadly = seconds, deadly

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """The same words for every span, after so many seconds. A clip of `deadly` samples kills its process, as a broken codec does."""
        if any(len(clip.audio) == self._deadly for clip in clips):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0 if os.environ.get(AWAKE) else self._seconds)
        return Instant().transcribe(clips)
