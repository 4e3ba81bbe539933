"""Files that are several files one after the other are heard to their end, from any place, and every stretch is in the books."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from voxmill.operators.decode.audio import read
from voxmill.operators.decode.chained_files import find_stretches

from .conftest import Encode
from .test_probe import probe, reason

RATE = 16_000

NEAR = 400
"""Bytes by which a cut may be late: a packet of MPEG-TS that names the service comes before the tables."""

PARTS: dict[str, list[dict[str, Any]]] = {
    "opus.ogg": [{"codec": "libopus", "rate": 48_000}, {"codec": "libopus", "rate": 48_000, "layout": "stereo"}],
    "flac.ogg": [{"codec": "flac", "rate": 16_000}, {"codec": "flac", "rate": 44_100}, {"codec": "flac", "rate": 22_050}],
    "mixed.ogg": [{"codec": "libopus", "rate": 48_000}, {"codec": "flac", "rate": 44_100}],
    "wav": [{"codec": "pcm_s16le"}, {"codec": "pcm_s16le", "rate": 44_100}],
    "mp4": [
        {"codec": "aac", "rate": 44_100, "fragmented": True},
        {"codec": "aac", "rate": 48_000, "fragmented": True, "layout": "stereo"},
    ],
    "whole.mp4": [{"codec": "aac", "rate": 44_100}, {"codec": "aac", "rate": 22_050}],
    "mkv": [{"codec": "libopus", "rate": 48_000}, {"codec": "aac", "rate": 44_100}],
    "pid.ts": [{"codec": "aac", "rate": 44_100}, {"codec": "aac", "rate": 44_100, "muxer": {"mpegts_start_pid": "512"}}],
    "codec.ts": [{"codec": "aac", "rate": 44_100}, {"codec": "mp2", "rate": 48_000}],
    "service.ts": [{"codec": "aac", "rate": 44_100}, {"codec": "aac", "rate": 44_100, "muxer": {"mpegts_service_id": "7"}}],
}


@pytest.fixture(scope="module", params=PARTS)
def joined(request: pytest.FixtureRequest, encode: Encode, speech: NDArray[np.float32]) -> tuple[Path, list[Path]]:
    suffix = request.param.split(".")[-1]
    container = {"ogg": "ogg", "mkv": "matroska", "ts": "mpegts"}.get(suffix, suffix)
    parts = []
    for number, how in enumerate(PARTS[request.param]):
        clip = speech[number * 3 * RATE : (number + 1) * 3 * RATE]
        clip = np.stack([clip, clip], 1) if how.get("layout") == "stereo" else clip
        parts.append(encode(f"{number}-{request.param}", clip, container=container, **how))
    whole = parts[0].with_name(f"joined-{request.param}")
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    return whole, parts


@pytest.mark.parametrize(
    ("first", "then"), [("wav", "mp3"), ("aiff", "aiff"), ("caf", "caf"), ("ogg", "mp3"), ("mp4", "mp3"), ("wav", "flac")]
)
def test_a_file_behind_the_end_of_another(first: str, then: str, encode: Encode, speech: NDArray[np.float32]) -> None:
    codecs = {
        "wav": "pcm_s16le",
        "aiff": "pcm_s16be",
        "caf": "pcm_s16le",
        "ogg": "libopus",
        "mp4": "aac",
        "mp3": "libmp3lame",
        "flac": "flac",
    }
    parts = [
        encode(f"{number}.{kind}", speech[: 3 * RATE], container=kind, codec=codecs[kind], rate=48_000)
        for number, kind in enumerate((first, then))
    ]
    whole = parts[0].with_name(f"behind.{first}")
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert len(read(str(whole))) == pytest.approx(6 * RATE, abs=0.2 * RATE)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("before", [b"\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n\n  "])
def test_what_a_script_sends_before_a_file_is_passed_over(
    kind: str, before: bytes, encode: Encode, speech: NDArray[np.float32]
) -> None:
    codecs = {"wav": "pcm_s16le", "flac": "flac", "ogg": "libopus"}
    whole = encode(f"blank.{kind}", speech[: 3 * RATE], container=kind, codec=codecs[kind], rate=48_000)
    plain = read(str(whole))
    whole.write_bytes(before + whole.read_bytes())
    assert np.array_equal(read(str(whole)), plain)


def test_a_transport_stream_behind_a_head_without_media(encode: Encode, speech: NDArray[np.float32]) -> None:
    mp4 = encode("head.mp4", speech[:RATE], container="mp4", codec="aac", rate=48_000, fragmented=True)
    stream = encode("part.ts", speech[: 3 * RATE], container="mpegts", codec="aac", rate=48_000)
    head = mp4.read_bytes()
    mp4.write_bytes(head[: head.index(b"moof") - 4] + stream.read_bytes())
    assert len(read(str(mp4))) == pytest.approx(3 * RATE, abs=0.2 * RATE)


def test_is_heard_to_its_end(joined: tuple[Path, list[Path]]) -> None:
    whole, parts = joined
    expected = [read(str(part)) for part in parts]
    assert [end for _, end in cuts(whole)] == pytest.approx(np.cumsum([part.stat().st_size for part in parts]), abs=NEAR)
    heard = read(str(whole))
    assert len(heard) == sum(map(len, expected))
    np.testing.assert_allclose(heard, np.concatenate(expected), atol=0.05)
    recording = probe(whole)
    assert (reason(recording), recording.num_samples, recording.lost_samples) == (None, len(heard), 0)


def test_parts_join_across_the_seam(joined: tuple[Path, list[Path]]) -> None:
    whole = str(joined[0])
    heard = read(whole)
    for start in (2 * RATE + 7, 3 * RATE, 4 * RATE + 1):
        np.testing.assert_allclose(read(whole, start, RATE), heard[start : start + RATE], atol=0.02)


def cuts(path: Path) -> list[tuple[int, int]]:
    with path.open("rb") as raw:
        return find_stretches(raw, path.stat().st_size)


def test_another_rate_after_the_first_ten_seconds_is_noticed_where_packets_are_skipped(
    encode: Encode, speech: NDArray[np.float32]
) -> None:
    """Frames of MP3 at 22.05 kHz last as long as those at 44.1 kHz, so their length alone does not tell."""
    parts = [
        encode(f"{rate}.mp3", speech[:length], "libmp3lame", rate=rate, bit_rate=32_000)
        for rate, length in ((44_100, 14 * RATE), (22_050, 12 * RATE))
    ]
    path = parts[0].with_name("rates.mp3")
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    heard = read(str(path))
    for start in (17 * RATE, 20 * RATE + 5):
        part = read(str(path), start)
        assert len(part) == len(heard) - start
        np.testing.assert_allclose(part, heard[start:], atol=1e-6)


def test_a_stream_that_appears_after_the_probe(encode: Encode, speech: NDArray[np.float32]) -> None:
    """As an advert on another PID does: PyAV's list of streams does not grow, and its demuxer then raises IndexError."""
    long = speech[: 12 * RATE]
    how: dict[str, Any] = {"codec": "aac", "rate": 48_000, "container": "mpegts"}
    first = encode("programme.ts", long, **how)
    advert = encode("advert.ts", speech[: 5 * RATE], **how, muxer={"mpegts_start_pid": "512"})
    path = first.with_name("advert-inside.ts")
    path.write_bytes(first.read_bytes() + advert.read_bytes() + first.read_bytes())
    recording = probe(path)
    assert reason(recording) is None
    assert recording.seconds == pytest.approx(2 * len(long) / RATE + 5, abs=0.3)


