"""Bad media, made of real speech: cut short, mislabelled, mis-headed, far too small, far too large once decoded."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import numpy as np

from demo.encode import encode
from speech.waves import RATE, Pcm

FORMATS = {
    "wav": ("pcm_s16le", None),
    "flac": ("flac", None),
    "mp3": ("libmp3lame", 64_000),
    "opus": ("libopus", 32_000),
    "m4a": ("aac", 64_000),
    "webm": ("libopus", 32_000),
}
"""Suffix to the codec and bit rate of the six formats that are cut short."""


def encoded(path: Path, samples: Pcm) -> Path:
    """Speech in the format of the path's suffix."""
    codec, bit_rate = FORMATS[path.suffix[1:]]
    rate = 48_000 if codec == "libopus" else RATE
    return encode(
        path, samples, codec, rate=rate, bit_rate=bit_rate, container={".opus": "ogg", ".m4a": "mp4"}.get(path.suffix)
    )


def cut(path: Path, share: float) -> Path:
    """The file without its end."""
    content = path.read_bytes()
    path.write_bytes(content[: max(1, int(len(content) * share))])
    return path


def wav(samples: Pcm, channels: int = 1) -> bytes:
    """A wav file; more channels are that many copies."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.repeat(samples[:, None], channels, axis=1).astype("<i2").tobytes())
    return out.getvalue()


def patched(content: bytes, offset: int, form: str, value: int) -> bytes:
    """A file with one number in its header changed."""
    out = bytearray(content)
    struct.pack_into(form, out, offset, value)
    return bytes(out)


def zero_rate(samples: Pcm) -> bytes:
    """0 Hz, and so 0 bytes a second."""
    return patched(patched(wav(samples), 24, "<I", 0), 28, "<I", 0)


def zero_channels(samples: Pcm) -> bytes:
    return patched(wav(samples), 22, "<H", 0)


def claims_gigabytes(samples: Pcm) -> bytes:
    """A header that promises 4 GB of samples where a few seconds follow."""
    return patched(patched(wav(samples), 4, "<I", 0xFFFFFFF0), 40, "<I", 0xFFFFFFCC)


def long_tag(samples: Pcm) -> bytes:
    """Eight megabytes of a chunk that nobody needs before the samples."""
    content = wav(samples)
    chunk = b"JUNK" + struct.pack("<I", 8_000_000) + b"\0" * 8_000_000
    return patched(content[:12] + chunk + content[12:], 4, "<I", len(content) + len(chunk) - 8)


def tag_that_lies() -> bytes:
    """An MP3 whose ID3 tag says that it is 256 MB long, and nothing after it."""
    return b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + b"\0" * 2000


def flac_bomb(path: Path, hours: float) -> Path:
    """Hours of digital silence: 4096 samples in each frame of 14 bytes, at a kilohertz."""
    import soundfile

    with soundfile.SoundFile(path, "w", 1000, 1, format="FLAC", subtype="PCM_16") as out:
        out.write(np.zeros(int(hours * 3_600_000), np.int16))
    return path


def opus_bomb(path: Path, hours: float) -> Path:
    """Packets of one byte: two empty frames of 60 ms each, "nothing was sent", which decode to 120 ms of silence."""
    import av

    with av.open(str(path), "w", format="ogg", options={"fflags": "+bitexact", "page_duration": "60000000"}) as out:
        stream = out.add_stream("libopus", rate=48_000, layout="mono")
        stream.codec_context.open()
        for number in range(int(hours * 3600 / 0.12)):
            packet = av.Packet(b"\x19")
            packet.stream, packet.time_base = stream, stream.codec_context.time_base
            packet.pts = packet.dts = number * 5760
            packet.duration = 5760
            out.mux(packet)
    return path


def video_only(path: Path) -> Path:
    """A short film without sound."""
    import av

    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in range(20):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade * 10, np.uint8), format="rgb24")
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path


def picture(path: Path) -> Path:
    """A PNG, under whatever name."""
    import av

    with av.open(str(path), "w", format="image2", options={"update": "1"}) as out:
        stream = out.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode(None))
    return path


def noise(seconds: float) -> Pcm:
    """A room without a speaker."""
    return np.random.default_rng(7).normal(0, 60, int(seconds * RATE)).astype(np.int16)
