"""`voxmill transcribe`: files in, what a model hears in them out. The model is whoever can be called with clips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from rich.console import Console

from voxmill.manifests.records import SAMPLE_RATE, Bandwidth
from voxmill.operators.contract.adapters import Audio
from voxmill.pipeline.modelling.audio_inputs import AudioLoader, AudioSegment, NoAudio
from voxmill.pipeline.terminal.output import print_json

BATCH_CLIPS, BATCH_SECONDS = 8, 60.0
"""Clips that a model hears at a time, at most."""


class ModelOutput(Protocol):
    """What a model says of a clip (`models.inference.recognizer`)."""

    @property
    def marked(self) -> str: ...
    @property
    def labels(self) -> Mapping[Any, tuple[str, ...]]: ...


class Model(Protocol):
    def __call__(self, waves: Sequence[Audio], bandwidths: Sequence[Bandwidth], /) -> Sequence[ModelOutput]: ...


@dataclass(frozen=True, slots=True)
class TranscribedSegment:
    """One stretch of a file, in seconds, and what is said there."""

    start: float
    end: float
    text: str
    labels: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class TranscribedFile:
    """What became of one file."""

    file: str
    seconds: float
    bandwidth: str | None
    segments: tuple[TranscribedSegment, ...]
    error: str | None = None

    @property
    def text(self) -> str:
        return " ".join(said.text for said in self.segments if said.text)


def transcribe(files: Sequence[str], model: Model, hearing: AudioLoader) -> Iterator[TranscribedFile]:
    """One outcome for each file, in order; a file that cannot be heard is one with an error."""
    for file in files:
        try:
            sound = hearing.open(file)
        except NoAudio as error:
            yield TranscribedFile(file, 0.0, None, (), str(error))
            continue
        said = tuple(one for batch in _batches(hearing.clips(sound)) for one in _hear(batch, model))
        yield TranscribedFile(file, round(sound.seconds, 3), sound.bandwidth, said)


def _hear(clips: Sequence[AudioSegment], model: Model) -> Iterator[TranscribedSegment]:
    heard = model([clip.audio for clip in clips], [clip.bandwidth for clip in clips])
    for clip, one in zip(clips, heard, strict=True):
        labels = {str(kind): values for kind, values in one.labels.items()}
        yield TranscribedSegment(round(clip.start / SAMPLE_RATE, 3), round(clip.end / SAMPLE_RATE, 3), one.marked, labels)


def _batches(clips: Iterator[AudioSegment]) -> Iterator[list[AudioSegment]]:
    """Neighbours together, a few at a time. Padding counts: the longest decides what each takes."""
    batch: list[AudioSegment] = []
    for clip in clips:
        longest = max(len(one.audio) for one in [*batch, clip]) / SAMPLE_RATE
        if batch and (len(batch) == BATCH_CLIPS or longest * (len(batch) + 1) > BATCH_SECONDS):
            yield batch
            batch = []
        batch.append(clip)
    if batch:
        yield batch


def print_transcribed(outcome: TranscribedFile, console: Console, *, as_json: bool) -> None:
    """A line of JSON, or for people the file, then a line for each stretch."""
    if as_json:
        print_json(asdict(outcome) | {"text": outcome.text})
        return
    if outcome.error:
        console.print(f"{outcome.file}: {outcome.error}", style="red", soft_wrap=True)
        return
    console.print(f"{outcome.file} · {outcome.seconds:.1f} s · {outcome.bandwidth}", style="bold", soft_wrap=True)
    for said in outcome.segments:
        labels = " ".join(f"{kind}={'+'.join(values) or 'none'}" for kind, values in said.labels.items())
        line = f"  {said.start:.1f}–{said.end:.1f}  {said.text}" + (f"  [{labels}]" if labels else "")
        console.print(line, soft_wrap=True)
