"""SenseVoice through FunASR: text with times, and its language, emotion and event tags."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import Any, Literal

from pydantic import Field

from voxmill.operators.contract.adapters import AudioClip, Span, Transcript
from voxmill.operators.transcribe.engine_config import EngineName, EngineSettings
from voxmill.operators.transcribe.funasr import FunAsr, Raw
from voxmill.operators.vendors.funasr_text import timed
from voxmill.operators.vendors.sensevoice_tags import untag

TAG_FRAMES = 4
"""Encoder frames before the audio's own: language, emotion, event, text normalisation."""


class SenseVoiceConfig(EngineSettings):
    """SenseVoice, by FunASR: Mandarin, Cantonese, English, Japanese and Korean."""

    modules = ("funasr", "torch")
    kind: Literal["sensevoice"] = "sensevoice"
    name: EngineName = "sensevoice"
    model: str = "SenseVoiceSmall"
    compute_type: Literal["auto", "float32"] = "auto"
    numbers_as_digits: bool = False
    """Inverse text normalisation: digits and punctuation. Off, so that spoken words are compared."""
    batch_seconds: float = Field(default=60.0, gt=0)
    """Audio in a batch, padding included (s)."""


class SenseVoice:
    """A `Transcriber`: one loaded SenseVoice. Emotion and event are kept out of the text (see `sensevoice_tags.untag`)."""

    def __init__(self, config: SenseVoiceConfig) -> None:
        self._funasr = FunAsr(config, config.batch_seconds)
        self.model = self._funasr.model
        self._options = {
            "language": config.languages[0] if len(config.languages) == 1 else "auto",
            "use_itn": config.numbers_as_digits,
            "output_timestamp": True,
        }
        self._lengths: Any = None
        self._scores: list[tuple[float, float | None]] = []
        self._funasr.network.encoder.register_forward_hook(self._listen_encoder)
        self._funasr.network.ctc.ctc_lo.register_forward_hook(self._listen_ctc)

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """One list per clip, one transcript per span, in order."""
        return self._funasr.transcribe(clips, self._read, **self._options)

    def _listen_encoder(self, encoder: Any, inputs: tuple[Any, ...], outputs: tuple[Any, ...]) -> None:
        self._lengths, self._scores = outputs[1], []

    def _listen_ctc(self, layer: Any, inputs: tuple[Any, ...], logits: Any) -> None:
        """FunASR does not return probabilities: those of language and text come from the CTC logits (batch, frames, vocabulary)."""
        if self._scores:
            return  # the layer runs again for the time stamps
        best, tokens = logits.log_softmax(-1).max(-1)
        for row, said, length in zip(best, tokens != self._funasr.network.blank_id, self._lengths.tolist(), strict=True):
            text = row[TAG_FRAMES:length][said[TAG_FRAMES:length]]
            self._scores.append((exp(float(row[0])), exp(float(text.mean())) if len(text) else None))

    def _read(self, raws: Sequence[Raw], spans: Sequence[Span]) -> list[Transcript]:
        return [self._transcript(*result) for result in zip(raws, spans, self._scores, strict=True)]

    def _transcript(self, raw: Raw, span: Span, score: tuple[float, float | None]) -> Transcript:
        tagged, (language, text) = untag(raw["text"]), score
        return Transcript(
            text=tagged.text,
            words=timed(raw.get("words", []), raw.get("timestamp", []), span),
            confidence=text if tagged.text else None,
            language=None if tagged.silent else tagged.language,
            language_confidence=None if tagged.silent or not tagged.language else language,
            no_speech=language if tagged.silent else None,
        )
