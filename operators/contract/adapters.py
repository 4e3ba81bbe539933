"""The Protocols behind which models live: `Transcriber`, `SpeechDetector`, `Labeller`. One adapter file per vendor."""

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
    """Audio of one part of a recording, and the spans in it to transcribe (sorted, disjoint)."""

    audio: Audio
    spans: tuple[Span, ...]
    language: str | None = None
    """Language hint, or None to let the engine decide."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word, its span in samples from the start of the clip, and its probability."""

    text: str
    start: int
    end: int
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """What an engine recognised in one span. `words` is None where the engine gives no times."""

    text: str
    words: tuple[TimedWord, ...] | None = None
    confidence: float | None = None
    language: str | None = None
    language_confidence: float | None = None
    no_speech: float | None = None
    refusal: str | None = None
    """Why there is no transcript: the engine gives one for other spans, and would give none for this if it were asked again."""


class Transcriber(Protocol):
    """A speech recogniser. `model` names the loaded weights (id and revision or hash).

    >>> class Hello:
    ...     model = "hello@1"
    ...
    ...     def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
    ...         return [[Transcript("hello", confidence=1.0) for _ in clip.spans] for clip in clips]
    >>> engine: Transcriber = Hello()
    >>> engine.transcribe([AudioClip(np.zeros(32000, np.float32), (Span(0, 16000),))])[0][0].text
    'hello'
    """

    model: str

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """One list per clip, one transcript per span, in order. Batching and windowing stay inside this call."""
        ...


class SpeechDetector(Protocol):
    """A voice activity detector: P(speech) for every `hop` samples, streamed.

    >>> class Loudness:
    ...     model, hop = "loudness@1", 160
    ...
    ...     def probabilities(self, blocks: Iterable[Audio]) -> NDArray[np.float32]:
    ...         audio = np.concatenate(list(blocks))
    ...         frames = np.pad(audio, (0, -len(audio) % self.hop)).reshape(-1, self.hop)
    ...         return np.minimum(1, np.abs(frames).max(axis=1))
    >>> detector: SpeechDetector = Loudness()
    >>> detector.probabilities([np.zeros(100, np.float32), np.ones(100, np.float32)]).shape
    (2,)
    """

    model: str
    hop: int

    def probabilities(self, blocks: Iterable[Audio]) -> NDArray[np.float32]:
        """`blocks` is one stream in order, in blocks of any size; returns shape (ceil(total / hop),)."""
        ...


@dataclass(frozen=True, slots=True)
class LabelInput:
    """One segment as a labeller sees it, with the results of the earlier stages that the labeller reads."""

    segment: Segment
    consensus: Consensus | None = None
    hypotheses: tuple[Hypothesis, ...] = ()

    @property
    def text(self) -> str:
        """The chosen text; empty where the engines gave none, or the segment is an event."""
        return self.consensus.text if self.consensus is not None and self.consensus.rejection is None else ""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What a labeller is given at once: the segments of one part of a recording, in order of time, and the audio that holds them."""

    recording: Recording
    part: Part
    utterances: tuple[LabelInput, ...]
    audio: Audio | None = None
    """None for labellers that need no audio."""
    start: int = 0
    """Sample of the recording at which `audio` starts."""

    def wave(self, segment: Segment) -> Audio:
        """Samples of one segment, shape (num_samples,). Raises ValueError where the labeller did not ask for audio."""
        if self.audio is None:
            raise ValueError("a labeller that listens must say so: `hears = True`")
        return self.audio[segment.start - self.start : segment.end - self.start]


@dataclass(frozen=True, slots=True)
class LabelAnswer:
    """A labeller's answer to one task for one segment."""

    task: LabelTask
    marks: tuple[Mark, ...] | None
    """None: not sure. Empty: labelled, and there is none."""
    confidence: float | None = None
    reason: str | None = None
    """With `marks` None: the public reason for which the label was refused."""
    model: str | None = None
    """The model, where it is not the labeller's own."""


class Labeller(Protocol):
    """Labels segments with more than their words. `model` names the weights or rules (id and revision or hash).

    >>> class Peak:
    ...     model = "peak@1"
    ...
    ...     def label(self, scene: Scene) -> list[list[LabelAnswer]]:
    ...         peaks = [float(np.abs(scene.wave(one.segment)).max()) for one in scene.utterances]
    ...         return [[LabelAnswer("quality", (Mark("peak", score=peak),))] for peak in peaks]
    >>> labeller: Labeller = Peak()
    >>> labeller.model
    'peak@1'
    """

    model: str

    def label(self, scene: Scene) -> Sequence[Sequence[LabelAnswer]]:
        """One list per utterance, in order; a task that does not apply to an utterance has no answer there."""
        ...
