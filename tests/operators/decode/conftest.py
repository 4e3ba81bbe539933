"""Media files made on the spot: real speech from a package, through PyAV's encoders."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from speech.packaged import TWO_CITIES
from voxmill.operators.decode.held_audio import HELD

Samples = NDArray[Any]
"""16 kHz, shape (num_samples,) or (num_samples, channels); float in [-1, 1] or int16."""

Encode = Callable[..., Path]


@pytest.fixture(autouse=True)
def _decoded_anew(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What tests compare is decoded each time, but for the tests of what is held."""
    if request.module.__name__.rpartition(".")[2] != "test_held_audio":
        monkeypatch.setattr(HELD, "limit", 0)


@pytest.fixture(scope="session")
def speech() -> NDArray[np.float32]:
    """44 seconds of one reader, 16 kHz mono."""
    return (TWO_CITIES.samples() / 32768).astype(np.float32)


@pytest.fixture(scope="session")
def encode(tmp_path_factory: pytest.TempPathFactory) -> Encode:
    folder = tmp_path_factory.mktemp("media")

    def encode(
        name: str,
        samples: Samples,
        codec: str,
        *,
        rate: int = 16_000,
        container: str | None = None,
        bit_rate: int | None = None,
        quality: int | None = None,
        layout: str | None = None,
        options: dict[str, str] | None = None,
        fragmented: bool = False,
        muxer: dict[str, str] | None = None,
    ) -> Path:
        """The file `name`: `samples` are at 16 kHz, the file at `rate`; `quality` asks for a variable bit rate."""
        if samples.dtype != np.int16:
            samples = np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)
        samples = samples[:, None] if samples.ndim == 1 else samples
        layout = layout or {1: "mono", 2: "stereo"}[samples.shape[1]]
        movflags = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "2000000"} if fragmented else {}
        path = folder / name
        with av.open(str(path), "w", format=container, options={"fflags": "+bitexact", **movflags, **(muxer or {})}) as out:
            stream = out.add_stream(codec, rate=rate, layout=layout, options=options or {})
            if bit_rate:
                stream.bit_rate = bit_rate
            if quality is not None:
                stream.codec_context.flags |= av.codec.context.Flags.qscale
                stream.codec_context.global_quality = quality * 118  # FF_QP2LAMBDA
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), "s16", layout)
            frame.sample_rate, frame.pts, frame.time_base = 16_000, 0, Fraction(1, 16_000)
            resampler = AudioResampler(stream.format, layout, rate, frame_size=stream.codec_context.frame_size or 1024)
            place = 0
            for block in [*resampler.resample(frame), *resampler.resample(None)] if len(samples) else []:
                block.pts, block.time_base, place = place, Fraction(1, rate), place + block.samples
                out.mux(stream.encode(block))
            out.mux(stream.encode(None))
        return path

    return encode
