"""Whisper as whisperX loads it, which adds forced alignment of words.

whisperX's own `transcribe` gives one text and one score a window, no word times and no language probability. The model that it loads
gives all of them, so that is what is run, by the code of `faster_whisper.py`: the texts are the same. Torch and the rest of what
whisperX imports are only loaded where an aligner, or a GPU, needs them.
"""

from __future__ import annotations

from typing import Any, Literal

from voxmill.operators.contract.adapters import AudioClip, Span, Transcript
from voxmill.operators.transcribe.alignment import Aligner
from voxmill.operators.transcribe.engine_config import EngineName
from voxmill.operators.transcribe.faster_whisper import FasterWhisper, WhisperSettings
from voxmill.operators.vendors.whisperx_model import whisper_model_class


class WhisperXConfig(WhisperSettings):
    """Whisper, by whisperX: about a hundred languages, with a time and a probability for every word."""

    modules = ("whisperx",)  # which requires faster_whisper
    kind: Literal["whisperx"] = "whisperx"
    name: EngineName = "whisperx"
    aligners: dict[str, str] = {}
    """Language -> folder of a wav2vec2 CTC model, for whisperX's forced alignment; else words have cross-attention times."""


class WhisperX(FasterWhisper):
    """One loaded Whisper model, and an aligner for each language that has one."""

    def __init__(self, config: WhisperXConfig) -> None:
        super().__init__(config)
        self._aligners = {language: Aligner(language, path, config.device) for language, path in config.aligners.items()}

    def _model_class(self) -> Any:
        if self._config.device == "cuda":
            import torch  # noqa: F401 - CTranslate2 finds cuBLAS and cuDNN where torch, whose packages hold them, has loaded them
        return whisper_model_class()

    def _align(self, clip: AudioClip, span: Span, transcript: Transcript) -> Transcript:
        aligner = self._aligners.get(transcript.language or "")
        return aligner(clip.audio, span, transcript) if aligner else transcript
