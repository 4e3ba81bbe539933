"""Whisper as whisperX loads it, which adds forced alignment of words, torch, and a quarter of a minute to the start of a worker.

whisperX's own `transcribe` gives one text and one score a window, no word times and no language probability. The faster-whisper
model that it loads gives all of them, so that is what is run, by the code of `faster_whisper.py`: the texts are the same.
"""

from __future__ import annotations

import os
import warnings
from typing import Any, Literal

from voxmill.operators.contract.adapters import AudioClip, Span, Transcript
from voxmill.operators.transcribe.alignment import Aligner
from voxmill.operators.transcribe.engine_config import EngineName
from voxmill.operators.transcribe.faster_whisper import FasterWhisper, WhisperSettings


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
        os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")  # whisperx imports pyannote, which would call home
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchcodec complains of a missing ffmpeg, which is not used here
            from whisperx.asr import WhisperModel

        return WhisperModel

    def _align(self, clip: AudioClip, span: Span, transcript: Transcript) -> Transcript:
        aligner = self._aligners.get(transcript.language or "")
        return aligner(clip.audio, span, transcript) if aligner else transcript
