"""The seams behind which vendors live: one small Protocol per kind of model, one adapter file per vendor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
"""Mono samples at 16 kHz in [-1, 1], shape (num_samples,)."""


@dataclass(frozen=True, slots=True)
class Span:
    """`[start, end)` in samples, relative to the audio it comes with."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Clip:
    """The audio of one recording's part, and the spans in it to transcribe (sorted, disjoint)."""

    audio: Audio
    spans: tuple[Span, ...]
    language: str | None = None
    """Language hint, or None to let the engine decide."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word, its span in samples relative to the clip's audio, and its probability."""

    text: str
    start: int
    end: int
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """What an engine heard in one span. `words` is None where the engine gives no times."""

    text: str
    words: tuple[TimedWord, ...] | None = None
    confidence: float | None = None
    language: str | None = None
    language_confidence: float | None = None
    no_speech: float | None = None


class Transcriber(Protocol):
    """A speech recogniser. `model` names the loaded weights (id and revision or hash)."""

    model: str

    def transcribe(self, clips: Sequence[Clip]) -> list[list[Transcript]]:
        """One list per clip, one transcript per span, in order. Batches and windows stay inside this call."""
        ...


class SpeechDetector(Protocol):
    """A voice activity detector: P(speech) for every `hop` samples, streamed."""

    model: str
    hop: int

    def probabilities(self, blocks: Iterable[Audio]) -> NDArray[np.float32]:
        """`blocks` is one stream in order, in blocks of any size; returns shape (ceil(total / hop),)."""
        ...
