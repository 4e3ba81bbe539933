"""`voxmill transcribe`: audio files in, transcripts with labels out. The model is any callable that follows `Model`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from rich.console import Console

from voxmill.manifests.records import SAMPLE_RATE, Bandwidth
from voxmill.operators.contract.adapters import Audio
from voxmill.pipeline.modelling.audio_inputs import AudioLoader, AudioSegment, NoAudio
from voxmill.pipeline.terminal.output import print_json

BATCH_SEGMENTS, BATCH_SECONDS = 8, 60.0
"""The largest batch: segments, and seconds with padding."""


class RecognizedAs(Protocol):
    """A word that a model heard in a clip."""

    @property
    def text(self) -> str:
        """The word."""
        ...

    @property
    def start(self) -> float:
        """In seconds from the start of the clip."""
        ...

    @property
    def end(self) -> float:
        """In seconds from the start of the clip."""
        ...

    @property
    def confidence(self) -> float:
        """From 0 to 1."""
        ...


class ModelOutput(Protocol):
    """What a model says of a clip (`models.inference.recognizer`)."""

    @property
    def marked(self) -> str:
        """The text, with marks such as `[SCD]` in it."""
        ...

    @property
    def labels(self) -> Mapping[Any, tuple[str, ...]]:
        """Task -> its labels; empty where the model found none."""
        ...

    @property
    def words(self) -> Sequence[RecognizedAs] | None:
        """Its words, with times from the start of the clip; None: not known."""
        ...


class Model(Protocol):
    """A batch of 16 kHz mono waves and their bandwidths -> one output per wave, in order."""

    def __call__(self, waves: Sequence[Audio], bandwidths: Sequence[Bandwidth], /) -> Sequence[ModelOutput]: ...


@dataclass(frozen=True, slots=True)
class TranscribedWord:
    """A word between `start` and `end`, in seconds from the beginning of the file, and how sure the model was of it (0 to 1)."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class TranscribedSegment:
    """What is said between `start` and `end`, in seconds from the beginning of the file."""

    start: float
    end: float
    text: str
    labels: dict[str, tuple[str, ...]]
    words: tuple[TranscribedWord, ...] | None = None
    """None: the model has no times, or was not asked for them."""


@dataclass(frozen=True, slots=True)
class TranscribedFile:
    """The transcript of one file, or why there is none."""

    file: str
    seconds: float
    bandwidth: str | None
    segments: tuple[TranscribedSegment, ...]
    error: str | None = None

    @property
    def text(self) -> str:
        """The text of all segments."""
        return " ".join(segment.text for segment in self.segments if segment.text)


def transcribe(files: Sequence[str], model: Model, loader: AudioLoader) -> Iterator[TranscribedFile]:
    """One result for each file, in order; a file without usable audio yields one with an `error`."""
    for file in files:
        try:
            recording = loader.open(file)
        except NoAudio as error:
            yield TranscribedFile(file, 0.0, None, (), str(error))
            continue
        segments = tuple(one for batch in _batches(loader.segments(recording)) for one in _run(batch, model))
        yield TranscribedFile(file, round(recording.seconds, 3), recording.bandwidth, segments)


def _run(segments: Sequence[AudioSegment], model: Model) -> Iterator[TranscribedSegment]:
    outputs = model([segment.audio for segment in segments], [segment.bandwidth for segment in segments])
    for segment, one in zip(segments, outputs, strict=True):
        labels = {str(kind): values for kind, values in one.labels.items()}
        start = segment.start / SAMPLE_RATE
        words = None if one.words is None else tuple(_later(word, start) for word in one.words)
        yield TranscribedSegment(round(start, 3), round(segment.end / SAMPLE_RATE, 3), one.marked, labels, words)


def _later(word: RecognizedAs, by: float) -> TranscribedWord:
    return TranscribedWord(word.text, round(word.start + by, 3), round(word.end + by, 3), round(word.confidence, 4))


def _batches(segments: Iterator[AudioSegment]) -> Iterator[list[AudioSegment]]:
    """Consecutive segments in batches. Padding counts: every segment takes as much as the longest of its batch."""
    batch: list[AudioSegment] = []
    for segment in segments:
        longest = max(len(one.audio) for one in [*batch, segment]) / SAMPLE_RATE
        if batch and (len(batch) == BATCH_SEGMENTS or longest * (len(batch) + 1) > BATCH_SECONDS):
            yield batch
            batch = []
        batch.append(segment)
    if batch:
        yield batch


def print_transcribed(result: TranscribedFile, console: Console, *, as_json: bool) -> None:
    """Prints one line of JSON, or the file name and a line for each segment."""
    if as_json:
        print_json(asdict(result) | {"text": result.text})
        return
    if result.error:
        console.print(f"{result.file}: {result.error}", style="red", soft_wrap=True)
        return
    console.print(f"{result.file} · {result.seconds:.1f} s · {result.bandwidth}", style="bold", soft_wrap=True)
    for segment in result.segments:
        labels = " ".join(f"{kind}={'+'.join(values) or 'none'}" for kind, values in segment.labels.items())
        line = f"  {segment.start:.1f}–{segment.end:.1f}  {segment.text}" + (f"  [{labels}]" if labels else "")
        console.print(line, soft_wrap=True)
