"""Scenes for labellers: segments of one recording, with audio or with words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voxmill.manifests.records import Consensus, Hypothesis, Licence, Part, Provenance, Recording, Segment
from voxmill.operators.contract.adapters import LabelInput, Scene

RATE = 16_000


def recording(num_samples: int, language: str | None = None) -> Recording:
    return Recording("r", "i", Provenance("s", "a.wav"), Licence(), "a.wav", num_samples=num_samples, language=language)


def heard(spans: Sequence[tuple[float, float]], audio: NDArray[np.float32], kind: str = "speech") -> Scene:
    """Spans in seconds of the audio."""
    segments = [Segment(f"s{i}", "r", int(a * RATE), int((b - a) * RATE), kind=kind) for i, (a, b) in enumerate(spans)]  # type: ignore[arg-type]
    part = Part("r", 0, len(audio))
    start = segments[0].start
    return Scene(recording(len(audio)), part, tuple(map(LabelInput, segments)), audio[start:], start)


def read(texts: Sequence[str], language: str = "en", stated: str | None = None, hypotheses: Sequence[Hypothesis] = ()) -> Scene:
    """One second per text, one after the other."""
    utterances = []
    for i, text in enumerate(texts):
        segment = Segment(f"s{i}", "r", i * RATE, RATE)
        said = Consensus(
            segment.id, text, "only_engine", language, 0.9, None, None, "word", ("e",), (text,), "1", (), 0, 0.9, 9.0, 1.0, 1
        )
        utterances.append(LabelInput(segment, said, tuple(h for h in hypotheses if h.segment_id == segment.id)))
    total = RATE * len(texts)
    return Scene(recording(total, stated), Part("r", 0, total), tuple(utterances))


def noise(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32)
