"""The seams behind which vendors live: one small Protocol per kind of model, one adapter file per vendor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from voxmill.manifests.records import Consensus, Hypothesis, LabelTask, Mark, Part, Recording, Segment

Audio = NDArray[np.float32]
"""Mono samples at 16 kHz in [-1, 1], shape (num_samples,)."""


@dataclass(frozen=True, slots=True)
class Span:
    """`[start, end)` in samples, relative to the audio it comes with."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class AudioClip:
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

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """One list per clip, one transcript per span, in order. Batches and windows stay inside this call."""
        ...


class SpeechDetector(Protocol):
    """A voice activity detector: P(speech) for every `hop` samples, streamed."""

    model: str
    hop: int

    def probabilities(self, blocks: Iterable[Audio]) -> NDArray[np.float32]:
        """`blocks` is one stream in order, in blocks of any size; returns shape (ceil(total / hop),)."""
        ...


@dataclass(frozen=True, slots=True)
class LabelInput:
    """One segment as a labeller sees it, with what earlier stages said of it, where the labeller reads them."""

    segment: Segment
    consensus: Consensus | None = None
    hypotheses: tuple[Hypothesis, ...] = ()

    @property
    def text(self) -> str:
        """The words that were chosen; empty where the engines gave none, or nobody speaks."""
        return self.consensus.text if self.consensus is not None and self.consensus.rejection is None else ""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One part of a recording as a labeller is given it: its segments in order of time, and the audio that holds them."""

    recording: Recording
    part: Part
    utterances: tuple[LabelInput, ...]
    audio: Audio | None = None
    """None for labellers that do not listen."""
    start: int = 0
    """Place of the audio's first sample in the recording."""

    def wave(self, segment: Segment) -> Audio:
        if self.audio is None:
            raise ValueError("a labeller that listens must say so: `hears = True`")
        return self.audio[segment.start - self.start : segment.end - self.start]


@dataclass(frozen=True, slots=True)
class LabelAnswer:
    """What a labeller says to one question about one segment."""

    task: LabelTask
    marks: tuple[Mark, ...] | None
    """None: it is not sure. Empty: it looked, and there is none."""
    confidence: float | None = None
    reason: str | None = None
    """With None: the public name of what refused the label."""
    model: str | None = None
    """Where it is not the labeller's own."""


class Labeller(Protocol):
    """Says more of a segment than its words. `model` names the weights or rules (id and revision or hash)."""

    model: str

    def label(self, scene: Scene) -> Sequence[Sequence[LabelAnswer]]:
        """One list per utterance, in order. A question that does not apply to an utterance has no answer there."""
        ...
