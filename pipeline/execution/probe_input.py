"""A piece of work that a sound machine can do: asked where a stage has failed on all that it was given.

Ten odd files alone in a source all fail alike, and so do all files where a set-up is broken: comparing inputs with each other does
not tell these apart. A few seconds of plain sound do.
"""

from __future__ import annotations

import math
import tempfile
import wave
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxmill.manifests.ids import segment_id
from voxmill.manifests.records import SAMPLE_RATE, Licence, Part, Provenance, Recording, Segment
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.pipeline.stage import StageKind

SECONDS = 5


@contextmanager
def plain_work(kind: StageKind, language: str | None = None) -> Iterator[UnitInput | None]:
    """One recording of a buzz that comes and goes like a voice; None for stages that read more than sound."""
    if not kind.hears:
        yield None
        return
    samples = SECONDS * SAMPLE_RATE
    with tempfile.TemporaryDirectory(prefix="voxmill-plain-") as folder:
        path = Path(folder) / "plain.wav"
        _write(path, samples)
        recording = Recording(
            "plain",
            "plain",
            Provenance("plain", "plain.wav"),
            Licence(),
            str(path),
            path.stat().st_size,
            samples,
            language=language,
        )
        if kind.of_items:
            yield UnitInput("plain", recordings=(recording,))
            return
        segments = (
            () if kind.rows in ("tiles", "parts") else (Segment(segment_id("plain", 0, samples), "plain", 0, samples, 1.0),)
        )
        yield UnitInput("plain", recordings=(recording,), parts=(Part("plain", 0, samples),), segments=segments)


def _write(path: Path, samples: int) -> None:
    values = array("h")
    for n in range(samples):
        time = n / SAMPLE_RATE
        loud = 4000 * max(0.0, math.sin(2 * math.pi * 2 * time))
        values.append(int(loud * sum(math.sin(2 * math.pi * 120 * k * time) / k for k in range(1, 9)) / 2))
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(values.tobytes())
