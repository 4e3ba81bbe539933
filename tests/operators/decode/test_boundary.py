"""Whatever a header says or libav does, the outcome has a name, and nothing is said on the terminal."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voxmill.operators.decode.audio import read

from .conftest import Encode
from .test_lost_audio import riff
from .test_probe import probe, reason

RATE = 16_000
REFUSED = {"decode.corrupt", "decode.not_audio", "decode.empty"}


def patched(content: bytes, offset: int, form: str, value: int) -> bytes:
    out = bytearray(content)
    struct.pack_into(form, out, offset, value)
    return bytes(out)


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [
        (24, "<I", 738_205_504),
        (24, "<I", 0),
        (24, "<I", 1),
        (24, "<I", 0xFFFFFFFF),
        (22, "<H", 0),
        (22, "<H", 255),
        (22, "<H", 65_535),
        (34, "<H", 0),
        (34, "<H", 65_535),
        (20, "<H", 0xBEEF),
    ],
)
def test_absurd_numbers_in_a_header(offset: int, form: str, value: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(patched(riff(2 * RATE, 4 * RATE), offset, form, value))
    assert reason(probe(path)) in REFUSED


def _w64(good: bytes) -> bytes:
    return patched(good, good.index(b"fmt ") + 16, "<q", -(1 << 40))


def _caf(good: bytes) -> bytes:
    return good[:8] + b"free" + struct.pack(">q", -(1 << 20)) + good[8:]


def _wma(good: bytes) -> bytes:
    return patched(good, 46, "<q", -(1 << 33))


@pytest.mark.parametrize(
    ("name", "codec", "change"), [("a.w64", "pcm_s16le", _w64), ("a.caf", "pcm_s16le", _caf), ("a.wma", "wmav2", _wma)]
)
def test_a_chunk_that_leads_to_before_the_beginning(
    name: str,
    codec: str,
    change: Callable[[bytes], bytes],
    encode: Encode,
    speech: NDArray[np.float32],
    capfd: pytest.CaptureFixture[str],
) -> None:
    how = {"container": "asf", "bit_rate": 64_000} if codec == "wmav2" else {}
    good = encode(name, speech[: 2 * RATE], codec, rate=44_100, **how)
    bad = good.with_name(f"bad-{name}")
    bad.write_bytes(change(good.read_bytes()))
    assert reason(probe(bad)) in REFUSED
    assert capfd.readouterr().err == ""


def test_damage_in_a_stream_of_many_planar_channels(encode: Encode, speech: NDArray[np.float32]) -> None:
    """PyAV looks for a ninth plane of eight, and finds an address that is none."""
    eight = np.stack([speech[: 3 * RATE]] * 8, axis=1)
    good = encode("eight.m4a", eight, "aac", rate=48_000, container="mp4", layout="7.1")
    content = bytearray(good.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xff" * 3000
    bad = good.with_name("bad-eight.m4a")
    bad.write_bytes(content)
    recording = probe(bad)
    assert (reason(recording), recording.num_channels) == (None, 8)
    assert recording.lost_samples > 0


def sphere(coding: str, width: int, rate: int, count: int, data: bytes) -> bytes:
    head = (
        f"NIST_1A\n   1024\nsample_rate -i {rate}\nchannel_count -i 1\nsample_n_bytes -i {width}\nsample_byte_format -s2 01\n"
        f"sample_coding -s{len(coding)} {coding}\nsample_count -i {count}\nend_head\n"
    )
    return head.encode().ljust(1024) + data


def test_nist_sphere(encode: Encode, speech: NDArray[np.float32], tmp_path: Path) -> None:
    clip = np.rint(speech[: 3 * RATE] * 32767).astype("<i2")
    path = tmp_path / "a.sph"
    path.write_bytes(sphere("pcm", 2, RATE, len(clip), clip.tobytes()))
    recording = probe(path)
    assert (reason(recording), recording.container, recording.num_samples) == (None, "nistsphere", 3 * RATE)
    np.testing.assert_allclose(read(str(path)), clip / 32768, atol=1e-4)
    low = encode("low.wav", speech[: 3 * RATE], "pcm_mulaw", rate=8_000).read_bytes()
    path.write_bytes(sphere("ulaw", 1, 8_000, 3 * 8_000, low[-3 * 8_000 :]))
    recording = probe(path)
    assert (reason(recording), recording.codec, recording.num_samples) == (None, "pcm_mulaw", 3 * RATE)
    path.write_bytes(sphere("pcm,embedded-shorten-v2.00", 2, RATE, len(clip), b"ajkg\2" + bytes(999)))
    assert reason(probe(path)) in REFUSED


def test_a_suffix_decides_only_where_the_content_says_nothing(
    encode: Encode, speech: NDArray[np.float32], tmp_path: Path
) -> None:
    raw = encode("call.g722", speech[: 3 * RATE], "g722", container="g722")
    assert reason(probe(raw)) is None
    assert probe(raw).seconds == pytest.approx(3, abs=0.01)
    unnamed, misnamed = tmp_path / "call.bin", tmp_path / "call.flac"
    unnamed.write_bytes(raw.read_bytes())
    misnamed.write_bytes(raw.read_bytes())
    assert {reason(probe(unnamed)), reason(probe(misnamed))} <= REFUSED
    wav = tmp_path / "wav.g722"
    wav.write_bytes(riff(2 * RATE, 4 * RATE))
    assert probe(wav).codec == "pcm_s16le"
