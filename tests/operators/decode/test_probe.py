"""Every bad input is a named outcome, and good ones are described by what was measured."""

from __future__ import annotations

import os
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Licence, Provenance, Recording
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.audio import read
from voxmill.operators.decode.probe import Decode, DecodeConfig

from .conftest import Encode

RATE = 16_000


@pytest.fixture(scope="module")
def speech(speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first twenty seconds."""
    return speech[: 20 * RATE]


def probe(path: str | Path, config: DecodeConfig | None = None) -> Recording:
    recording = Recording("r" * 64, "i" * 64, Provenance("test", str(path)), Licence(), audio=str(path))
    work = UnitInput("u", recordings=(recording,))
    decode = Decode(config or DecodeConfig())
    [first], [second] = decode(work), decode(work)
    assert first == second
    return first


def reason(recording: Recording) -> str | None:
    return recording.rejection.reason if recording.rejection else None


def test_describes_a_good_file(encode: Encode, speech: NDArray[np.float32]) -> None:
    stereo = np.stack([speech, speech], axis=1)
    path = encode("good.mp3", stereo, "libmp3lame", rate=44_100, bit_rate=96_000)
    recording = probe(path)
    assert recording.rejection is None
    assert (recording.codec, recording.container) == ("mp3", "mp3")
    assert (recording.sampling_rate, recording.num_channels) == (44_100, 2)
    assert recording.num_samples == len(read(str(path))) == pytest.approx(len(speech), abs=2000)
    assert recording.bandwidth == "wide"


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [("a.m4a", "aac", "mp4"), ("a.webm", "opus", "matroska"), ("a.ogg", "opus", "ogg"), ("a.flac", "flac", "flac")],
)
def test_names_codecs_and_containers_plainly(
    name: str, codec: str, container: str, encode: Encode, speech: NDArray[np.float32]
) -> None:
    path = encode(name, speech[: 3 * RATE], "libopus" if codec == "opus" else codec, rate=48_000)
    assert (probe(path).codec, probe(path).container) == (codec, container)


def test_telephone_speech_in_a_wide_file_is_narrow(encode: Encode, speech: NDArray[np.float32]) -> None:
    narrow = read(str(encode("telephone.wav", speech, "pcm_mulaw", rate=8_000)))
    recording = probe(encode("upsampled.m4a", narrow, "aac", rate=44_100, bit_rate=64_000, container="mp4"))
    assert recording.sampling_rate == 44_100
    assert recording.bandwidth == "narrow"
    assert recording.cutoff_hz is not None
    assert 3300 <= recording.cutoff_hz <= 4500


def test_the_same_samples_in_another_wrapping_have_the_same_hash(encode: Encode, speech: NDArray[np.float32]) -> None:
    pcm = np.rint(speech * 30_000).astype(np.int16)
    wav, flac = encode("same.wav", pcm, "pcm_s16le"), encode("same.flac", pcm, "flac")
    other = encode("other.wav", pcm + np.int16(1), "pcm_s16le")
    assert probe(wav).pcm_sha256 == probe(flac).pcm_sha256 != probe(other).pcm_sha256


def test_a_rejected_recording_passes_unchanged() -> None:
    recording = Recording("i", "i", Provenance("s", "u"), Licence(), rejection=reject("crawl.not_found"))
    assert Decode(DecodeConfig())(UnitInput("u", recordings=(recording,))) == [recording]


Make = Callable[[Path, Encode, NDArray[np.float32]], Path | str]


def _text(folder: Path, encode: Encode, speech: NDArray[np.float32]) -> Path:
    (folder / "text.mp3").write_text("It was the best of times, it was the worst of times.\n" * 500)
    return folder / "text.mp3"


def _empty(folder: Path, encode: Encode, speech: NDArray[np.float32]) -> Path:
    (folder / "empty.wav").touch()
    return folder / "empty.wav"


def _noise(folder: Path, encode: Encode, speech: NDArray[np.float32]) -> Path:
    (folder / "noise.ogg").write_bytes(np.random.default_rng(0).bytes(200_000))
    return folder / "noise.ogg"


def _page(folder: Path, encode: Encode, speech: NDArray[np.float32]) -> Path:
    (folder / "page.mp3").write_text("<!doctype html><html><body><p>404</p></body></html>")
    return folder / "page.mp3"


def _no_samples(folder: Path, encode: Encode, speech: NDArray[np.float32]) -> Path:
    soundfile.write(folder / "nothing.wav", np.zeros(0, np.int16), RATE)
    return folder / "nothing.wav"


def _one_sample(folder: Path, encode: Encode, speech: NDArray[np.float32]) -> Path:
    return encode("one.wav", speech[:1], "pcm_s16le")


def _tenth(folder: Path, encode: Encode, speech: NDArray[np.float32]) -> Path:
    return encode("tenth.mp3", speech[RATE : RATE + 1600], "libmp3lame")


def _zero_hertz(folder: Path, encode: Encode, speech: NDArray[np.float32]) -> Path:
    data = bytearray(encode("zero.wav", speech, "pcm_s16le").read_bytes())
    data[24:28] = struct.pack("<I", 0)
    (folder / "zero.wav").write_bytes(data)
    return folder / "zero.wav"


def _silent_film(folder: Path, encode: Encode, speech: NDArray[np.float32]) -> Path:
    path = folder / "film.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for _ in range(20):
            out.mux(stream.encode(VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")))
        out.mux(stream.encode(None))
    return path


def _headless_m4a(folder: Path, encode: Encode, speech: NDArray[np.float32]) -> Path:
    return _halved(encode("whole.m4a", speech, "aac", rate=44_100, container="mp4"))


def _bomb(folder: Path, encode: Encode, speech: NDArray[np.float32]) -> Path:
    path = folder / "bomb.flac"
    soundfile.write(path, np.zeros(8_000 * 1200, np.int16), 8_000)
    return path


def _many_channels(folder: Path, encode: Encode, speech: NDArray[np.float32]) -> Path:
    path = folder / "many.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(500)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(bytes(1000 * RATE * 2))
    return path


def _halved(path: Path) -> Path:
    data = path.read_bytes()
    half = path.with_name(f"half-{path.name}")
    half.write_bytes(data[: len(data) // 2])
    return half


BAD: list[tuple[Make, str]] = [
    (_empty, "decode.empty"),
    (_no_samples, "decode.empty"),
    (_text, "decode.not_audio"),
    (_page, "decode.not_audio"),
    (_silent_film, "decode.not_audio"),
    (_one_sample, "decode.too_short"),
    (_tenth, "decode.too_short"),
    (_zero_hertz, "decode.corrupt"),
    (_headless_m4a, "decode.corrupt"),
    (_many_channels, "decode.corrupt"),
    (_bomb, "decode.bomb"),
]


@pytest.mark.parametrize(("make", "expected"), BAD)
def test_bad_input_is_a_named_outcome(
    make: Make, expected: str, tmp_path: Path, encode: Encode, speech: NDArray[np.float32]
) -> None:
    recording = probe(make(tmp_path, encode, speech))
    assert reason(recording) == expected
    assert recording.rejection
    assert recording.rejection.detail
    assert recording.pcm_sha256 is None


def test_noise_is_not_audio_or_corrupt(tmp_path: Path, encode: Encode, speech: NDArray[np.float32]) -> None:
    assert reason(probe(_noise(tmp_path, encode, speech))) in {"decode.not_audio", "decode.corrupt"}


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("t.wav", "pcm_s16le"),
        ("t.flac", "flac"),
        ("t.mp3", "libmp3lame"),
        ("t.ogg", "libopus"),
        ("t.webm", "libopus"),
        ("t.ts", "aac"),
    ],
)
def test_a_truncated_file_keeps_its_good_part(name: str, codec: str, encode: Encode, speech: NDArray[np.float32]) -> None:
    recording = probe(_halved(encode(name, speech, codec, rate=48_000)))
    assert recording.rejection is None
    assert recording.num_samples == pytest.approx(len(speech) / 2, rel=0.15)


def test_too_long_stops_decoding(encode: Encode, speech: NDArray[np.float32]) -> None:
    recording = probe(encode("long.wav", speech, "pcm_s16le"), DecodeConfig(max_seconds=10))
    assert reason(recording) == "crawl.too_long"
    assert recording.num_samples == 11 * RATE


def test_eight_channels_and_wrong_names_are_fine(tmp_path: Path, encode: Encode, speech: NDArray[np.float32]) -> None:
    eight = encode("eight.wav", np.stack([speech] * 8, axis=1), "pcm_s16le", layout="7.1")
    assert (probe(eight).num_channels, reason(probe(eight))) == (8, None)
    wrong = tmp_path / "wrong.mp3"
    wrong.write_bytes(encode("right.flac", speech, "flac").read_bytes())
    assert (probe(wrong).codec, reason(probe(wrong))) == ("flac", None)
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 \xff.flac")
    os.rename(wrong, strange)
    assert reason(probe(strange)) is None


def test_tags_of_any_bytes_do_no_harm(tmp_path: Path, encode: Encode, speech: NDArray[np.float32]) -> None:
    data = encode("tags.wav", speech[: 3 * RATE], "pcm_s16le").read_bytes()
    tag = b"INFOINAM" + struct.pack("<I", 4) + b"\xe9\xff\xfe\x80"
    chunk = b"LIST" + struct.pack("<I", len(tag)) + tag
    path = tmp_path / "tags.wav"
    path.write_bytes(data[:12] + chunk + data[12:])
    assert reason(probe(path)) is None
