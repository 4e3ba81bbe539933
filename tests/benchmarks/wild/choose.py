"""Which of the sound in a file is heard: made inputs, whose right value is what a recogniser hears in the clean speech.

The whole way of a run, without its books: decode, find speech, transcribe with a small recogniser. What was chosen is in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.stream import Disposition
from numpy.typing import NDArray

from benchmarks.wild.result import Result
from benchmarks.words import edits, english
from speech.packaged import BECKETT, ENDGAME, TWO_CITIES
from voxmill.manifests.records import Licence, Part, Provenance, Recording
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.decode.audio import Playback, read
from voxmill.operators.decode.probe import Decode, DecodeConfig, Mix
from voxmill.operators.segment.segment import FindSpeech, SegmentConfig
from voxmill.operators.transcribe.moonshine import MoonshineConfig
from voxmill.operators.transcribe.transcribe import Transcribe

RATE = 16_000
SECONDS = 20
"""Of the reading that is in most inputs."""

MOST_ERRORS = 0.1
"""Share of the clean speech's words that may be heard otherwise."""

SOURCES: dict[str, Mix] = {"chosen": "choose", "split": "split"}
"""What the config of a source says of its channels."""

Wave = NDArray[np.float32]
MAIN, COMMENT, BLIND, DUB = Disposition.default, Disposition.comment, Disposition.visual_impaired, Disposition.dub
NONE = Disposition(0)


@dataclass(frozen=True)
class Track:
    samples: Wave
    """Shape (channels, samples), at 16 kHz."""
    language: str = ""
    disposition: Disposition = NONE
    title: str = ""


@dataclass(frozen=True)
class Case:
    name: str
    file: str
    tracks: tuple[Track, ...]
    right: Wave
    """The clean speech whose words are to be heard."""
    chosen: Callable[[Recording], bool]
    """What the recording's row must say."""
    codec: str = "pcm_f32le"
    layout: str = ""
    language: str | None = None
    errors: float = MOST_ERRORS
    source: str = "chosen"
    """One of `SOURCES`."""


def write(path: Path, case: Case) -> None:
    """Streams are interleaved second by second, as players want them."""
    rate = RATE if case.codec.startswith("pcm") or case.codec == "flac" else 48_000
    with av.open(str(path), "w") as out:
        streams = []
        for track in case.tracks:
            layout = case.layout or {1: "mono", 2: "stereo"}[len(track.samples)]
            stream = out.add_stream(case.codec, rate=rate, layout=layout)
            stream.metadata.update({k: v for k, v in (("language", track.language), ("title", track.title)) if v})
            stream.disposition = track.disposition
            size = stream.codec_context.frame_size or 1024
            streams.append((track, stream, AudioResampler(stream.format, layout, rate, frame_size=size), layout))
        for begin in range(0, max(t.samples.shape[1] for t in case.tracks), RATE):
            for track, stream, resampler, layout in streams:
                block = np.ascontiguousarray(track.samples[:, begin : begin + RATE].T.reshape(1, -1), np.float32)
                if block.size:
                    frame = AudioFrame.from_ndarray(block, "flt", layout)
                    frame.sample_rate, frame.pts, frame.time_base = RATE, begin, Fraction(1, RATE)
                    for one in resampler.resample(frame):
                        out.mux(stream.encode(one))
        for _, stream, resampler, _ in streams:
            for one in resampler.resample(None):
                out.mux(stream.encode(one))
            out.mux(stream.encode(None))


class Ears:
    """Decode, detector and recogniser, loaded once."""

    def __init__(self) -> None:
        self._decode = Decode(DecodeConfig(), SOURCES)
        self._find_speech = FindSpeech(SegmentConfig())
        self._transcribe = Transcribe(MoonshineConfig())

    def decode(self, path: Path, language: str | None = None, source: str = "chosen") -> Recording:
        recording = Recording("r" * 64, "i" * 64, Provenance(source, str(path)), Licence(), audio=str(path), language=language)
        return self._decode(UnitInput(path.name, recordings=(recording,)))[0]

    def words(self, recording: Recording) -> tuple[str, ...]:
        part = Part(recording.id, 0, recording.num_samples)
        work = UnitInput("u", recordings=(recording,), parts=(part,))
        segments = tuple(s for s in self._find_speech(work) if s.rejection is None)
        heard = self._transcribe(UnitInput("u", recordings=(recording,), parts=(part,), segments=segments))
        return english(" ".join(one.text for one in heard))


