"""The stage `segment`: where there is speech in each part of a recording, as segments that tile the part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from voxmill.manifests.ids import segment_id
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import SAMPLE_RATE, GivenSpan, Part, Recording, Segment
from voxmill.manifests.tombstones import is_scrubbed, revoked_tile
from voxmill.operators.contract.adapters import Audio, SpeechDetector
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.audio import Playback, stream
from voxmill.operators.segment.spans import SpanConfig, Stretch, spans_from_probs, tile

DIGITS = 4
"""Decimals of the stored speech probability."""


EVENT = "event"
"""Marks a stretch without speech that is kept."""

WEIGHTS = {"silero": "silero-vad", "pyannote": "pyannote-segmentation", "fsmn": "fsmn-vad"}
"""Default weights of each engine, by name, so that the fingerprint of the stage holds their hash."""


class SegmentConfig(SpanConfig):
    """How speech is found in a recording, and cut into segments."""

    engine: Literal["silero", "pyannote", "fsmn"] = "silero"
    """The detector: `silero` is small and needs no torch; `pyannote` (whisperX's) and `fsmn` (FunASR's) are alternatives."""
    model: str = ""
    """Weights: a known name, or a folder; by default those of the engine."""
    keep_events: bool = False
    """Keep spans without speech as samples with the text `<|nospeech|>`, labelled by their sound events."""
    min_event_seconds: float = Field(default=2.0, gt=0)
    """Shorter spans without speech are not kept (s)."""

    @model_validator(mode="before")
    @classmethod
    def _weights_of_the_engine(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("model"):
            return data | {"model": WEIGHTS.get(data.get("engine", "silero"), "")}
        return data


class FindSpeech:
    """One detector, loaded once; audio passes through it in blocks, so memory does not grow with the part.

    A part is segmented by itself: the detector starts afresh at its first sample, and no segment crosses its ends. Where a long
    recording is divided into parts, speech across a boundary is cut there, and less than `min_seconds` of it on one side is
    rejected as too short: a second or two an hour.
    """

    def __init__(self, config: SegmentConfig, detector: SpeechDetector | None = None) -> None:
        self.config = config
        self.detector = detector or load_detector(config)

    def __call__(self, work: UnitInput) -> list[Segment]:
        return [segment for part in work.parts for segment in self._of(part, work.recording(part.recording_id))]

    def _of(self, part: Part, recording: Recording) -> Iterable[Segment]:
        if is_scrubbed(recording):  # revoked since: its length stays in the books
            return [revoked_tile(part.recording_id, part.start, part.num_samples)]
        if recording.given:
            return given_segments(part, recording.given)
        return self._segments(part, Playback.of(recording))

    def _segments(self, part: Part, how: Playback) -> Iterator[Segment]:
        hop, total = self.detector.hop, part.num_samples
        counted = _Counted(stream(how, part.start, total))
        probs = self.detector.probabilities(counted)
        if counted.num_samples != total:
            raise ValueError(
                f"{how.uri} gave {counted.num_samples} of {total} samples from {part.start} on: not what was decoded"
            )
        tiles = tile(spans_from_probs(probs, hop, total, self.config), probs, hop, total)
        for tiled in events(tiles, self.config) if self.config.keep_events else tiles:
            start, length = part.start + tiled.start, tiled.end - tiled.start
            yield Segment(
                segment_id(part.recording_id, start, start + length),
                part.recording_id,
                start,
                length,
                round(tiled.speech, DIGITS),
                reject(tiled.reason) if tiled.reason not in (None, EVENT) else None,
                "event" if tiled.reason == EVENT else "speech",
            )


def given_segments(part: Part, given: Iterable[GivenSpan]) -> Iterator[Segment]:
    """The spans that a corpus names inside a part, as they are; what lies between them is put aside. No detector is asked."""
    place = part.start
    for span in given:
        end = span.start + (span.num_samples or 0)
        if span.rejection is not None or not part.start <= span.start < part.end:
            continue
        if span.start > place:
            yield _not_given(part, place, span.start)
        yield Segment(segment_id(part.recording_id, span.start, end), part.recording_id, span.start, end - span.start)
        place = end
    if place < part.end:
        yield _not_given(part, place, part.end)


def _not_given(part: Part, start: int, end: int) -> Segment:
    ident = segment_id(part.recording_id, start, end)
    return Segment(ident, part.recording_id, start, end - start, rejection=reject("segment.not_given"))


def events(tiles: Sequence[Stretch], config: SegmentConfig) -> Iterator[Stretch]:
    """Spans without speech that are long enough, marked as events, in equal pieces of at most `max_seconds`; all else as it is."""
    least, most = (round(seconds * SAMPLE_RATE) for seconds in (config.min_event_seconds, config.max_seconds))
    for one in tiles:
        length = one.end - one.start
        if one.reason != "segment.no_speech" or length < least:
            yield one
            continue
        pieces = -(-length // most)
        for piece in range(pieces):
            start, end = (one.start + length * edge // pieces for edge in (piece, piece + 1))
            yield Stretch(start, end, one.speech, EVENT)


def load_detector(config: SegmentConfig) -> SpeechDetector:
    """The configured engine, ready. Raises FileNotFoundError or WeightsMissing, saying how to get what is missing."""
    if config.engine == "silero":
        from voxmill.operators.segment.silero import Silero

        return Silero(config.model)
    if config.engine == "pyannote":
        from voxmill.operators.segment.pyannote import Pyannote

        return Pyannote(config.model)
    from voxmill.operators.segment.fsmn import Fsmn

    return Fsmn(config.model)


class _Counted:
    """A stream of blocks that counts its samples."""

    def __init__(self, blocks: Iterable[Audio]) -> None:
        self._blocks = blocks
        self.num_samples = 0

    def __iter__(self) -> Iterator[Audio]:
        for block in self._blocks:
            self.num_samples += len(block)
            yield block
