"""The stage `transcribe:<engine>`: reads the audio of each part once and gives its segments to one engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field

from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Hypothesis, Part, Segment, Word
from voxmill.operators.contract.adapters import AudioClip, Span, Transcriber, Transcript
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.contract.user_code import kinds_of, resolved
from voxmill.operators.decode.audio import Playback, read
from voxmill.operators.transcribe.captions import CaptionsConfig
from voxmill.operators.transcribe.faster_whisper import FasterWhisper, FasterWhisperConfig
from voxmill.operators.transcribe.given import GivenConfig
from voxmill.operators.transcribe.moonshine import Moonshine, MoonshineConfig
from voxmill.operators.transcribe.onnx_asr import OnnxAsr, OnnxAsrConfig
from voxmill.operators.transcribe.openai import OpenAi, OpenAiConfig
from voxmill.operators.transcribe.paraformer import Paraformer, ParaformerConfig
from voxmill.operators.transcribe.pocketsphinx import PocketSphinx, PocketSphinxConfig
from voxmill.operators.transcribe.qwen3_asr import Qwen3Asr, Qwen3AsrConfig
from voxmill.operators.transcribe.sensevoice import SenseVoice, SenseVoiceConfig
from voxmill.operators.transcribe.sherpa_onnx import SherpaOnnx, SherpaOnnxConfig
from voxmill.operators.transcribe.transformers import Transformers, TransformersConfig
from voxmill.operators.transcribe.user_engine import UserEngineConfig, make_engine
from voxmill.operators.transcribe.whisperx import WhisperX, WhisperXConfig

EngineConfig = Annotated[
    WhisperXConfig
    | FasterWhisperConfig
    | MoonshineConfig
    | ParaformerConfig
    | SenseVoiceConfig
    | OnnxAsrConfig
    | SherpaOnnxConfig
    | TransformersConfig
    | Qwen3AsrConfig
    | OpenAiConfig
    | PocketSphinxConfig
    | GivenConfig
    | CaptionsConfig
    | UserEngineConfig,
    Field(discriminator="kind"),
    BeforeValidator(lambda data: resolved(data, "voxmill.transcribers", kinds_of(EngineConfig))),
]
"""One entry of `transcribe:` in a config, told apart by `kind`. A new engine is a new file, listed here and in `load`."""

DIGITS = 5
"""Decimals of confidences; more would differ between machines."""


def load(config: EngineConfig) -> Transcriber:
    """The engine that the settings describe, with its weights in memory. Raises WeightsMissing."""
    match config:
        case WhisperXConfig():
            return WhisperX(config)
        case FasterWhisperConfig():
            return FasterWhisper(config)
        case MoonshineConfig():
            return Moonshine(config)
        case ParaformerConfig():
            return Paraformer(config)
        case SenseVoiceConfig():
            return SenseVoice(config)
        case OnnxAsrConfig():
            return OnnxAsr(config)
        case SherpaOnnxConfig():
            return SherpaOnnx(config)
        case TransformersConfig():
            return Transformers(config)
        case Qwen3AsrConfig():
            return Qwen3Asr(config)
        case OpenAiConfig():
            return OpenAi(config)
        case PocketSphinxConfig():
            return PocketSphinx(config)
        case UserEngineConfig():
            return make_engine(config)
        case GivenConfig() | CaptionsConfig():
            raise ValueError(f"`{config.kind}` is no recogniser: its transcripts come with the recordings")


class Transcribe:
    """One engine on one unit: one hypothesis per segment, in the order of the unit."""

    def __init__(self, config: EngineConfig, engine: Transcriber | None = None) -> None:
        self._config = config
        self._engine = engine or load(config)

    @property
    def model(self) -> str:
        """The engine's weights: name and revision or hash."""
        return self._engine.model

    def __call__(self, work: UnitInput) -> list[Hypothesis]:
        """Errors of the engine pass through: the pipeline then splits the unit to find the segment at fault."""
        languages = {recording.id: recording.language for recording in work.recordings}
        heard: dict[str, Hypothesis] = {}
        jobs = []
        for part in work.parts:
            found = _within(part, work.segments)
            heard |= {segment.id: self._event(segment) for segment in found if segment.kind == "event"}
            segments = [segment for segment in found if segment.kind == "speech"]
            if not self._config.hears(languages[part.recording_id]):
                heard |= {segment.id: self._skipped(segment, languages[part.recording_id]) for segment in segments}
            elif segments:
                jobs.append(_Job.of(segments, Playback.of(work.recording(part.recording_id)), languages[part.recording_id]))
        for job, transcripts in zip(jobs, self._engine.transcribe([job.clip for job in jobs]), strict=True):
            for segment, transcript in zip(job.segments, transcripts, strict=True):
                heard[segment.id] = self._hypothesis(segment, transcript, job.start)
        return [heard[segment.id] for segment in work.segments]

    def _hypothesis(self, segment: Segment, transcript: Transcript, offset: int) -> Hypothesis:
        words = transcript.words
        return Hypothesis(
            segment.id,
            self._config.name,
            self._engine.model,
            transcript.text,
            words=None
            if words is None
            else tuple(Word(w.text, offset + w.start, offset + w.end, _round(w.confidence)) for w in words),
            confidence=_round(transcript.confidence),
            language=transcript.language,
            language_confidence=_round(transcript.language_confidence),
            no_speech=_round(transcript.no_speech),
            rejection=None if transcript.refusal is None else reject("transcribe.no_answer", transcript.refusal),
        )

    def _event(self, segment: Segment) -> Hypothesis:
        return Hypothesis(segment.id, self._config.name, self._engine.model, "", rejection=reject("transcribe.event"))

    def _skipped(self, segment: Segment, language: str | None) -> Hypothesis:
        rejection = reject("transcribe.language", f"{language} is not one of {', '.join(self._config.languages)}")
        return Hypothesis(segment.id, self._config.name, self._engine.model, "", rejection=rejection)


@dataclass(frozen=True, slots=True)
class _Job:
    """The segments of one part, and the audio from the first to the last of them; `start` is its first sample."""

    segments: Sequence[Segment]
    start: int
    clip: AudioClip

    @classmethod
    def of(cls, segments: Sequence[Segment], how: Playback, language: str | None) -> _Job:
        start, end = segments[0].start, max(segment.end for segment in segments)
        spans = tuple(Span(segment.start - start, segment.end - start) for segment in segments)
        return cls(segments, start, AudioClip(read(how, start, end - start), spans, language))


def _within(part: Part, segments: Sequence[Segment]) -> list[Segment]:
    of_part = [s for s in segments if s.recording_id == part.recording_id and part.start <= s.start < part.end]
    return sorted(of_part, key=lambda segment: segment.start)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