def run(folder: Path, full: bool) -> Result:
    ears, wrong, rows = Ears(), list[str](), list[tuple[str, ...]]()
    rights: dict[int, tuple[str, ...]] = {}
    made = cases(TWO_CITIES.seconds if full else SECONDS)
    for number, case in enumerate(made):
        if id(case.right) not in rights:
            clean = folder / f"clean-{len(rights)}.wav"
            write(clean, Case("clean", clean.name, (Track(case.right[None]),), case.right, bool))
            rights[id(case.right)] = ears.words(ears.decode(clean))
        path = folder / f"{number:02d}-{case.file}"
        write(path, case)
        recording = ears.decode(path, case.language, case.source)
        faults = [recording.rejection.reason] if recording.rejection else []
        share = 1.0
        if not faults:
            right = rights[id(case.right)]
            share = edits(right, ears.words(recording)).errors / len(right)
            faults += [f"{share:.0%} of the words are heard otherwise"] if share > case.errors else []
            faults += [] if case.chosen(recording) else ["what was chosen is not what is right"]
            faults += _elsewhere(recording, case.codec.startswith("pcm"))
        wrong += [f"{case.name} ({path.name}): {fault}; {_choice(recording)}" for fault in faults]
        rows.append((case.name, path.suffix[1:], _choice(recording), f"{share:.0%}", "; ".join(faults) or "right"))
    header = ("input", "as", "what is heard of it", "other words", "")
    return Result("choose", len(made), 0, tuple(wrong), (header, *rows))


