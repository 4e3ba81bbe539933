"""16 kHz mono samples to FLAC bytes and back, without loss after the first rounding to 16 bits."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from voxmill.manifests.records import SAMPLE_RATE

Audio = NDArray[np.float32]
"""Mono samples at 16 kHz in [-1, 1], shape (num_samples,)."""

_FULL_SCALE = 32768


def encode(audio: Audio) -> bytes:
    """FLAC, 16 bit. The same samples give the same bytes with one version of libsndfile on one type of CPU.

    Raises ValueError on no samples, another shape, or a NaN.
    """
    if audio.ndim != 1 or not audio.size:
        raise ValueError(f"expected mono samples of shape (n,) with n > 0, got {audio.shape}")
    if not np.isfinite(audio).all():
        raise ValueError("the audio holds NaN or infinite samples")
    pcm = np.clip(np.rint(audio * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
    sink = io.BytesIO()
    soundfile.write(sink, pcm, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return sink.getvalue()


def decode(blob: bytes) -> Audio:
    """The samples as float32, shape (num_samples,). Raises ValueError on bytes that are no 16 kHz mono audio."""
    try:
        audio, rate = soundfile.read(io.BytesIO(blob), dtype="float32")
    except soundfile.LibsndfileError as error:
        raise ValueError(f"not decodable: {error}") from error
    if rate != SAMPLE_RATE or audio.ndim != 1:
        raise ValueError(f"expected {SAMPLE_RATE} Hz mono, got {rate} Hz and shape {audio.shape}")
    result: Audio = audio
    return result
