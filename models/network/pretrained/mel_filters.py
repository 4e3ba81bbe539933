"""Slaney's mel filters, as librosa makes them: those of Whisper and of ESPnet's features.

Shape suffixes: Q frequency bins, M mel bins.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from voxmill.manifests.records import SAMPLE_RATE

_LINEAR_HZ, _LINEAR_BANDS, _LOG_STEP = 1000.0, 15.0, math.log(6.4) / 27
"""Slaney's mel scale: linear up to 1 kHz, which is band 15, and then 27 bands for each factor of 6.4."""


@cache
def slaney_filters(num_mels: int, window: int) -> Tensor:
    """Triangular filters of equal area from 0 to 8 kHz over the spectrum of so many samples, shape (Q, M) with Q = window / 2 + 1."""
    top = _mel(SAMPLE_RATE / 2)
    edges = torch.tensor([_hertz(top * index / (num_mels + 1)) for index in range(num_mels + 2)], dtype=torch.float64)
    left_M, centre_M, right_M = edges[:-2], edges[1:-1], edges[2:]
    hertz_Q1 = torch.linspace(0, SAMPLE_RATE / 2, window // 2 + 1, dtype=torch.float64)[:, None]
    up_QM, down_QM = (hertz_Q1 - left_M) / (centre_M - left_M), (right_M - hertz_Q1) / (right_M - centre_M)
    return (torch.minimum(up_QM, down_QM).clamp_min(0) * 2 / (right_M - left_M)).float()


def _mel(hertz: float) -> float:
    if hertz < _LINEAR_HZ:
        return hertz * _LINEAR_BANDS / _LINEAR_HZ
    return _LINEAR_BANDS + math.log(hertz / _LINEAR_HZ) / _LOG_STEP


def _hertz(mel: float) -> float:
    if mel < _LINEAR_BANDS:
        return mel * _LINEAR_HZ / _LINEAR_BANDS
    return _LINEAR_HZ * math.exp(_LOG_STEP * (mel - _LINEAR_BANDS))
