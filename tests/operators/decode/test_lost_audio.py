"""What a file holds or promises and does not give is counted, and a header that makes up hours is not believed."""

from __future__ import annotations

import struct
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voxmill.manifests.records import Licence, Provenance, Recording
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.audio import read
from voxmill.operators.decode.probe import Decode, DecodeConfig

from .conftest import Encode
from .test_audio import _damage
from .test_probe import probe, reason

RATE = 16_000


def cut(path: Path, share: float) -> Path:
    short = path.with_name(f"cut-{path.name}")
    short.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return short


@pytest.mark.parametrize(
    ("name", "codec", "muxer"),
    [
        ("w.w64", "pcm_s16le", {}),
        ("c.caf", "pcm_s16le", {}),
        ("a.aiff", "pcm_s16be", {}),
        ("f.flac", "flac", {}),
        ("m.mp3", "libmp3lame", {}),
        ("k.mka", "libopus", {}),
        ("q.m4a", "aac", {"movflags": "faststart"}),
    ],
)
def test_a_transfer_that_broke_off(
    name: str, codec: str, muxer: dict[str, str], encode: Encode, speech: NDArray[np.float32]
) -> None:
    good = encode(name, speech[: 10 * RATE], codec, rate=48_000, muxer=muxer)
    whole, short = probe(good), probe(cut(good, 0.6))
    assert (reason(whole), whole.lost_samples, whole.lost_why) == (None, 0, None)
    assert reason(short) is None
    assert short.seconds < 8
    assert short.num_samples + short.lost_samples == pytest.approx(10 * RATE, abs=0.15 * RATE)
    assert "promised by the header, and not there" in str(short.lost_why)


def riff(samples: int, told: int) -> bytes:
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", min(told + 36, 2**32 - 1), b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", told)  # fmt: skip
    return head + np.random.default_rng(0).integers(-9000, 9000, samples, "<i2").tobytes()


@pytest.mark.parametrize(("told", "lost"), [(0, 0), (2**32 - 1, 0), (2**31 - 1, 0), (8 * RATE, 2), (4 * RATE, 0)])
def test_the_length_of_a_wav(told: int, lost: int, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(riff(2 * RATE, told))
    recording = probe(path)
    assert (recording.num_samples, recording.lost_samples) == (2 * RATE, lost * RATE)


def test_a_chunk_that_claims_more_than_its_file_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    content = bytearray(riff(2 * RATE, 4 * RATE))
    content[40:44] = struct.pack("<I", 40_000_000)
    path.write_bytes(content)
    assert probe(path).lost_samples == 0


def test_silence_for_what_cannot_be_decoded_is_lost_and_in_the_timeline(encode: Encode, speech: NDArray[np.float32]) -> None:
    good = encode("inside.m4a", speech[: 10 * RATE], "aac", rate=48_000, bit_rate=64_000, container="mp4")
    recording = probe(_damage(good, 200, 250))
    assert recording.num_samples == probe(good).num_samples
    assert recording.silent_samples == recording.lost_samples == pytest.approx(50 * 1024 / 3, abs=1100)
    assert "are silent" in str(recording.lost_why)


def test_a_hole_between_time_stamps(encode: Encode, speech: NDArray[np.float32], tmp_path: Path) -> None:
    import av

    path = tmp_path / "hole.mka"
    with (
        av.open(str(encode("no-hole.mka", speech[: 8 * RATE], "libopus", rate=48_000))) as source,
        av.open(str(path), "w") as out,
    ):
        stream = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None and not 3000 <= packet.dts < 5000:
                packet.stream = stream
                out.mux(packet)
    recording = probe(path)
    assert recording.seconds == pytest.approx(6, abs=0.1)
    assert recording.lost_samples == pytest.approx(2 * RATE, abs=0.1 * RATE)


def floats(values: NDArray[np.float32], path: Path) -> Path:
    data = values.astype("<f4").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", len(data) + 36, b"WAVE", b"fmt ", 16, 3, 1, RATE, 4 * RATE, 4, 32, b"data", len(data))  # fmt: skip
    path.write_bytes(head + data)
    return path


def test_what_is_no_number_is_silence_or_full_scale_and_counted(speech: NDArray[np.float32], tmp_path: Path) -> None:
    values = speech[: 3 * RATE].copy()
    values[RATE : RATE + 100] = np.nan
    values[2 * RATE : 2 * RATE + 50] = np.inf
    values[2 * RATE + 50 : 2 * RATE + 60] = -3e38
    values[100:200] = 1e-42
    path = floats(values, tmp_path / "odd.wav")
    heard = read(str(path))
    assert np.isfinite(heard).all()
    np.testing.assert_array_equal(heard[RATE : RATE + 100], 0)
    np.testing.assert_array_equal(heard[2 * RATE : 2 * RATE + 60], [1] * 50 + [-1] * 10)
    np.testing.assert_array_equal(heard[RATE + 200 : 2 * RATE - 100], values[RATE + 200 : 2 * RATE - 100])
    recording = probe(path)
    assert (reason(recording), recording.lost_why) == (None, "160 samples were no numbers")
    assert reason(probe(floats(np.full(2 * RATE, np.nan, np.float32), tmp_path / "nan.wav"))) is None


def test_a_playlist_is_compared_with_what_came(encode: Encode, speech: NDArray[np.float32]) -> None:
    path = encode("listed.ts", speech[: 10 * RATE], "aac", rate=44_100, container="mpegts")
    fetched = Recording("r", "i", Provenance("s", "u"), Licence(), audio=str(path), promised_samples=10 * RATE)
    decode = Decode(DecodeConfig())

    def lost(recording: Recording) -> tuple[float, str | None]:
        [row] = decode(UnitInput("u", recordings=(recording,)))
        return round(row.lost_samples / RATE, 1), row.lost_why

    assert lost(fetched) == (0, None)
    gap = replace(fetched, promised_samples=16 * RATE, lost_samples=6 * RATE, lost_why="not fetched (gap)")
    assert lost(gap) == (6, "6.00 s not fetched (gap)")
    seconds, why = lost(replace(gap, promised_samples=20 * RATE))
    assert seconds == pytest.approx(10, abs=0.2)
    assert "promised by the playlist, and not there" in str(why)


def test_plain_wav_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "plain.wav"
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes(bytes(4 * RATE))
    assert probe(path).lost_samples == 0
