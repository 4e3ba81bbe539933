"""Loads whisperX's `WhisperModel` without the rest of its module.

`whisperx.asr` also defines a pipeline on `transformers` and imports two voice activity detectors: torch, torchaudio, pyannote,
lightning, pandas and thousands of modules more, which cost over ten times what the class and its weights do.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

from voxmill.operators.vendors.one_class import load_class


def whisper_model_class() -> Any:
    """whisperX's subclass of `faster_whisper.WhisperModel`. Raises ModuleNotFoundError where whisperX is not installed."""
    os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")  # for a version that is imported whole: pyannote would call home
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchcodec complains of a missing ffmpeg, which is not used here
        return load_class("whisperx.asr", "WhisperModel")