@pytest.mark.parametrize("count", [3, 12])
def test_any_number_of_streams_may_appear(count: int, encode: Encode, speech: NDArray[np.float32]) -> None:
    parts = [
        encode(f"{n}.ts", speech[:RATE], "aac", rate=44_100, container="mpegts", muxer={"mpegts_start_pid": str(256 + 16 * n)})
        for n in range(count)
    ]
    path = parts[0].with_name(f"{count}-pids.ts")
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert len(cuts(path)) == count
    assert len(read(str(path))) == sum(len(read(str(part))) for part in parts)


def test_packets_of_192_bytes_are_packets_too(encode: Encode, speech: NDArray[np.float32]) -> None:
    plain = [
        encode(f"m2ts-{pid}.ts", speech[: 2 * RATE], "aac", rate=44_100, container="mpegts", muxer={"mpegts_start_pid": pid})
        for pid in ("256", "512")
    ]
    content = b"".join(part.read_bytes() for part in plain)
    path = plain[0].with_name("blu.m2ts")
    path.write_bytes(b"".join(bytes(4) + content[at : at + 188] for at in range(0, len(content), 188)))
    assert [begin for begin, _ in cuts(path)] == [0, pytest.approx(plain[0].stat().st_size // 188 * 192, abs=NEAR)]


Change = Callable[[bytes], bytes]


@pytest.mark.parametrize("change", [lambda b: b + b"OggS", lambda b: b[:60] + b"\xff" + b[61:]])
def test_damage_to_a_chain_costs_no_more_than_its_link(change: Change, encode: Encode, speech: NDArray[np.float32]) -> None:
    good = encode("good-link.ogg", speech[: 3 * RATE], "libopus", rate=48_000, container="ogg")
    path = good.with_name("bad-link.ogg")
    path.write_bytes(good.read_bytes() + change(good.read_bytes()) + good.read_bytes())
    recording = probe(path)
    assert reason(recording) is None
    assert recording.seconds > 5.9
    assert recording.seconds + recording.lost_samples / RATE == pytest.approx(9, abs=0.3)


@pytest.mark.parametrize("container", ["mpegts", "mpeg"])
def test_sound_that_begins_long_after_the_picture(container: str, speech: NDArray[np.float32], tmp_path: Path) -> None:
    """Past what libavformat looks at when it opens a file: there it lists no sound, or a stream of it at 0 Hz."""
    path = tmp_path / "film"
    with av.open(str(path), "w", format=container) as out:
        picture, sound = out.add_stream("mpeg2video", rate=25), out.add_stream("mp2", rate=48_000, layout="mono")
        picture.width = picture.height = 64
        for _ in range(14 * 25):
            out.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        resampler = av.AudioResampler(sound.format, "mono", 48_000, frame_size=1152)
        frame = av.AudioFrame.from_ndarray(np.rint(speech[None, : 3 * RATE] * 32767).astype(np.int16), "s16", "mono")
        frame.sample_rate = RATE
        for number, block in enumerate([*resampler.resample(frame), *resampler.resample(None)]):
            block.pts, block.time_base = 12 * 48_000 + 1152 * number, Fraction(1, 48_000)
            out.mux(sound.encode(block))
        out.mux([*picture.encode(None), *sound.encode(None)])
    assert len(read(str(path))) == pytest.approx(3 * RATE, abs=1200)
