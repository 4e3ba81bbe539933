"""The material of other tests is tested too: pieces land where they are said to, noise is as loud as it is said to be."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech import noise
from speech.cache import made_once
from speech.packaged import PACKAGED, TWO_CITIES, TWO_CITIES_SAID, cut, pyannote_said
from speech.prompts import VOICES, is_spoken
from speech.waves import RATE, decode, join, read_wave, write_wave


@given(st.lists(st.integers(1, 50), max_size=6), st.data())
def test_joined_clips_lie_where_their_spans_say(lengths: list[int], data: st.DataObject) -> None:
    clips = [np.full(length, index + 1, np.int16) for index, length in enumerate(lengths)]
    pauses = data.draw(st.lists(st.integers(0, 20), min_size=len(clips) + 1, max_size=len(clips) + 1))
    joined, spans = join(clips, pauses)
    assert [joined[start:end].tolist() for start, end in spans] == [clip.tolist() for clip in clips]
    assert len(joined) == sum(lengths) + sum(pauses)
    assert np.count_nonzero(joined) == sum(lengths)


def test_a_wave_reads_as_it_was_written(tmp_path: Path) -> None:
    samples = np.arange(-500, 500, dtype=np.int16)
    write_wave(tmp_path / "a" / "x.wav", samples)
    assert np.array_equal(read_wave(tmp_path / "a" / "x.wav"), samples)
    assert np.array_equal(decode(tmp_path / "a" / "x.wav"), samples)


@pytest.mark.parametrize("snr", [20.0, 5.0, 0.0, -5.0])
def test_noise_is_as_far_below_the_speech_as_asked(snr: float) -> None:
    rng = np.random.default_rng(1)
    speech = np.zeros(4 * RATE, np.int16)
    speech[RATE : 2 * RATE] = rng.normal(0, 900, RATE).astype(np.int16)
    mixed = noise.add_noise(speech, [(RATE, 2 * RATE)], noise.white(len(speech), rng), snr)
    measured = 10 * np.log10(noise.power(speech[RATE : 2 * RATE]) / noise.power(mixed[2 * RATE :]))
    assert measured == pytest.approx(snr, abs=0.1)


def test_a_loud_mixture_is_turned_down_and_not_clipped() -> None:
    loud = np.linspace(-60_000, 60_000, 1001)
    quiet = noise.to_pcm(loud)
    assert np.abs(quiet).max() == noise.PEAK
    assert np.allclose(quiet / quiet.max(), loud / loud.max(), atol=1e-3)


def test_babble_has_power_one_and_follows_its_seed() -> None:
    voices = [[np.random.default_rng(v).normal(0, 1000, 4000).astype(np.int16)] for v in range(3)]
    first, again = (noise.babble(voices, 10_000, np.random.default_rng(7)) for _ in range(2))
    assert noise.power(first) == pytest.approx(1)
    assert np.array_equal(first, again)


def test_a_telephone_band_keeps_a_thousand_hertz_and_loses_six_thousand() -> None:
    time_axis = np.arange(RATE) / RATE
    low, high = (np.rint(8000 * np.sin(2 * np.pi * hertz * time_axis)).astype(np.int16) for hertz in (1000, 6000))
    assert noise.power(noise.band_limit(low)) == pytest.approx(noise.power(low), rel=0.01)
    assert noise.power(noise.band_limit(high)) < 1e-3 * noise.power(high)


@pytest.mark.parametrize(
    ("key", "text", "spoken"),
    [
        ("activated", "Activated.", True),
        ("vm-helpexit", "Press star for help or pound to exit.", True),
        ("beep", "[this is a simple beep tone]", False),
        ("silence/3", "three seconds", False),
        ("confbridge-join", "<beep ascending>", False),
        ("letters/at", "at [@]", False),
        ("dots", "...", False),
    ],
)
def test_only_transcripts_of_speech_are_used(key: str, text: str, spoken: bool) -> None:
    assert is_spoken(key, text) is spoken


def test_prompts_of_every_language_are_pinned() -> None:
    assert all(len(voice.sha256) == 64 for voice in VOICES.values())


def test_packaged_recordings_are_the_ones_described() -> None:
    for recording in PACKAGED:
        assert len(recording.samples()) / RATE == pytest.approx(recording.seconds, abs=0.01)


def test_pieces_of_a_reading_are_speech_in_order() -> None:
    pieces = cut(TWO_CITIES, TWO_CITIES_SAID)
    assert all(noise.power(samples) > 1e4 for _, samples, _ in pieces)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(TWO_CITIES_SAID))
    turns = pyannote_said()
    assert turns[0][2] == "Hello?"
    assert all(start < end <= 30 for start, end, _ in turns)


def test_two_at_once_make_a_directory_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(work: Path) -> None:
        made.append(work)
        time.sleep(0.1)
        (work / "done").touch()

    threads = [threading.Thread(target=made_once, args=(tmp_path / "home", make)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert (tmp_path / "home" / "done").is_file()


def test_a_failed_make_leaves_nothing_to_be_found(tmp_path: Path) -> None:
    def fail(work: Path) -> None:
        (work / "half").touch()
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        made_once(tmp_path / "home", fail)
    assert not (tmp_path / "home").exists()
    assert [path.name for path in tmp_path.iterdir()] == [".home.lock"]
