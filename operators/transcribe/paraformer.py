"""Paraformer through FunASR: a non-autoregressive recogniser with a time for every character or word."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import Any, Literal

from pydantic import Field

from voxmill.operators.contract.adapters import AudioClip, Span, Transcript
from voxmill.operators.transcribe.engine_config import EngineName, EngineSettings
from voxmill.operators.transcribe.funasr import FunAsr, Raw
from voxmill.operators.vendors.funasr_text import joined, timed


class ParaformerConfig(EngineSettings):
    """Paraformer, by FunASR: Mandarin (`paraformer-zh`, with word times) or English (`paraformer-en`)."""

    modules = ("funasr", "torch")
    kind: Literal["paraformer"] = "paraformer"
    name: EngineName = "paraformer"
    model: str = "paraformer-zh"
    compute_type: Literal["auto", "float32"] = "auto"
    languages: tuple[str, ...] = ("zh",)
    """What the weights know; `[en]` with `paraformer-en`. A single one is stated in the result: Paraformer detects none."""
    batch_seconds: float = Field(default=60.0, gt=0)
    """Audio in a batch, padding included (s)."""


class Paraformer:
    """A `Transcriber`: one loaded Paraformer. Confidence is exp(mean log-probability) of a span's tokens."""

    def __init__(self, config: ParaformerConfig) -> None:
        self._funasr = FunAsr(config, config.batch_seconds)
        self.model = self._funasr.model
        self._language = config.languages[0] if len(config.languages) == 1 else None
        self._confidences: list[float | None] = []
        self._funasr.network.decoder.register_forward_hook(self._listen)

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """One list per clip, one transcript per span, in order."""
        return self._funasr.transcribe(clips, self._read)

    def _listen(self, decoder: Any, inputs: tuple[Any, ...], outputs: tuple[Any, ...]) -> None:
        """FunASR does not return token probabilities: they come from the logits of the decoder (batch, tokens, vocabulary)."""
        counts, network = inputs[3], self._funasr.network
        best, tokens = outputs[0].log_softmax(-1).max(-1)
        said = sum(tokens == special for special in (network.blank_id, network.sos, network.eos)) == 0
        rows = zip(best, said, counts.tolist(), strict=True)
        self._confidences = [
            exp(float(row[:count][spoken[:count]].mean())) if spoken[:count].any() else None for row, spoken, count in rows
        ]

    def _read(self, raws: Sequence[Raw], spans: Sequence[Span]) -> list[Transcript]:
        confidences, self._confidences = self._confidences or [None] * len(raws), []
        return [self._transcript(*result) for result in zip(raws, spans, confidences, strict=True)]

    def _transcript(self, raw: Raw, span: Span, confidence: float | None) -> Transcript:
        pieces = raw["text"].split()
        return Transcript(
            text=joined(pieces),
            words=timed(pieces, raw.get("timestamp", []), span),
            confidence=confidence if pieces else None,
            language=self._language,
        )
