"""Which sound of a file is heard, by what is measured of it; and that it is the same sound wherever reading begins."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from av.audio.frame import AudioFrame
from av.stream import Disposition
from numpy.typing import NDArray

from voxmill.manifests.records import Licence, Provenance, Recording
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.audio import AudioReader, Playback, read
from voxmill.operators.decode.probe import Decode, DecodeConfig, Mix
from voxmill.operators.decode.tracks import Track, choose_track
from voxmill.pipeline.state.units import UnitConfig, form_units

pytestmark = pytest.mark.xdist_group("decode")

RATE = 16_000
ENOUGH = slice(24 * RATE)
"""As much as most tests need."""
Wave = NDArray[np.float32]


def decoded(path: str | Path, language: str | None = None, channels: Mix = "choose") -> Recording:
    recording = Recording("r" * 64, "i" * 64, Provenance("here", str(path)), Licence(), audio=str(path), language=language)
    [found] = Decode(DecodeConfig(), {"here": channels})(UnitInput("u", recordings=(recording,)))
    assert found.rejection is None, found.rejection
    return found


def saved(folder: Path, samples: NDArray[np.floating], *, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    path = folder / "made.wav"
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def likeness(heard: Wave, wanted: Wave) -> float:
    """1: the same sound, however loud."""
    size = min(len(heard), len(wanted))
    a, b = heard[:size].astype(np.float64), wanted[:size].astype(np.float64)
    return abs(float(a @ b) / max(1e-12, float(np.linalg.norm(a) * np.linalg.norm(b))))


@pytest.fixture(scope="module")
def noise(speech: Wave) -> Wave:
    return np.random.default_rng(7).standard_normal(len(speech)).astype(np.float32)


@pytest.fixture(scope="module")
def hum(speech: Wave) -> Wave:
    time = np.arange(len(speech)) / RATE
    return sum(0.1 / k * np.sin(2 * np.pi * 50 * k * time) for k in (1, 3, 5, 7)).astype(np.float32)  # type: ignore[union-attr]


Channels = Callable[[Wave, Wave, Wave], list[Wave]]
MADE: dict[str, Channels] = {
    "antiphase": lambda s, n, h: [s, -s],
    "antiphase, one weaker": lambda s, n, h: [s, -0.6 * s],
    "antiphase for half of the time": lambda s, n, h: [s, np.concatenate([s[: len(s) // 2], -s[len(s) // 2 :]])],
    "left is dead": lambda s, n, h: [0 * s, s],
    "right hisses": lambda s, n, h: [s, 1e-3 * n],
    "right is louder noise": lambda s, n, h: [s, 0.3 * n],
    "right is the same in noise": lambda s, n, h: [s, 0.5 * s + 0.1 * n],
    "left hums": lambda s, n, h: [h, s],
    "three, one of them speech": lambda s, n, h: [0.1 * n, s, h],
    "centre of 5.1": lambda s, n, h: [h, 0.02 * n, s, 3 * h, 0.01 * n, 0.01 * n[::-1]],
}


@pytest.mark.parametrize("name", MADE)
def test_speech_is_heard_and_what_spoils_it_is_not(name: str, tmp_path: Path, speech: Wave, noise: Wave, hum: Wave) -> None:
    speech, noise, hum = speech[ENOUGH], noise[ENOUGH], hum[ENOUGH]
    path = saved(tmp_path, np.stack(MADE[name](speech, noise, hum), axis=1))
    recording = decoded(path)
    assert likeness(read(Playback.of(recording)), speech) > 0.999
    assert likeness(read(str(path)), speech) < 0.98 or name in ("left is dead", "right hisses", "antiphase, one weaker")
    assert recording.channels is not None


def test_a_good_recording_is_left_as_it_is(tmp_path: Path, speech: Wave, noise: Wave) -> None:
    wide = 0.1 * speech
    for channels in ([speech], [speech, speech], [speech + wide, speech - wide], [speech + 0.003 * noise, speech]):
        path = saved(tmp_path, np.stack(channels, axis=1))
        recording = decoded(path)
        assert (recording.channels, recording.dc, recording.gain_db) == (None, None, None)
        np.testing.assert_array_equal(read(Playback.of(recording)), read(str(path)))


def test_one_channel_is_known_as_what_it_is_alone(tmp_path: Path, speech: Wave, noise: Wave) -> None:
    """A rewrapped copy has the same hash; two files that cancel alike are not copies of one another."""
    alone = decoded(saved(tmp_path, speech)).pcm_sha256
    assert decoded(saved(tmp_path, np.stack([0.3 * noise, speech], axis=1))).pcm_sha256 == alone
    assert decoded(saved(tmp_path, np.stack([speech, speech], axis=1))).pcm_sha256 == alone
    one = decoded(saved(tmp_path, np.stack([speech, -speech], axis=1))).pcm_sha256
    assert one != decoded(saved(tmp_path, np.stack([speech[::-1], -speech[::-1]], axis=1))).pcm_sha256


def test_a_source_may_ask_for_the_mean(tmp_path: Path, speech: Wave, noise: Wave) -> None:
    recording = decoded(saved(tmp_path, np.stack([speech, 0.3 * noise], axis=1)), channels="mix")
    assert recording.channels is None


@pytest.mark.parametrize("softer", [1.0, 0.03])
def test_two_talkers_are_both_heard(softer: float, tmp_path: Path, speech: Wave) -> None:
    turn = (np.arange(len(speech)) // (4 * RATE)) % 2
    left, right = speech * (turn == 0), np.roll(speech, len(speech) // 2) * (turn == 1)
    recording = decoded(saved(tmp_path, np.stack([left, softer * right], axis=1)))
    assert recording.turns is True
    assert likeness(read(Playback.of(recording)), left + right) > 0.98


def test_two_talkers_may_be_kept_apart(tmp_path: Path, speech: Wave, noise: Wave) -> None:
    turn = (np.arange(len(speech)) // (4 * RATE)) % 2
    left, right = speech * (turn == 0), 0.03 * np.roll(speech, len(speech) // 2) * (turn == 1)
    recording = decoded(saved(tmp_path, np.stack([left, 0.1 * noise, right], axis=1)), channels="split")
    assert (recording.apart, recording.num_samples) == (2, 2 * len(speech))
    how = Playback.of(recording)
    whole = read(how)
    first, second = whole[: len(speech)], whole[len(speech) :]
    assert likeness(first, left) > 0.99
    assert likeness(second, right) > 0.99
    assert 0.5 < np.linalg.norm(first) / np.linalg.norm(second) < 2
    cut = len(speech) - 1000
    np.testing.assert_array_equal(read(how, cut, 5000), whole[cut : cut + 5000])
    np.testing.assert_array_equal(AudioReader(how, RATE).read(len(speech) + 77, 999), second[77:1076])
    alike = decoded(saved(tmp_path, np.stack([speech, speech], axis=1)), channels="split")
    assert (alike.apart, alike.num_samples) == (None, len(speech))
    units = form_units([recording], UnitConfig(seconds=30))
    assert [(p.start, p.num_samples) for u, _ in units for p in u.parts] == [
        (begin + at, min(30 * RATE, len(speech) - at)) for begin in (0, len(speech)) for at in (0, 30 * RATE)
    ]


@pytest.mark.parametrize("lowered", [20, 40, 50, 60])
def test_soft_speech_is_heard_at_a_usual_level(lowered: int, tmp_path: Path, speech: Wave) -> None:
    speech = speech[ENOUGH]
    recording = decoded(saved(tmp_path, speech * 10 ** (-lowered / 20), subtype="PCM_24"))
    heard = read(Playback.of(recording))
    assert recording.gain_db is not None
    assert likeness(heard, speech) > 0.999
    assert 0.015 < float(np.sqrt(np.mean(heard**2))) < 0.2
    assert abs(heard).max() < 1


def test_only_what_speaks_is_made_louder(tmp_path: Path, noise: Wave, hum: Wave) -> None:
    for sound in (1e-3 * noise, 1e-2 * hum, 0 * hum):
        assert decoded(saved(tmp_path, sound, subtype="PCM_24")).gain_db is None


def test_clicks_do_not_keep_speech_soft_and_nothing_reaches_full_scale(tmp_path: Path, speech: Wave) -> None:
    clicks = np.where(np.arange(len(speech)) % 50_000 == 7, 0.9, 0)
    recording = decoded(saved(tmp_path, 0.003 * speech + clicks))
    heard = read(Playback.of(recording))
    assert recording.gain_db
    assert recording.gain_db > 25
    assert abs(heard).max() < 1


def test_more_than_full_scale_is_brought_back(tmp_path: Path, speech: Wave) -> None:
    recording = decoded(saved(tmp_path, speech * 12, subtype="FLOAT"))
    heard = read(Playback.of(recording))
    assert abs(heard).max() < 1
    assert likeness(heard, speech) > 0.999


def _drift(size: int, name: str) -> Wave:
    time = np.arange(size) / RATE
    made = {
        "constant": 0.2 + 0 * time,
        "small": 0.05 + 0 * time,
        "large": -0.5 + 0 * time,
        "drifts": 0.3 * np.sin(2 * np.pi * 0.1 * time),
        "jumps": np.where(time > 20, 0.3, -0.1),
    }
    return made[name].astype(np.float32)


@pytest.mark.parametrize("name", ["constant", "small", "large", "drifts", "jumps"])
def test_an_offset_is_taken_off(name: str, tmp_path: Path, speech: Wave) -> None:
    recording = decoded(saved(tmp_path, speech + _drift(len(speech), name)))
    heard = read(Playback.of(recording))
    assert recording.dc is not None
    if name in ("constant", "small", "large"):
        assert recording.dc == pytest.approx(_drift(1, name)[0], abs=0.002)
    assert abs(float(heard.mean())) < 1e-3
    assert likeness(heard, speech) > (0.995 if name != "jumps" else 0.85)
    assert recording.pcm_sha256 != decoded(saved(tmp_path, speech)).pcm_sha256


@pytest.mark.parametrize(
    ("codec", "name", "near"), [("pcm_s16le", "a.wav", 0.0), ("flac", "a.flac", 0.0), ("libmp3lame", "a.mp3", 1e-4)]
)
def test_the_same_is_heard_wherever_reading_begins(codec: str, name: str, near: float, speech: Wave, encode: Callable[..., Path]) -> None:  # fmt: skip
    soft = 0.01 * speech[ENOUGH] + 0.02
    path = encode(name, np.stack([soft, -soft], axis=1), codec, rate=44_100)
    recording = decoded(path)
    assert (recording.channels, recording.dc is None, recording.gain_db is None) == ((0.5, -0.5), False, False)
    how = Playback.of(recording)
    whole = read(how)
    assert len(whole) == recording.num_samples
    cuts = [0, 1, 3199, 3200, 3201, 16_000 * 12 + 5, 16_000 * 19 + 1601, len(whole) - 10, len(whole) + 5]
    joined = np.concatenate([read(how, start, end - start) for start, end in pairwise(cuts)])
    np.testing.assert_allclose(joined, whole, rtol=0, atol=near)
    late = AudioReader(how, 16_000 * 12)
    np.testing.assert_allclose(late.read(16_000 * 18, 5000), whole[16_000 * 18 :][:5000], rtol=0, atol=near)


def test_what_is_not_said_is_as_it_was(tmp_path: Path, speech: Wave) -> None:
    """Recordings of older runs have none of these fields: they are heard as they were then."""
    path = saved(tmp_path, np.stack([0.01 * speech + 0.1, 0 * speech], axis=1))
    old = Recording("r", "i", Provenance("here", str(path)), Licence(), audio=str(path))
    np.testing.assert_array_equal(read(Playback.of(old)), read(str(path)))
    assert float(read(str(path)).mean()) == pytest.approx(0.05, abs=1e-3)


def film(path: Path, tracks: list[tuple[Wave, str, Disposition | None]]) -> Path:
    """A file with a sound track for each of (samples, language, disposition), a second of each in turn."""
    with av.open(str(path), "w") as out:
        codec = "aac" if path.suffix in (".mp4", ".ts") else "libopus"
        streams = []
        for _, language, disposition in tracks:
            stream = out.add_stream(codec, rate=48_000, layout="mono")
            if language:
                stream.metadata["language"] = language
            stream.disposition = disposition or Disposition(0)
            streams.append(stream)
        size = max(len(samples) for samples, _, _ in tracks)
        for begin in range(0, size, RATE):
            for (samples, _, _), stream in zip(tracks, streams, strict=True):
                wide = np.repeat(samples[begin : begin + RATE], 3)
                if len(wide):
                    pcm = np.rint(np.clip(wide, -1, 1) * 32767).astype(np.int16)[None]
                    frame = AudioFrame.from_ndarray(pcm, "s16", "mono")
                    frame.sample_rate, frame.pts, frame.time_base = 48_000, begin * 3, Fraction(1, 48_000)
                    out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    return path


def spoken(path: Path, language: str | None, speech: Wave) -> tuple[bool, Recording]:
    """Whether the speech is what is heard (and not the tone)."""
    recording = decoded(path, language)
    heard = read(Playback.of(recording))
    spectrum = np.abs(np.fft.rfft(heard[RATE : 9 * RATE])) ** 2
    return bool(np.sort(spectrum)[-20:].sum() < 0.5 * spectrum.sum()), recording


@pytest.mark.parametrize("name", ["film.mkv", "film.mp4", "film.ts"])
@pytest.mark.parametrize("first", [True, False])
def test_the_track_in_the_language_of_the_source_is_heard(name: str, first: bool, tmp_path: Path, speech: Wave) -> None:
    tone = (0.2 * np.sin(np.arange(10 * RATE) * 0.3)).astype(np.float32)
    tracks = [(speech[: 10 * RATE], "eng", None), (tone, "ger", Disposition.default)]
    path = film(tmp_path / name, tracks if first else tracks[::-1])
    for language, wanted in (("en", True), ("en-US", True), ("de", False)):
        heard, recording = spoken(path, language, speech)
        assert heard is wanted
        assert recording.track == (1 if wanted is first else 2)
        assert recording.tracks is not None
        assert sorted(line.split()[0] for line in recording.tracks) == ["eng", "ger"]
        assert recording.language == language
    _, french = spoken(path, "fr", speech)
    assert french.track is not None
    assert french.language is None  # no track is in it: nobody may take what is heard for French


@pytest.mark.parametrize(
    ("tracks", "language", "number"),
    [
        ((Track("eng", aside=("comment",), default=True), Track("eng")), "en", 2),
        ((Track("eng", title="Director's commentary"), Track("eng")), None, 2),
        ((Track("eng", aside=("visual_impaired",)), Track("ger", default=True)), "en", 1),
        ((Track("fre"), Track("fra", default=True)), "fr-CA", 2),
        ((Track("chi"), Track("jpn", best=True)), "cmn-Hans", 1),
        ((Track("ger", default=True), Track()), "en", 2),
        ((Track("eng", playable=False), Track("ger")), "en", 2),
        ((Track("und", default=True), Track("eng", aside=("dub",))), "en", 2),
        ((Track(), Track(best=True), Track()), None, 2),
    ],
)
def test_the_choice_among_tracks(tracks: tuple[Track, ...], language: str | None, number: int) -> None:
    assert choose_track(tracks, language) == number
