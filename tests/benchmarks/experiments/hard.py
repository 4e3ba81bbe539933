"""What makes the spans of the test hard: noises and a telephone that no training heard.

Training adds coloured noise, another speed and G.711 (`models/data/augment.py`), and its pool was spoilt by white noise and babble. The test has
music that callers hear while they wait, and an engine (half of the spans each), and the codec of mobile telephones, AMR narrow band.
A spoilt span is a wav of its own, which recognisers and students hear alike.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.experiments.spans import Span
from benchmarks.mixed import Made, Mixed, kept
from speech import noise
from speech.cache import cache_root, made_once
from speech.debian import unpack
from speech.waves import RATE, Pcm, decode, read_wave, write_wave
from voxmill.manifests.ids import digest

Condition = Literal["clean", "noise_10", "noise_5", "noise_0", "telephone"]
CONDITIONS: tuple[Condition, ...] = ("clean", "noise_10", "noise_5", "noise_0", "telephone")
VERSION = 1
"""Raise it with any change of what is made."""
MUSIC, ATTRIBUTION = "asterisk-moh-opsound-g722", "Asterisk music on hold, opsound.org, CC-BY-SA-3.0"
BIT_RATE, BAND = 6700, (200.0, 3400.0)
"""Of the telephone: bits a second, and what its microphone lets through (Hz)."""


def spoilt(spans: Sequence[Span], condition: Condition) -> list[Mixed]:
    """A recording for each span, in their order, under its key. Made once."""
    name = digest([str(VERSION), condition, *(one.key for one in spans)])[:16]
    recordings, _ = kept(cache_root() / "student-test" / f"{condition}-{name}", partial(_make, spans, condition))
    return recordings


def _make(spans: Sequence[Span], condition: Condition) -> Iterator[Made]:
    for one in spans:
        yield one.key, condition, spoil(one.audio(), condition, one.key), ()


def spoil(samples: Pcm, condition: Condition, name: str) -> Pcm:
    """The samples of a span under a condition; noise and its place follow from the span's name."""
    if condition == "clean":
        return samples
    if condition == "telephone":
        return telephone(samples)
    rng = np.random.default_rng(int(digest([condition, name])[:12], 16))
    make = (music, engine)[int(digest(["noise", name])[:8], 16) % 2]
    return noise.add_noise(samples, [(0, len(samples))], make(len(samples), rng), float(condition.removeprefix("noise_")))


def music(length: int, rng: np.random.Generator) -> noise.Wave:
    """A stretch of a piece, of power 1; silent stretches are not taken."""
    while True:
        piece = tunes()[int(rng.integers(len(tunes())))]
        start = int(rng.integers(max(1, len(piece) - length)))
        wave = np.resize(piece[start : start + length], length).astype(np.float64)
        if (level := noise.power(wave)) > 100.0**2:
            scaled: noise.Wave = wave / np.sqrt(level)
            return scaled


def engine(length: int, rng: np.random.Generator) -> noise.Wave:
    """An engine whose speed drifts, of power 1: forty harmonics of 25 to 60 Hz, and a clatter at each turn."""
    drift = np.interp(np.arange(length), np.linspace(0, length, 12), rng.uniform(0.8, 1.25, 12))
    turns = np.cumsum(rng.uniform(25, 60) * drift) / RATE
    wave = sum(rng.uniform(0.3, 1) / k**0.6 * np.sin(2 * np.pi * (k * turns + rng.uniform())) for k in range(1, 41))
    wave = wave + 2 * rng.standard_normal(length) * np.exp(-12 * (turns % 1.0))
    found: noise.Wave = wave / np.sqrt(np.mean(wave**2))
    return found


@cache
def tunes() -> list[Pcm]:
    """The pieces, as asterisk plays them (G.722, 7 kHz)."""
    home = made_once(cache_root() / "speech" / MUSIC, _fetch)
    return [read_wave(path) for path in sorted(home.glob("*.wav"))]


def _fetch(work: Path) -> None:
    unpack([MUSIC], work)
    for path in sorted(work.rglob("*.g722")):
        write_wave(work / f"{path.stem}.wav", decode(path, container="g722"))


def telephone(samples: Pcm) -> Pcm:
    """What arrives at the other end: the same number of samples, of 8 kHz, coded and decoded."""
    import av

    sink = io.BytesIO()
    with av.open(sink, "w", format="amr") as out:
        stream = out.add_stream("libopencore_amrnb", rate=8000, layout="mono")
        stream.bit_rate = BIT_RATE
        frame = av.AudioFrame.from_ndarray(noise.band_limit(samples, *BAND)[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(format="s16", layout="mono", rate=8000, frame_size=160)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    heard = decode(io.BytesIO(sink.getvalue()), container="amr")
    return np.resize(np.pad(heard, (0, max(0, len(samples) - len(heard)))), len(samples)).astype(np.int16)
