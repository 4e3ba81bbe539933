"""Sixteen-bit mono samples: decoding any file to them, storing them as wav, and joining them into recordings."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Samples per second of every array here (Hz)."""

Pcm = NDArray[np.int16]
"""Mono samples, shape (num_samples,)."""


def decode(source: Path | BinaryIO, container: str | None = None) -> Pcm:
    """Any audio file as 16 kHz mono; `container` names the format of files without a header, such as `g722`."""
    import av

    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    blocks: list[Pcm] = []
    with av.open(str(source) if isinstance(source, Path) else source, format=container) as opened:
        for frame in opened.decode(audio=0):
            blocks += [block.to_ndarray()[0] for block in resampler.resample(frame)]
        blocks += [block.to_ndarray()[0] for block in resampler.resample(None)]
    return np.concatenate(blocks) if blocks else np.zeros(0, np.int16)


def read_wave(path: Path) -> Pcm:
    """A 16 kHz mono 16-bit wav, as `write_wave` stores it."""
    with wave.open(str(path), "rb") as source:
        if (source.getframerate(), source.getnchannels(), source.getsampwidth()) != (RATE, 1, 2):
            raise ValueError(f"{path} is not 16 kHz mono 16 bit")
        return np.frombuffer(source.readframes(source.getnframes()), "<i2").astype(np.int16)


def write_wave(path: Path, samples: Pcm) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.astype("<i2").tobytes())


def join(clips: Sequence[Pcm], pauses: Sequence[int]) -> tuple[Pcm, list[tuple[int, int]]]:
    """`pauses[0]`, clip, `pauses[1]`, clip, …, last pause: one pause more than clips. Also each clip's `[start, end)`.

    >>> joined, spans = join([np.ones(3, np.int16)], [2, 1])
    >>> joined.tolist(), spans
    ([0, 0, 1, 1, 1, 0], [(2, 5)])
    """
    if len(pauses) != len(clips) + 1:
        raise ValueError(f"{len(clips)} clips need {len(clips) + 1} pauses, not {len(pauses)}")
    out = np.zeros(sum(pauses) + sum(map(len, clips)), np.int16)
    spans, position = [], 0
    for clip, pause in zip(clips, pauses, strict=False):
        start = position + pause
        position = start + len(clip)
        out[start:position] = clip
        spans.append((start, position))
    return out, spans
