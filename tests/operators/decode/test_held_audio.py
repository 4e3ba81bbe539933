"""What is held answers later reads with the bits that decoding gives, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from voxmill.operators.decode import audio
from voxmill.operators.decode.audio import Playback, read, stream
from voxmill.operators.decode.audio_stream import open_media
from voxmill.operators.decode.held_audio import HELD, HeldAudio, Passage

from .conftest import Encode

RATE = 16_000


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Files that were opened to be decoded, by name; nothing is held before or after the test."""
    opened: list[str] = []

    def noted(uri: str, *arguments: Any, **options: Any) -> Any:
        opened.append(Path(uri).name)
        return open_media(uri, *arguments, **options)

    monkeypatch.setattr(audio, "open_media", noted)
    HELD.clear()
    yield opened
    HELD.clear()


def test_stages_that_read_one_part_decode_it_once(opened: list[str], encode: Encode, speech: NDArray[np.float32]) -> None:
    path = encode("podcast.mp3", speech, "libmp3lame", rate=44_100, bit_rate=64_000)
    how = Playback(str(path), gain_db=3.0, dc=0.001)
    for _ in stream(how, 0, 30 * RATE):  # the detector
        pass
    heard = [read(how, RATE // 2, 28 * RATE) for _ in range(3)]  # two recognisers, a labeller
    assert opened == ["podcast.mp3"]
    HELD.clear()
    assert np.array_equal(read(how, RATE // 2, 28 * RATE), heard[0])
    assert np.array_equal(heard[0], heard[2])
    assert opened == ["podcast.mp3"] * 2


@pytest.mark.parametrize(
    ("name", "options", "reads"),
    [
        ("a.flac", {"codec": "flac", "rate": 48_000}, 1),
        ("a.wav", {"codec": "pcm_s16le", "rate": 44_100}, 1),
        ("a.mp3", {"codec": "libmp3lame", "rate": 44_100, "bit_rate": 64_000}, 2),
        ("a.ogg", {"codec": "libopus", "rate": 48_000, "bit_rate": 32_000}, 2),
        ("a.m4a", {"codec": "aac", "rate": 44_100, "bit_rate": 64_000, "container": "mp4"}, 2),
    ],
)
def test_a_later_part_has_the_bits_of_decoding(
    name: str, options: dict[str, Any], reads: int, opened: list[str], encode: Encode, speech: NDArray[np.float32]
) -> None:
    """A lossy decoder that starts elsewhere may round otherwise: then only reads from the same sample are answered."""
    how = Playback(str(encode(name, speech, **options)))
    spans = [(15 * RATE, 20 * RATE), (16 * RATE + 7, 15 * RATE), (16 * RATE + 7, 15 * RATE), (16 * RATE + 7, 5 * RATE)]
    held = [read(how, *span) for span in spans]
    assert len(opened) == reads
    for span, before in zip(spans, held, strict=True):
        HELD.clear()
        assert np.array_equal(read(how, *span), before)


@pytest.mark.parametrize("kind", ["zeros", "lost"])
def test_a_damaged_file_has_the_bits_of_decoding(
    kind: str, opened: list[str], encode: Encode, speech: NDArray[np.float32], tmp_path: Path
) -> None:
    data = bytearray(encode("whole.flac", speech, "flac", rate=16_000).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000) if kind == "zeros" else b""
    path = tmp_path / "damaged.flac"
    path.write_bytes(data)
    spans = [(0, 30 * RATE), *((start * RATE, 3 * RATE) for start in range(5, 27, 3))]
    held = [read(str(path), *span) for span in spans]
    for span, before in zip(spans, held, strict=True):
        HELD.clear()
        assert np.array_equal(read(str(path), *span), before)


def test_a_file_that_changed_is_another_one(
    opened: list[str], tmp_path: Path, encode: Encode, speech: NDArray[np.float32]
) -> None:
    path = tmp_path / "same.wav"
    path.write_bytes(encode("one.wav", speech, "pcm_s16le").read_bytes())
    first = read(str(path), 0, RATE)
    path.write_bytes(encode("two.wav", speech[5 * RATE :], "pcm_s16le").read_bytes())
    assert not np.array_equal(read(str(path), 0, RATE), first)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read(str(path), 0, RATE)


def test_what_is_given_may_be_written_to(opened: list[str], encode: Encode, speech: NDArray[np.float32]) -> None:
    path = str(encode("written.wav", speech, "pcm_s16le"))
    first = read(path, 0, RATE)
    kept = first.copy()
    first[:] = 7
    second = read(path, 0, RATE)
    second[:] = 8
    for block in stream(path, 0, RATE):
        block[:] = 9
    assert np.array_equal(read(path, 0, RATE), kept)
    assert len(opened) == 1


def test_channels_kept_apart_are_never_mistaken_for_each_other(
    opened: list[str], encode: Encode, speech: NDArray[np.float32]
) -> None:
    both = np.stack([speech, speech[::-1]], axis=1)
    how = Playback(str(encode("apart.wav", both, "pcm_s16le")), channels=(1.0, 1.0), each=len(speech))
    across = read(how, len(speech) - RATE, 2 * RATE)
    late = read(how, len(speech) - RATE // 2, RATE)
    HELD.clear()
    assert np.array_equal(late, read(how, len(speech) - RATE // 2, RATE))
    assert np.array_equal(late, across[RATE // 2 : RATE // 2 + RATE])


def test_a_stage_that_stops_in_the_middle_leaves_nothing(
    opened: list[str], encode: Encode, speech: NDArray[np.float32]
) -> None:
    path = str(encode("stopped.wav", speech, "pcm_s16le"))
    blocks = stream(path, 0, 30 * RATE, RATE)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    assert len(read(path, 0, 30 * RATE)) == 30 * RATE
    assert len(opened) == 2


def test_memory_is_bounded_and_the_oldest_use_goes_first() -> None:
    held = HeldAudio(limit=100)

    def hold(name: str, size: int) -> None:
        held.hold(Passage(name, 0, np.full(size, ord(name), np.float32), True, 0))

    hold("a", 40)
    hold("b", 40)
    assert held.find("a", 10, 5) is not None
    hold("c", 40)  # in place of b
    assert [held.find(name, 0, 40) is not None for name in "abc"] == [True, False, True]
    hold("d", 101)
    assert [held.find(name, 0, 40) is not None for name in "acd"] == [True, True, False]
    held.clear()
    assert held.find("a", 0, 1) is None


@pytest.mark.parametrize(
    ("start", "length", "anywhere", "early", "found"),
    [
        (100, 50, False, -1, True), (100, 51, False, -1, False), (99, 10, True, 1000, False), (110, 10, False, -1, False),
        (110, 40, True, -1, True), (110, 10, False, 110, True), (110, 10, False, 109, False),
    ],
)  # fmt: skip
def test_what_a_passage_answers(start: int, length: int, anywhere: bool, early: int, found: bool) -> None:
    held = HeldAudio()
    held.hold(Passage("a", 100, np.arange(50, dtype=np.float32), anywhere, early))
    got = held.find("a", start, length)
    assert (got is not None) == found
    if got is not None:
        assert np.array_equal(got, np.arange(start - 100, start - 100 + length))
