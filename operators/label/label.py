"""The stage `label:<name>`: one labeller on one unit, one opinion per segment. A labeller that is not configured costs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import BeforeValidator, Field

from voxmill.manifests.records import Annotation, Consensus, Finding, Hypothesis, Mark, Opinion, Part, Segment
from voxmill.operators.contract.adapters import LabelAnswer, LabelInput, Labeller, Scene
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.contract.user_code import kinds_of, resolved
from voxmill.operators.decode.audio import Playback, read
from voxmill.operators.label.audio_classes import AudioClasses, AudioClassesConfig
from voxmill.operators.label.diarisation import Diarisation, DiarisationConfig
from voxmill.operators.label.dnsmos import Dnsmos, DnsmosConfig
from voxmill.operators.label.emotion2vec import Emotion2Vec, Emotion2VecConfig
from voxmill.operators.label.endpoints import Endpoints, EndpointsConfig
from voxmill.operators.label.entities import SpacyEntities, SpacyEntitiesConfig, TokenEntities, TokenEntitiesConfig
from voxmill.operators.label.heard_language import HeardLanguage, HeardLanguageConfig
from voxmill.operators.label.sensevoice_labels import SenseVoiceTags, SenseVoiceTagsConfig
from voxmill.operators.label.speaker_turns import SpeakerTurns, SpeakerTurnsConfig
from voxmill.operators.label.stated import StatedLanguage, StatedLanguageConfig
from voxmill.operators.label.text_language import TextLanguage, TextLanguageConfig
from voxmill.operators.label.translation import Translation, TranslationConfig
from voxmill.operators.label.user_labeller import UserLabellerConfig, make_labeller

LabellerConfig = Annotated[
    StatedLanguageConfig
    | HeardLanguageConfig
    | TextLanguageConfig
    | SenseVoiceTagsConfig
    | Emotion2VecConfig
    | AudioClassesConfig
    | DnsmosConfig
    | SpeakerTurnsConfig
    | DiarisationConfig
    | EndpointsConfig
    | SpacyEntitiesConfig
    | TokenEntitiesConfig
    | TranslationConfig
    | UserLabellerConfig,
    Field(discriminator="kind"),
    BeforeValidator(lambda data: resolved(data, "voxmill.labellers", kinds_of(LabellerConfig))),
]
"""One entry of `label:` in a config, told apart by `kind`. A new labeller is a new file, listed here and in `load`."""

DIGITS = 4
"""Decimals of confidences and scores; more would differ between machines."""


def load(config: LabellerConfig) -> Labeller:
    """The labeller that the settings describe, with its weights in memory. Raises WeightsMissing."""
    match config:
        case StatedLanguageConfig():
            return StatedLanguage(config)
        case HeardLanguageConfig():
            return HeardLanguage(config)
        case TextLanguageConfig():
            return TextLanguage(config)
        case SenseVoiceTagsConfig():
            return SenseVoiceTags(config)
        case Emotion2VecConfig():
            return Emotion2Vec(config)
        case AudioClassesConfig():
            return AudioClasses(config)
        case DnsmosConfig():
            return Dnsmos(config)
        case SpeakerTurnsConfig():
            return SpeakerTurns(config)
        case DiarisationConfig():
            return Diarisation(config)
        case EndpointsConfig():
            return Endpoints(config)
        case SpacyEntitiesConfig():
            return SpacyEntities(config)
        case TokenEntitiesConfig():
            return TokenEntities(config)
        case TranslationConfig():
            return Translation(config)
        case UserLabellerConfig():
            return make_labeller(config)


class Label:
    """Runs one labeller on the parts of a unit; returns one `Opinion` per segment. Tasks that the config skips are not recorded."""

    def __init__(self, config: LabellerConfig, labeller: Labeller | None = None) -> None:
        self._config = config
        self._labeller = labeller or load(config)

    def __call__(self, work: UnitInput) -> list[Opinion]:
        said: dict[str, Opinion] = {}
        for scene in self._scenes(work):
            answers = self._labeller.label(scene)
            for utterance, its in zip(scene.utterances, answers, strict=True):
                said[utterance.segment.id] = self._opinion(utterance.segment, its)
        return [said.get(segment.id) or self._opinion(segment, ()) for segment in work.segments]

    def _scenes(self, work: UnitInput) -> Iterator[Scene]:
        """One scene per part, so that the audio of one part is in memory; parts without segments are not read."""
        consensus: dict[str, Consensus] = {one.segment_id: one for one in work.consensus}
        heard: dict[str, list[Hypothesis]] = {}
        for hypothesis in work.hypotheses:
            heard.setdefault(hypothesis.segment_id, []).append(hypothesis)
        for part in work.parts:
            segments = self._segments(part, work.segments)
            if not segments:
                continue
            utterances = tuple(LabelInput(s, consensus.get(s.id), tuple(heard.get(s.id, ()))) for s in segments)
            recording = work.recording(part.recording_id)
            scene = Scene(recording, part, utterances, start=segments[0].start)
            if self._config.hears:
                length = max(s.end for s in segments) - scene.start
                scene = replace(scene, audio=read(Playback.of(recording), scene.start, length))
            yield scene

    def _segments(self, part: Part, segments: Sequence[Segment]) -> list[Segment]:
        inside = [s for s in segments if s.recording_id == part.recording_id and part.start <= s.start < part.end]
        return sorted((s for s in inside if self._config.events or s.kind == "speech"), key=lambda s: s.start)

    def _opinion(self, segment: Segment, answers: Sequence[LabelAnswer]) -> Opinion:
        findings = tuple(self._finding(answer) for answer in answers if answer.task not in self._config.skip)
        return Opinion(segment.id, self._config.name, findings)

    def _finding(self, answer: LabelAnswer) -> Finding:
        if answer.marks is None:
            return Finding(answer.task, None, answer.reason)
        marks = tuple(map(_rounded, answer.marks))
        model = answer.model or self._labeller.model
        return Finding(answer.task, Annotation(marks, self._config.name, _round(answer.confidence), model))


def _rounded(mark: Mark) -> Mark:
    return replace(mark, confidence=_round(mark.confidence), score=_round(mark.score))


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), DIGITS)
