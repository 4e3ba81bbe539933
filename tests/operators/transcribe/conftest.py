"""Real speech as engines are given it, and the error rate of what they make of it."""

from __future__ import annotations

import numpy as np
import pytest

from speech.packaged import TWO_CITIES, TWO_CITIES_SAID
from speech.waves import RATE
from voxmill.operators.contract.adapters import Audio, AudioClip, Span


@pytest.fixture(scope="session")
def reading() -> AudioClip:
    """44 seconds of Dickens, a span for each phrase that is read without a pause."""
    spans = tuple(Span(round(start * RATE), round(end * RATE)) for start, end, _ in TWO_CITIES_SAID)
    return AudioClip((TWO_CITIES.samples() / 32768).astype(np.float32), spans)


@pytest.fixture(scope="session")
def spoken() -> tuple[str, ...]:
    """What is said in each span of `reading`."""
    return tuple(words for _, _, words in TWO_CITIES_SAID)


@pytest.fixture(scope="session")
def hiss() -> Audio:
    """Three seconds without speech."""
    return np.random.default_rng(0).normal(0, 0.01, 3 * RATE).astype(np.float32)
