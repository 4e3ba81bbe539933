"""Odd files with their right values: how many seconds are decoded, how many are lost, or by what name the whole is refused."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.faults.media import patched, wav
from benchmarks.wild.encode import Maker, played
from speech.waves import RATE, Pcm

KEPT = "kept"


@dataclass(frozen=True)
class Made:
    what: str
    path: Path
    expected: str | tuple[str, ...] = KEPT
    """A reason, or one of several."""
    seconds: float | None = None
    """That are decoded; None: as many as the oracle decodes."""
    lost: float = 0.0
    """Seconds that are `decode.lost`, within a fifth of a second."""
    total: float | None = None
    """Seconds that are decoded or lost, where nobody can say how many of each."""


Cases = Iterator[Made]


def made(make: Maker) -> Cases:
    for part in (_headers, _lengths, _numbers, _seeks, _chains, _streams, _indices, _telephone, _whole):
        yield from part(make)


def _headers(make: Maker) -> Cases:
    pcm = make.speech(3)
    good = wav(pcm)
    table: list[tuple[str, int, str, int, str | tuple[str, ...]]] = [
        ("738205504 Hz", 24, "<I", 738205504, "decode.corrupt"),
        ("0 Hz", 24, "<I", 0, "decode.corrupt"),
        ("1 Hz", 24, "<I", 1, "decode.corrupt"),
        ("4294967295 Hz", 24, "<I", 0xFFFFFFFF, "decode.corrupt"),
        ("0 channels", 22, "<H", 0, ("decode.not_audio", "decode.corrupt")),
        ("255 channels", 22, "<H", 255, "decode.corrupt"),
        ("65535 channels", 22, "<H", 65535, ("decode.not_audio", "decode.corrupt")),
        ("0 bits", 34, "<H", 0, ("decode.not_audio", "decode.corrupt")),
        ("3 bits", 34, "<H", 3, KEPT),
        ("65535 bits", 34, "<H", 65535, ("decode.not_audio", "decode.corrupt")),
        ("codec 0xbeef", 20, "<H", 0xBEEF, ("decode.not_audio", "decode.corrupt")),
    ]
    for what, offset, form, value, expected in table:
        yield Made(
            f"wav: header says {what}",
            make.write(f"{what.replace(' ', '-')}.wav", patched(good, offset, form, value)),
            expected,
        )
    twice = patched(patched(good, 24, "<I", 4000), 28, "<I", 8000)
    yield Made("wav: 4 kHz", make.write("slow.wav", twice), seconds=12)


def _lengths(make: Maker) -> Cases:
    pcm = make.speech(3)
    good = wav(pcm)
    for what, value in {"zero": 0, "2^32-1, as a stream has it": 0xFFFFFFFF, "2^31-1": 0x7FFFFFFF}.items():
        content = patched(patched(good, 40, "<I", value), 4, "<I", min(0xFFFFFFFF, value + 36))
        yield Made(f"wav: length {what}", make.write(f"length-{value}.wav", content), seconds=3)
    double = patched(patched(good, 40, "<I", 2 * 2 * len(pcm)), 4, "<I", 36 + 4 * len(pcm))
    yield Made("wav: half of it came", make.write("half.wav", double), seconds=3, lost=3)
    chunk = b"LIST" + struct.pack("<I", 4004) + b"INFO" + b"\x7f" * 4000
    yield Made("wav: a chunk after the samples", make.write("trailing.wav", good + chunk), seconds=3)
    yield Made("wav after wav", make.write("twice.wav", good + wav(make.speech(2))), seconds=5)
    early = make.ff("early.m4a", pcm, "-c:a", "aac", "-movflags", "+faststart")
    yield Made("mp4: index first, cut in its middle", make.cut(early, 0.5), total=3)
    for suffix, how in {
        "w64": (),
        "caf": ("-c:a", "pcm_s16le"),
        "aiff": (),
        "au": (),
        "tta": (),
        "flv": ("-ar", "44100"),
    }.items():
        path = make.cut(make.ff(f"cut.{suffix}", pcm, *how), 0.6)
        yield Made(f"{suffix}: cut in its middle", path, total=3)
    yield Made("mp4: index last, cut off", make.cut(make.ff("late.m4a", pcm, "-c:a", "aac"), 0.7), "decode.corrupt")
    yield Made("flac: cut in its middle", make.cut(make.ff("cut.flac", pcm), 0.5), total=3)
    yield Made("mp3: cut in its middle", make.cut(make.ff("cut.mp3", pcm, "-b:a", "64k"), 0.5), total=3)
    yield Made("matroska: cut in its middle", make.cut(make.ff("cut.mka", pcm, "-c:a", "libopus", "-b:a", "32k"), 0.5), total=3)
    lies = make.ff("lies.m4a", pcm, "-c:a", "aac").read_bytes()
    at = lies.index(b"mdhd") + 4 + 16
    yield Made("mp4: a track of 37 hours", make.write("hours.m4a", patched(lies, at, ">I", 0x7FFFFFFF)), seconds=3)


def _numbers(make: Maker) -> Cases:
    values = (make.speech(3) / 32768).astype("<f4")
    values[RATE // 2 : RATE] = np.nan
    values[RATE : RATE + 10] = np.inf
    values[RATE + 20 : RATE + 30] = -np.inf
    values[2 * RATE : 2 * RATE + 1000] = 1e-42
    values[40_000:40_010] = 3e38
    yield Made("wav: floats that are no numbers", make.write("nan.wav", floats(values)), seconds=3)
    yield Made("wav: nothing but NaN", make.write("all-nan.wav", floats(np.full(2 * RATE, np.nan, "<f4"))), seconds=2)
    yield Made("wav: nothing but infinity", make.write("inf.wav", floats(np.full(2 * RATE, np.inf, "<f4"))), seconds=2)


def floats(values: NDArray[np.float32]) -> bytes:
    """A wav of 32-bit floats."""
    data = values.tobytes()
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 3, 1, RATE, RATE * 4, 4, 32, b"data", len(data)
    )
    return head + data


def _seeks(make: Maker) -> Cases:
    """Chunks of a length that leads to before the beginning."""
    pcm = make.speech(2)
    w64 = make.ff("plain.w64", pcm).read_bytes()
    at = w64.index(b"fmt ") + 16
    yield Made("w64: a chunk of negative length", make.write("back.w64", patched(w64, at, "<q", -(1 << 40))), REFUSED)
    caf = make.ff("plain.caf", pcm, "-c:a", "pcm_s16le").read_bytes()
    for name, value in {"negative": -(1 << 20), "huge": (1 << 62)}.items():
        content = caf[:8] + b"free" + struct.pack(">q", value) + caf[8:]
        yield Made(f"caf: a chunk of {name} length", make.write(f"{name}.caf", content), REFUSED)
    wma = make.ff("plain.wma", pcm, "-c:a", "wmav2").read_bytes()
    yield Made("wma: an object of negative length", make.write("back.wma", patched(wma, 30 + 16, "<q", -(1 << 33))), REFUSED)
    aiff = make.ff("plain.aiff", pcm).read_bytes()
    yield Made("aiff: a chunk of 4 GB", make.write("long.aiff", aiff[:12] + b"ANNO\xff\xff\xff\xf0" + aiff[12:]), REFUSED)


REFUSED = ("decode.not_audio", "decode.corrupt", "decode.empty")


def _chains(make: Maker) -> Cases:
    """Files one after the other in one file."""
    a, b, c = make.speech(3), make.speech(2), make.speech(4)
    opus = [make.ff("1.opus", a, "-ac", "1"), make.ff("2.opus", b, "-ac", "2"), make.ff("3.opus", c, "-ac", "1")]
    yield Made("ogg: chained opus of 1 and 2 channels", make.join("chain.opus", opus), seconds=9)
    vorbis = [
        make.ff("1.ogg", a, "-c:a", "libvorbis", "-ar", "44100"),
        make.ff("2.ogg", b, "-c:a", "libvorbis", "-ar", "22050", "-ac", "2"),
        make.ff("3.ogg", c, "-c:a", "libvorbis", "-ar", "48000"),
    ]
    yield Made("ogg: chained vorbis of three rates", make.join("chain.ogg", vorbis), seconds=9)
    flac = [
        make.ff("1.oga", a, "-c:a", "flac", "-ar", "16000"),
        make.ff("2.oga", b, "-c:a", "flac", "-ar", "48000", "-ac", "2"),
    ]
    yield Made("ogg: chained flac of two rates", make.join("chain.oga", flac), seconds=5)
    yield Made("ogg: opus, then vorbis", make.join("mixed.ogg", [opus[0], vorbis[1]]), seconds=5)
    yield Made("ogg: twenty links", make.join("twenty.opus", opus[:2] * 10), seconds=50)
    mp3 = [
        make.ff("1.mp3", a, "-ar", "44100"),
        make.ff("2.mp3", b, "-ar", "22050"),
        make.ff("3.mp3", c, "-ar", "44100", "-ac", "2"),
    ]
    yield Made("mp3: three, with their tags between", make.join("chain.mp3", mp3))
    aac = [
        make.ff("1.aac", a, "-ar", "44100"),
        make.ff("2.aac", b, "-ar", "22050"),
        make.ff("3.aac", c, "-ar", "48000", "-ac", "2"),
    ]
    yield Made("aac: three rates", make.join("chain.aac", aac))
    plain = [make.ff("1.flac", a), make.ff("2.flac", b)]
    yield Made("flac after flac", make.join("chain.flac", plain), seconds=5)
    mka = [make.ff("1.mka", a, "-c:a", "libopus"), make.ff("2.mka", b, "-c:a", "aac")]
    yield Made("matroska after matroska", make.join("chain.mka", mka), seconds=sum(map(played, mka)))
    m4a = [make.ff("1.m4a", a, "-c:a", "aac", "-movflags", "+faststart"), make.ff("2.m4a", b, "-c:a", "aac", "-ar", "48000")]
    yield Made("mp4 after mp4", make.join("chain.m4a", m4a), seconds=5)


def _streams(make: Maker) -> Cases:
    """Streams that appear, move or change on the way."""
    a, b, c = make.speech(3), make.speech(2), make.speech(4)

    def ts(name: str, pcm: Pcm, *how: str) -> Path:
        return make.ff(name, pcm, *how, "-f", "mpegts")

    first, last = ts("a.ts", a, "-c:a", "aac"), ts("c.ts", c, "-c:a", "aac")
    moved = ts("b.ts", b, "-c:a", "aac", "-mpegts_start_pid", "0x200")
    yield Made(
        "ts: an advert on another PID",
        make.join("advert.ts", [first, moved, last]),
        seconds=sum(map(played, [first, moved, last])),
    )
    late = ts("long.ts", np.tile(make.speech(20), 4), "-c:a", "aac", "-b:a", "160k", "-ar", "44100")
    yield Made(
        "ts: the same after the probe's window",
        make.join("late.ts", [late, moved, late]),
        seconds=sum(map(played, [late, moved, late])),
    )
    mp2 = ts("m.ts", b, "-c:a", "mp2", "-ar", "48000")
    yield Made(
        "ts: aac, then mp2, then aac", make.join("codec.ts", [first, mp2, last]), seconds=sum(map(played, [first, mp2, last]))
    )
    many = [ts(f"{n}.ts", make.speech(1), "-c:a", "aac", "-mpegts_start_pid", str(0x100 + 7 * n)) for n in range(40)]
    yield Made("ts: forty stretches on forty PIDs", make.join("forty.ts", many), seconds=40 * played(many[0]))
    services = [ts(f"s{n}.ts", b, "-c:a", "aac", "-mpegts_service_id", str(n)) for n in (1, 9)]
    yield Made("ts: one programme, then another", make.join("services.ts", services), seconds=sum(map(played, services)))
    rate = ts("r.ts", b, "-c:a", "aac", "-ar", "24000")
    yield Made("ts: another rate on the same PID", make.join("rate.ts", [first, rate]), seconds=sum(map(played, [first, rate])))
    pieces = ("-c:a", "aac", "-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-frag_duration", "500000")
    heads = [make.ff("f1.mp4", a, *pieces), make.ff("f2.mp4", b, *pieces, "-ar", "48000", "-ac", "2")]
    yield Made("mp4: a second head between fragments", make.join("heads.mp4", heads), seconds=5)
    for suffix, how in {"ts": "aac", "mpg": "mp2", "flv": "libmp3lame", "mkv": "aac"}.items():
        yield Made(f"{suffix}: the sound begins long after the picture", make.film(f"film.{suffix}", c, 12, how))
    hole = make.ff("hole.mka", c, "-c:a", "libopus", "-af", "asetpts=PTS+gt(T\\,2)*3/TB")
    yield Made("matroska: three seconds missing in its middle", hole, seconds=4, lost=3)


def _indices(make: Maker) -> Cases:
    """Delays and edits that a player honours."""
    pcm = make.speech(3)
    for suffix, how in {"mp3": (), "m4a": ("-c:a", "aac"), "opus": ()}.items():
        yield Made(f"{suffix}: the encoder's delay is not heard", make.ff(f"delay.{suffix}", pcm, *how), seconds=3)
    cut = make.copy("edit.m4a", make.ff("whole.m4a", pcm, "-c:a", "aac"), "-ss", "1")
    yield Made("mp4: an edit list that begins later", cut)


def _telephone(make: Maker) -> Cases:
    pcm = make.speech(3)
    yield Made("NIST SPHERE, 16 bits", make.write("a.sph", sphere(pcm, 2, "pcm", pcm.astype("<i2").tobytes())), seconds=3)
    low = make.ff("ulaw.wav", pcm, "-ar", "8000", "-c:a", "pcm_mulaw", "-f", "mulaw").read_bytes()
    yield Made("NIST SPHERE, mu-law", make.write("u.sph", sphere(pcm[::2], 1, "ulaw", low, 8000)), seconds=3)
    packed = sphere(pcm, 2, "pcm,embedded-shorten-v2.00", b"ajkg\2" + bytes(4000))
    yield Made("NIST SPHERE, shorten that is broken", make.write("shorten.sph", packed), REFUSED)
    table: dict[str, tuple[str, ...]] = {
        "gsm": ("-ar", "8000", "-c:a", "libgsm"), "g722": ("-c:a", "g722"), "au": (), "aifc": ("-c:a", "pcm_alaw", "-f", "aiff"),
        "voc": ("-c:a", "pcm_u8",), "w64": (), "caf": ("-c:a", "pcm_s16le"), "ac3": ("-ar", "48000"), "tta": (), "wv": (), "mp2": (),
        "wma": ("-c:a", "wmav2"), "flv": ("-c:a", "libmp3lame", "-ar", "44100"), "avi": ("-c:a", "mp2"), "spx": ("-c:a", "libspeex", "-f", "ogg"),
    }  # fmt: skip
    for suffix, how in table.items():
        yield Made(f"{suffix}: a plain one", make.ff(f"plain.{suffix}", pcm, *how))


def sphere(pcm: Pcm, width: int, coding: str, data: bytes, rate: int = RATE) -> bytes:
    """A NIST SPHERE file, the format of LDC's corpora."""
    fields = {
        "sample_rate": f"-i {rate}", "channel_count": "-i 1", "sample_n_bytes": f"-i {width}", "sample_byte_format": "-s2 01",
        "sample_coding": f"-s{len(coding)} {coding}", "sample_count": f"-i {len(pcm)}",
    }  # fmt: skip
    head = "NIST_1A\n   1024\n" + "".join(f"{name} {value}\n" for name, value in fields.items()) + "end_head\n"
    return head.encode().ljust(1024) + data


def _whole(make: Maker) -> Cases:
    yield Made("nothing", make.write("nothing.mp3", b""), "decode.empty")
    yield Made("text", make.write("text.ogg", b"no sound here\n" * 99), REFUSED)
    yield Made("an Ogg page and no more", make.write("page.ogg", b"OggS\0\2" + bytes(21)), REFUSED)
    yield Made(
        "a box that says it is longer than all files", make.write("box.mp4", b"\0\0\0\1ftyp" + b"\xff" * 8 + bytes(99)), REFUSED
    )
    yield Made("zeros", make.write("zeros.ts", bytes(50_000)), REFUSED)