def _elsewhere(recording: Recording, exact: bool) -> list[str]:
    """What is heard from the middle must be what is heard from the beginning."""
    how, size = Playback.of(recording), recording.num_samples
    whole = read(how)
    cuts = [0, 1, size // 3, size // 2 + 12_345, size]
    parts = np.concatenate([read(how, begin, end - begin) for begin, end in pairwise(cuts)])
    if len(whole) != size or len(parts) != size:
        return [f"{size} samples were decoded, {len(whole)} are read, {len(parts)} in parts"]
    apart = float(np.abs(whole - parts).max())
    return [f"parts differ from the whole by {apart:g}"] if apart > (0 if exact else 1e-2) else []


def _choice(recording: Recording) -> str:
    said = []
    if recording.tracks:
        said.append(f"track {recording.track} of [{', '.join(recording.tracks)}]")
    if recording.channels:
        said.append("channels " + " ".join(f"{weight:g}" for weight in recording.channels))
    said += ["two talkers"] if recording.turns else []
    said += [f"offset {recording.dc:g}"] if recording.dc is not None else []
    said += [f"{recording.gain_db:+g} dB"] if recording.gain_db is not None else []
    return ", ".join(said) or "as it is"


def cases(seconds: float) -> list[Case]:
    reading = _speech(TWO_CITIES.samples())[: round(seconds * RATE)]
    other = _speech(ENDGAME.samples())[: len(reading)]
    short = _speech(BECKETT.samples())
    return [
        *_channels(reading),
        *_talkers(reading, other),
        *_levels(reading),
        *_offsets(reading),
        *_tracks(reading, other, short),
    ]


def _speech(samples: NDArray[np.int16]) -> Wave:
    return (samples / 32768).astype(np.float32)


def _channels(s: Wave) -> list[Case]:
    rng, time = np.random.default_rng(13), np.arange(len(s)) / RATE
    noise = rng.standard_normal((8, len(s))).astype(np.float32)
    hum = sum((0.2 / k * np.sin(2 * np.pi * 50 * k * time) for k in (1, 2, 3, 5, 7)), np.zeros(len(s))).astype(np.float32)
    chords = [np.sin(2 * np.pi * f * time * (1 + 0.5 * (np.arange(len(s)) // (2 * RATE) % 3))) for f in (110, 138.6, 164.8)]
    music = (0.1 * sum(chords, np.zeros(len(s)))).astype(np.float32)
    late: Wave = np.roll(s, 40)

    def weights(*wanted: float) -> Callable[[Recording], bool]:
        return lambda r: r.channels == wanted

    def mean(r: Recording) -> bool:
        return r.channels is None

    def stereo(name: str, left: Wave, right: Wave, chosen: Callable[[Recording], bool], **how: str) -> Case:
        return Case(name, how.pop("file", "a.wav"), (Track(np.stack([left, right])),), s, chosen, **how)  # type: ignore[arg-type]

    half = np.concatenate([s[: len(s) // 2], -s[len(s) // 2 :]])
    surround = np.stack([music + 0.01 * noise[0], music + 0.01 * noise[1], s, 2 * hum, 0.01 * noise[2], 0.01 * noise[3]])
    return [
        stereo("antiphase", s, -s, weights(0.5, -0.5)),
        stereo("antiphase in MP3", s, -s, weights(0.5, -0.5), file="a.mp3", codec="libmp3lame"),
        stereo("antiphase in AAC", s, -s, weights(0.5, -0.5), file="a.m4a", codec="aac"),
        stereo("antiphase, a little noise on each", s + 0.002 * noise[0], 0.002 * noise[1] - s, weights(0.5, -0.5)),
        stereo("antiphase in the second half", s, half, weights(1, 0)),
        stereo("left is dead", 0 * s, s, weights(0, 1)),
        stereo("right is dead", s, 0 * s, weights(1, 0)),
        stereo("right is faint hiss", s, 1e-3 * noise[0], weights(1, 0)),
        stereo("right is noise, louder than the speech", s, 0.2 * noise[0], weights(1, 0)),
        stereo("left is speech in noise, right is clean", 0.7 * s + 0.1 * noise[0], s, weights(0, 1)),
        stereo("left hums", hum, s, weights(0, 1)),
        stereo("both alike", s, s, mean),
        stereo("a room in stereo", s + 0.1 * late, 0.9 * s + 0.2 * late, mean),
        Case("5.1, speech in the centre", "a.wav", (Track(surround),), s, weights(0, 0, 1, 0, 0, 0), layout="5.1"),
        Case("5.1 in AC-3", "a.mkv", (Track(surround),), s, weights(0, 0, 1, 0, 0, 0), "ac3", "5.1"),
        Case("5.1, an empty centre", "a.wav", (Track(np.stack([s, s, 0 * s, 0 * s, 0 * s, 0 * s])),), s,
             weights(0.5, 0.5, 0, 0, 0, 0), layout="5.1"),
        Case("eight channels, one of them speech", "a.wav", (Track(np.stack([*(0.1 * noise[:5]), s, *(0.1 * noise[5:7])])),), s,
             weights(0, 0, 0, 0, 0, 1, 0, 0), layout="7.1"),
    ]  # fmt: skip


def _talkers(one: Wave, two: Wave) -> list[Case]:
    turn = (np.arange(len(one)) // (5 * RATE)) % 2 == 0
    left, right = np.where(turn, one, 0).astype(np.float32), np.where(turn, 0, two).astype(np.float32)
    both = left + right

    def heard(r: Recording) -> bool:
        return r.turns is True and (r.channels is None or min(r.channels) > 0)

    return [
        Case("two talkers", "a.wav", (Track(np.stack([left, right])),), both, heard, errors=0.2),
        Case("two talkers, one 30 dB softer", "b.wav", (Track(np.stack([left, 0.0316 * right])),), both, heard, errors=0.2),
        Case("two talkers, kept apart", "a.wav", (Track(np.stack([left, 0.0316 * right])),), np.concatenate([left, right]),
             lambda r: r.apart == 2 and r.turns is True, errors=0.2, source="split"),
    ]  # fmt: skip


def _levels(s: Wave) -> list[Case]:
    def louder(r: Recording) -> bool:
        return bool(r.gain_db and r.gain_db > 0)

    level = 10 * np.log10(np.mean(np.square(s, dtype=np.float64)))
    made = []
    for wanted, bits in ((-25, 16), (-50, 16), (-60, 16), (-70, 16), (-95, 24)):
        samples = s[None] * np.float32(10 ** ((wanted - level) / 20))
        chosen = louder if wanted < -40 else lambda r: r.gain_db is None
        made.append(Case(f"speech at {wanted} dB, {bits} bits", "a.wav", (Track(samples),), s, chosen, f"pcm_s{bits}le"))
    clicks = np.where(np.arange(len(s)) % 70_000 == 9, 0.95, 0).astype(np.float32)
    return [
        *made,
        Case("-40 dB, and clicks of full scale", "a.wav", (Track((0.01 * s + clicks)[None]),), s, louder, errors=0.2),
        Case("clipped at full scale", "a.wav", (Track(np.clip(8 * s, -1, 1)[None]),), s, lambda r: not louder(r), "pcm_s16le", errors=0.2),
        Case("twenty times full scale, as floats", "a.wav", (Track(20 * s[None]),), s, lambda r: (r.gain_db or 0) < 0),
    ]  # fmt: skip


def _offsets(s: Wave) -> list[Case]:
    time = np.arange(len(s)) / RATE
    offsets = {
        **{f"offset {dc:g}": dc + 0 * time for dc in (0.05, 0.1, 0.2, -0.5)},
        "offset that drifts": 0.3 * np.sin(2 * np.pi * 0.15 * time),
        "offset that jumps": np.where(time > 7, 0.3, -0.1),
        "offset under soft speech": 0.02 + 0 * time,
    }
    made = []
    for name, offset in offsets.items():
        loud = 0.01 if "soft" in name else 1.0
        samples = np.clip(loud * s + offset, -1, 1).astype(np.float32)[None]
        made.append(Case(name, "a.wav", (Track(samples),), s, lambda r: r.dc is not None, "pcm_s16le"))
    return made


def _tracks(english: Wave, german: Wave, short: Wave) -> list[Case]:
    """What stands for another language is another reading."""

    def number(wanted: int) -> Callable[[Recording], bool]:
        return lambda r: r.track == wanted

    e, g, c = english[None], german[None], np.tile(short, 3)[None, : len(english)]
    made = []
    for suffix, codec in (("mkv", "libopus"), ("mp4", "aac"), ("ts", "aac")):
        pair = (Track(g, "ger", MAIN), Track(e, "eng"))
        made.append(
            Case("German first, the source is English", f"a.{suffix}", pair, english, number(2), codec, language="en-GB")
        )
        back = (Track(e, "eng"), Track(g, "deu", MAIN))
        made.append(Case("German second, the source is English", f"a.{suffix}", back, english, number(1), codec, language="en"))
    film = (Track(c, "eng", COMMENT), Track(c, "eng", BLIND), Track(e, "eng"), Track(g, "fre", MAIN))
    titled = (Track(c, "eng", MAIN, "Director's commentary"), Track(e, "eng", NONE, "Stereo"))
    return [
        *made,
        Case("the default, no language asked for", "a.mkv", (Track(g, "ger"), Track(e, "eng", MAIN)), english, number(2), "libopus"),
        Case("commentary and description first", "a.mkv", film, english, number(3), "libopus", language="en"),
        Case("a commentary by its title only", "a.mkv", titled, english, number(2), "libopus", language="en"),
        Case("no track in the source's language", "a.mkv", (Track(g, "ger"), Track(e, "eng", MAIN)), english,
             lambda r: r.track == 2 and r.language is None, "libopus", language="ja"),
        Case("no track says its language", "a.mkv", (Track(e, "", MAIN), Track(g)), english,
             lambda r: r.track == 1 and r.language == "en", "libopus", language="en"),
        Case("antiphase in the second track", "a.mkv", (Track(np.stack([german, german]), "fre", MAIN),
             Track(np.stack([english, -english]), "eng")), english,
             lambda r: r.track == 2 and r.channels == (0.5, -0.5), "flac", language="en"),
    ]  # fmt: skip


__all__: Sequence[str] = ("cases", "run")
