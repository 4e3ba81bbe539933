"""Videos whose pictures tell their time: every second has a grey of its own, with sound beside it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.video.frame import VideoFrame
from numpy.typing import NDArray

STEP = 10
"""Grey levels between two seconds."""


def film(
    path: Path,
    sound: NDArray[np.float32],
    *,
    seconds: float | None = None,
    fps: int = 10,
    size: tuple[int, int] = (96, 64),
    codec: str = "libx264",
) -> Path:
    """`sound` at 16 kHz as AAC, with pictures for `seconds` (as long as the sound where None), a key frame every two seconds."""
    length = len(sound) / 16_000 if seconds is None else seconds
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as out:
        video: Any = out.add_stream(codec, rate=fps, options={"g": str(2 * fps)})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio = out.add_stream("aac", rate=16_000, layout="mono")
        pcm = np.rint(np.clip(sound, -1, 1) * 32767).astype(np.int16)
        whole = AudioFrame.from_ndarray(pcm[None], "s16", "mono")
        whole.sample_rate, whole.pts, whole.time_base = 16_000, 0, Fraction(1, 16_000)
        resampler = AudioResampler(audio.format, "mono", 16_000, frame_size=audio.codec_context.frame_size)
        packets = []
        for index in range(int(length * fps)):
            grey = np.full((size[1], size[0], 3), 20 + STEP * (index // fps % 20), np.uint8)
            picture = VideoFrame.from_ndarray(grey, "rgb24")
            picture.pts, picture.time_base = index, Fraction(1, fps)
            packets += video.encode(picture)
        packets += video.encode(None)
        place = 0
        for block in [*resampler.resample(whole), *resampler.resample(None)]:
            block.pts, block.time_base, place = place, Fraction(1, 16_000), place + block.samples
            packets += audio.encode(block)
        packets += audio.encode(None)
        for packet in sorted(packets, key=lambda p: float(p.dts * p.time_base)):
            out.mux(packet)
    return path


def second_of(jpeg: bytes) -> float:
    """Which second a picture of a film shows."""
    decoder: Any = av.CodecContext.create("mjpeg", "r")
    frames: list[Any] = decoder.decode(av.Packet(jpeg)) + decoder.decode(None)
    [frame] = frames
    return (float(frame.to_ndarray(format="rgb24").mean()) - 20) / STEP
