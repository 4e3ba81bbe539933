"""Parts join to the whole, in every format; the timeline survives damage; memory is a block."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voxmill.manifests.records import Licence, Provenance, Recording, Segment
from voxmill.operators.decode.audio import AudioReader, Playback, read, read_segment, stream
from voxmill.operators.decode.audio_stream import open_media
from voxmill.operators.decode.container import Undecodable

from .conftest import Encode

pytestmark = pytest.mark.xdist_group("decode")

EXACT, SETTLED = 0.0, 1e-6
"""How far a part may be from the whole: not at all, or the rounding that a decoder carries in its state."""

PURE = {"aac_pns": "0"}
"""AAC without noise substitution: its decoder draws that noise from a generator that runs on from the first packet."""

FORMATS: dict[str, tuple[dict[str, Any], float]] = {
    "44k.wav": ({"codec": "pcm_s16le", "rate": 44_100}, EXACT),
    "8k.wav": ({"codec": "pcm_mulaw", "rate": 8_000}, EXACT),
    "24bit.aiff": ({"codec": "pcm_s24be", "rate": 22_050}, EXACT),
    "48k.flac": ({"codec": "flac", "rate": 48_000}, EXACT),
    "11k.flac": ({"codec": "flac", "rate": 11_025}, EXACT),
    "cbr.mp3": ({"codec": "libmp3lame", "rate": 44_100, "bit_rate": 64_000}, SETTLED),
    "vbr.mp3": ({"codec": "libmp3lame", "rate": 44_100, "quality": 4}, SETTLED),
    "low.mp3": ({"codec": "libmp3lame", "rate": 16_000, "bit_rate": 16_000}, SETTLED),
    "opus.ogg": ({"codec": "libopus", "rate": 48_000, "bit_rate": 32_000}, SETTLED),
    "opus-60ms.ogg": ({"codec": "libopus", "rate": 48_000, "options": {"frame_duration": "60"}}, SETTLED),
    "vorbis.ogg": ({"codec": "vorbis", "rate": 44_100, "layout": "stereo", "options": {"strict": "-2"}}, SETTLED),
    "aac.m4a": ({"codec": "aac", "rate": 44_100, "bit_rate": 64_000, "container": "mp4", "options": PURE}, SETTLED),
    "fragmented.m4a": ({"codec": "aac", "rate": 48_000, "container": "mp4", "options": PURE, "fragmented": True}, SETTLED),
    "raw.aac": ({"codec": "aac", "rate": 22_050, "container": "adts", "options": PURE}, SETTLED),
    "aac.ts": ({"codec": "aac", "rate": 44_100, "container": "mpegts", "options": PURE}, SETTLED),
    "mp2.ts": ({"codec": "mp2", "rate": 48_000, "container": "mpegts"}, SETTLED),
    "opus.webm": ({"codec": "libopus", "rate": 48_000, "bit_rate": 32_000}, SETTLED),
    "opus-2.5ms.webm": (
        {"codec": "libopus", "rate": 48_000, "options": {"frame_duration": "2.5", "application": "lowdelay"}},
        SETTLED,
    ),
    "vorbis.webm": ({"codec": "vorbis", "rate": 44_100, "layout": "stereo", "options": {"strict": "-2"}}, EXACT),
    "mp3.mkv": ({"codec": "libmp3lame", "rate": 44_100, "bit_rate": 64_000}, SETTLED),
    "ac3.mkv": ({"codec": "ac3", "rate": 48_000}, SETTLED),
}


@pytest.fixture(scope="module")
def long_speech(speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """Three times as long as what is always decoded from the first packet on."""
    return speech[: 36 * 16_000]


@pytest.fixture(scope="module")
def encoded(encode: Encode, long_speech: NDArray[np.float32]) -> Callable[[str], Path]:
    """The file of a format, made once."""

    @cache
    def made(name: str) -> Path:
        how, _ = FORMATS[name]
        samples = np.stack([long_speech, long_speech], axis=1) if how.get("layout") == "stereo" else long_speech
        return encode(name, samples, **how)

    return made


@pytest.fixture(scope="module", params=FORMATS)
def media(request: pytest.FixtureRequest, encoded: Callable[[str], Path]) -> tuple[Path, float]:
    return encoded(request.param), FORMATS[request.param][1]


def test_parts_join_to_the_whole(media: tuple[Path, float], long_speech: NDArray[np.float32]) -> None:
    path, tolerance = media
    whole = read(str(path))
    assert abs(len(whole) - len(long_speech)) < 3200  # a codec may pad at the ends
    cuts = [0, 1, 16_000 * 18, 16_000 * 23 + 12_345, 16_000 * 31 + 7, len(whole) + 99]
    parts = [read(str(path), start, end - start) for start, end in pairwise(cuts)]
    joined = np.concatenate(parts)
    assert len(joined) == len(whole)
    np.testing.assert_allclose(joined, whole, rtol=0, atol=tolerance)


def test_decodes_to_what_was_encoded(media: tuple[Path, float], long_speech: NDArray[np.float32]) -> None:
    span = slice(16_000 * 20, 16_000 * 24)
    decoded, reference = read(str(media[0]))[span], long_speech[span]
    size = 1 << 17
    correlation = np.fft.irfft(np.fft.rfft(decoded, size).conj() * np.fft.rfft(reference, size))
    assert correlation.max() > 0.9 * np.linalg.norm(decoded) * np.linalg.norm(reference)
    assert abs((int(correlation.argmax()) + size // 2) % size - size // 2) <= 1200  # encoder delays that no header tells


def test_a_segment_is_heard_as_its_recording_is(encode: Encode, long_speech: NDArray[np.float32]) -> None:
    path = str(encode("a.wav", long_speech, codec="pcm_s16le", rate=16_000))
    whole = Recording("r", "i", Provenance("s", "u"), Licence(), path, num_samples=len(long_speech), gain_db=6.0)
    heard = read_segment(whole, Segment("s", "r", 8_000, 16_000))
    assert np.array_equal(heard, read(Playback.of(whole), 8_000, 16_000))
    assert not np.array_equal(heard, read(path, 8_000, 16_000)), "with its gain"


def test_a_part_is_a_function_of_its_place(encode: Encode, long_speech: NDArray[np.float32]) -> None:
    path = str(encode("function.mp3", long_speech, "libmp3lame", rate=44_100, bit_rate=64_000))
    whole = read(path)

    @settings(max_examples=25, deadline=None)
    @given(start=st.integers(0, len(whole) + 10), length=st.integers(0, 40_000), block=st.integers(1, 50_000))
    def check(start: int, length: int, block: int) -> None:
        blocks = list(stream(path, start, length, block))
        assert all(len(b) == block for b in blocks[:-1])
        part = np.concatenate([np.zeros(0, np.float32), *blocks])
        assert len(part) == max(0, min(length, len(whole) - start))
        np.testing.assert_allclose(part, whole[start : start + length], rtol=0, atol=SETTLED)
        assert all(np.array_equal(a, b) for a, b in zip(blocks, stream(path, start, length, block), strict=True))

    check()


def test_a_reader_hears_the_same_whatever_it_read_before(encode: Encode, long_speech: NDArray[np.float32]) -> None:
    origin = 16_000 * 15
    path = str(encode("spans.m4a", long_speech[: origin * 2], "aac", rate=44_100, bit_rate=64_000, container="mp4"))
    whole = read(path, origin)

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, origin + 9), st.integers(0, 99_999)), max_size=6), st.booleans())
    def check(spans: list[tuple[int, int]], ordered: bool) -> None:
        reader = AudioReader(path, origin)
        for start, length in sorted(spans) if ordered else spans:
            np.testing.assert_array_equal(reader.read(origin + start, length), whole[start : start + length])

    check()


def test_noise_substitution_differs_in_its_noise_only(encode: Encode, long_speech: NDArray[np.float32]) -> None:
    path = str(encode("noisy.m4a", long_speech, "aac", rate=44_100, bit_rate=64_000, container="mp4"))
    whole, part = read(path)[16_000 * 25 :], read(path, 16_000 * 25)
    assert len(whole) == len(part)
    assert np.linalg.norm(whole - part) < 0.03 * np.linalg.norm(whole)


def test_damage_leaves_silence_and_does_not_shift(encode: Encode, long_speech: NDArray[np.float32]) -> None:
    good = encode("good.m4a", long_speech, "aac", rate=48_000, bit_rate=64_000, container="mp4", options=PURE)
    bad = _damage(good, 1000, 1050)
    whole, damaged = read(str(good)), read(str(bad))
    assert len(whole) == len(damaged)
    np.testing.assert_array_equal(damaged[: 16_000 * 21], whole[: 16_000 * 21])
    np.testing.assert_array_equal(damaged[16_000 * 21 + 8000 : 16_000 * 22], 0)
    np.testing.assert_allclose(damaged[16_000 * 23 :], whole[16_000 * 23 :], atol=SETTLED)
    np.testing.assert_allclose(read(str(bad), 16_000 * 30), damaged[16_000 * 30 :], atol=SETTLED)


@pytest.mark.parametrize(
    ("name", "first"),
    [("cbr.mp3", 500), ("opus.ogg", 500), ("opus.webm", 500), ("aac.ts", 500), ("48k.flac", 250), ("44k.wav", 500)],
)
def test_parts_of_a_damaged_file_join(name: str, first: int, encoded: Callable[[str], Path]) -> None:
    bad = _damage(encoded(name), first, first + 10)
    whole = read(str(bad))
    assert len(whole) > 16_000 * 29
    for start in (16_000 * 18, 16_000 * 30 + 1):
        np.testing.assert_allclose(read(str(bad), start), whole[start:], atol=SETTLED)


def _damage(good: Path, first: int, last: int) -> Path:
    """A copy in which the bytes of some packets are overwritten."""
    bad = good.with_name(f"damaged-{good.name}")
    data = bytearray(good.read_bytes())
    for place, size in _packet_places(good)[first:last]:
        data[place : place + size] = b"\xff" * size
    bad.write_bytes(data)
    return bad


def _packet_places(path: Path) -> list[tuple[int, int]]:
    with open_media(str(path)) as media:
        return [(p.pos, p.size) for p in media.container.demux(media.stream) if p.size and p.pos]


def test_mono_is_the_mean_of_all_channels(encode: Encode, speech: NDArray[np.float32]) -> None:
    mono = speech[:32_000]
    stereo = encode("stereo.wav", np.stack([mono, 0 * mono], axis=1), "pcm_s16le")
    np.testing.assert_allclose(read(str(stereo)), mono / 2, atol=1e-4)
    channels = np.stack([mono * (i % 3) for i in range(8)], axis=1) / 4
    eight = encode("eight.wav", channels, "pcm_s16le", layout="7.1")
    np.testing.assert_allclose(read(str(eight)), channels.mean(axis=1), atol=1e-4)


def test_reads_any_file_system(encode: Encode, speech: NDArray[np.float32]) -> None:
    path = encode("local.flac", speech[:32_000], "flac")
    with fsspec.open("memory://voxmill/a b.flac", "wb") as copy:
        copy.write(path.read_bytes())
    expected = read(str(path))
    assert len(expected) == 32_000
    np.testing.assert_array_equal(read("memory://voxmill/a b.flac"), expected)
    np.testing.assert_array_equal(read(path.as_uri()), expected)


def test_never_follows_a_reference(encode: Encode, speech: NDArray[np.float32], tmp_path: Path) -> None:
    secret = encode("secret.wav", speech[:32_000], "pcm_s16le")
    for name, text in {
        "list.mp3": f"ffconcat version 1.0\nfile '{secret}'\n",
        "list.ts": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{secret}\n#EXT-X-ENDLIST\n",
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:{secret}\n#EXT-X-ENDLIST\n",
    }.items():
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(Undecodable, match=r"decode\.not_audio"):
            read(str(path))


def test_a_missing_file_is_not_a_bad_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(str(tmp_path / "absent.wav"))
