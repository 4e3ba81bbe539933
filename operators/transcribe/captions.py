"""The engine `captions`: subtitles and captions of a media file as one more opinion. It hears nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from voxmill.manifests.reasons import NOT_GIVEN, reject
from voxmill.manifests.records import Hypothesis, Part, Recording, Segment
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.cues import Cue, read_cues
from voxmill.operators.transcribe.caption_times import caption_offset, words_by_segment
from voxmill.operators.transcribe.engine_config import EngineName, EngineSettings


class CaptionsConfig(EngineSettings):
    """Subtitles and captions as an opinion: of a track of the media file, or of a `.vtt` or `.srt` file beside it on this machine.

    They are moved by what makes most of their time fall on speech (at most 10 s), for each part of a recording by itself.
    """

    kind: Literal["captions"] = "captions"
    name: EngineName = "captions"
    model: Literal[""] = ""
    """Nothing: there are no weights."""
    when: None = None
    """Nothing: what costs nothing is always asked."""


class CaptionTranscripts:
    """One hypothesis per segment, in the order of the unit: the words of the captions in it, or none. `model` states the offset."""

    def __init__(self, config: CaptionsConfig) -> None:
        self._config = config
        self._read: tuple[str, list[Cue]] | None = None

    def __call__(self, work: UnitInput) -> list[Hypothesis]:
        said = {one.segment_id: one for part in work.parts for one in self._of(part, work)}
        return [said.get(one.id) or self._without(one) for one in work.segments]

    def _of(self, part: Part, work: UnitInput) -> Iterator[Hypothesis]:
        recording = work.recording(part.recording_id)
        cues = self._cues(recording)
        segments = [
            one
            for one in work.segments
            if one.recording_id == part.recording_id and part.start <= one.start < part.end and one.kind == "speech"
        ]
        segments.sort(key=lambda one: one.start)
        if not cues or recording.apart:
            return
        offset = caption_offset(cues, segments)
        for key, text in words_by_segment(cues, segments, offset).items():
            yield Hypothesis(key, self._config.name, f"captions{offset:+.1f}s", text, language=recording.language)

    def _cues(self, recording: Recording) -> list[Cue]:
        """Those of the recording that was asked for last are kept: a long one comes in several units."""
        if self._read is None or self._read[0] != recording.id:
            self._read = recording.id, read_cues(recording.audio, recording.language) if recording.audio else []
        return self._read[1]

    def _without(self, segment: Segment) -> Hypothesis:
        reason = "transcribe.event" if segment.kind == "event" else NOT_GIVEN
        return Hypothesis(segment.id, self._config.name, "captions", "", rejection=reject(reason))
