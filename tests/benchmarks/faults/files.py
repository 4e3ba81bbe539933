"""Bad files on this machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.faults import media
from benchmarks.faults.cases import KEPT, Case
from speech.waves import RATE, Pcm

MAX_BYTES = 12_000_000
"""`crawl.max_bytes` of the run."""


def file_cases(folder: Path, speech: Iterator[Pcm]) -> Iterator[Case]:
    """Writes every file under `folder`, which must be empty."""
    folder.mkdir()
    yield from _cut(folder, speech)
    yield from _headers(folder, speech)
    yield from _not_audio(folder)
    yield from _too_little_or_too_much(folder, speech)
    yield from _names(folder / "names", speech)
    yield from _not_files(folder)


def _case(path: Path, what: str, content: bytes, expected: str, seconds: float | None = None) -> Case:
    path.write_bytes(content)
    return Case(what, {"path": str(path)}, expected, seconds)


def _cut(folder: Path, speech: Iterator[Pcm]) -> Iterator[Case]:
    """An MP4 file has its index at its end: without it there is nothing to read. The other five are good up to the cut."""
    for suffix in media.FORMATS:
        path = media.cut(media.encoded(folder / f"half.{suffix}", np.concatenate([next(speech), next(speech)])), 0.6)
        yield Case(f"{suffix} cut in its middle", {"path": str(path)}, "decode.corrupt" if suffix == "m4a" else KEPT)
    for suffix in media.FORMATS:
        path = media.encoded(folder / f"header.{suffix}", next(speech))
        path.write_bytes(path.read_bytes()[:40])
        yield Case(f"{suffix} cut in its header", {"path": str(path)}, "decode.corrupt")


def _headers(folder: Path, speech: Iterator[Pcm]) -> Iterator[Case]:
    yield _case(folder / "rate.wav", "header says 0 Hz", media.zero_rate(next(speech)), "decode.corrupt")
    yield _case(folder / "channels.wav", "header says 0 channels", media.zero_channels(next(speech)), "decode.not_audio")
    pcm = next(speech)
    yield _case(folder / "gigabytes.wav", "header says 4 GB", media.claims_gigabytes(pcm), KEPT, len(pcm) / RATE)
    pcm = next(speech)
    yield _case(folder / "junk.wav", "8 MB of junk before the samples", media.long_tag(pcm), KEPT, len(pcm) / RATE)
    yield _case(folder / "tag.mp3", "ID3 tag says 256 MB", media.tag_that_lies(), "decode.corrupt")
    pcm = next(speech)
    yield _case(folder / "eight.wav", "8 channels", media.wav(pcm, 8), KEPT, len(pcm) / RATE)


def _not_audio(folder: Path) -> Iterator[Case]:
    yield _case(folder / "empty.wav", "empty file", b"", "decode.empty")
    yield _case(folder / "text.mp3", "text named .mp3", b"There is nothing to hear in this file.\n" * 99, "decode.not_audio")
    yield _case(folder / "random.ogg", "random bytes named .ogg", np.random.default_rng(1).bytes(50_000), "decode.not_audio")
    script = b"ffconcat version 1.0\nfile /etc/passwd\nfile http://127.0.0.2/secret.wav\n"
    yield _case(folder / "concat.wav", "a script of file names named .wav", script, "decode.not_audio")
    silent = media.video_only(folder / "film.mp4")
    yield Case("video without audio", {"path": str(silent)}, "decode.not_audio")
    yield Case("picture named .wav", {"path": str(media.picture(folder / "picture.wav"))}, "decode.not_audio")


def _too_little_or_too_much(folder: Path, speech: Iterator[Pcm]) -> Iterator[Case]:
    pcm = next(speech)
    yield _case(folder / "one.wav", "1 sample", media.wav(pcm[RATE : RATE + 1]), "decode.too_short")
    yield _case(folder / "short.wav", "100 ms", media.wav(pcm[RATE : RATE + RATE // 10]), "decode.too_short")
    yield _case(folder / "header-only.wav", "a header and no samples", media.wav(pcm[:0]), "decode.empty")
    yield _case(folder / "zeros.wav", "digital silence", media.wav(np.zeros(5 * RATE, np.int16)), "segment.no_speech")
    yield _case(folder / "noise.wav", "an empty room", media.wav(media.noise(5)), "segment.no_speech")
    flac, opus = media.flac_bomb(folder / "bomb.flac", 6), media.opus_bomb(folder / "bomb.opus", 2)
    yield Case("72 kB of FLAC that decode to 6 h", {"path": str(flac)}, "decode.bomb")
    yield Case("126 kB of Opus that decode to 2 h", {"path": str(opus)}, "decode.bomb")
    yield _case(folder / "large.wav", "more bytes than crawl.max_bytes", b"\0" * (MAX_BYTES + 1), "crawl.too_large")
    again = next(speech)
    yield _case(folder / "first.wav", "the first of three equals", media.wav(again), KEPT, len(again) / RATE)
    yield _case(folder / "again.wav", "the same bytes again", media.wav(again), "crawl.duplicate")
    same = media.encoded(folder / "same.flac", again)
    yield Case("the same samples in another wrapping", {"path": str(same)}, "decode.duplicate")


def _names(folder: Path, speech: Iterator[Pcm]) -> Iterator[Case]:
    folder.mkdir()
    names = {
        "non-UTF-8 name": b"caf\xe9-\xff\xfe.wav",
        "name with a line break and a tab": b"line\nbreak\t.wav",
        "name of 255 bytes": b"n" * 251 + b".wav",
        "name that climbs when unquoted": b"..%2f..%2fvoxmill-escape.wav",
        "name that reads as an option, a glob and an address": b"--out=*?#x::y.wav",
        "name of dots": b"... .wav",
    }
    for number, (what, name) in enumerate(names.items()):
        pcm = next(speech)
        home = folder / str(number)
        home.mkdir()
        Path(os.fsdecode(os.fsencode(home) + b"/" + name)).write_bytes(media.wav(pcm))
        yield Case(what, {"path": str(home), "kind": "files"}, KEPT, len(pcm) / RATE)
    pcm = next(speech)
    yield _case(folder / "flac-inside.txt.mp3", "wrong extension", _as_flac(folder, pcm), KEPT, len(pcm) / RATE)


def _as_flac(folder: Path, pcm: Pcm) -> bytes:
    path = media.encoded(folder / "inside.flac", pcm)
    content = path.read_bytes()
    path.unlink()
    return content


def _not_files(folder: Path) -> Iterator[Case]:
    yield Case("no such file", {"path": str(folder / "nowhere.wav")}, "list.unreadable")
    link = folder / "dangling.wav"
    link.symlink_to(folder / "gone.wav")
    yield Case("link to nothing", {"path": str(link)}, "list.unreadable")
    circle = folder / "circle.wav"
    circle.symlink_to(circle)
    yield Case("link to itself", {"path": str(circle)}, "list.unreadable")
    (folder / "bare").mkdir()
    yield Case("folder without media", {"path": str(folder / "bare")}, "list.unreadable")
    pipe = folder / "pipe.wav"
    os.mkfifo(pipe)
    yield Case("a named pipe that nobody writes to", {"path": str(pipe)}, "crawl.unsupported")
    yield Case("a device without an end", {"path": "/dev/zero"}, "crawl.unsupported")
    yield Case("a scheme that nobody knows", {"path": "gopher://example.test/a.wav"}, "crawl.unsupported")


def deadly_cases(folder: Path, notes: Path, speech: Iterator[Pcm]) -> Iterator[Case]:
    """Inputs that kill or fail whoever opens them in one stage; `notes` is where `hooks/sitecustomize.py` looks them up."""
    decoder, detector = "voxmill.operators.decode.probe", "voxmill.operators.segment.segment"
    engines, crawler = "voxmill.operators.transcribe.transcribe", "voxmill.operators.crawl"
    table = [
        ("kills the fetcher that reads it", crawler, "kill", "crawl.failed"),
        *((f"kills its decoder, number {n} of 8 neighbours", decoder, "kill", "decode.failed") for n in range(1, 9)),
        ("makes its decoder raise", decoder, "raise", "decode.failed"),
        ("kills its speech detector", detector, "kill", "segment.failed"),
        ("makes its recogniser raise", engines, "raise", "transcribe.failed"),
        ("kills its recogniser", engines, "kill", "transcribe.failed"),
    ]
    folder.mkdir()
    notes.mkdir()
    for number, (what, module, how, expected) in enumerate(table):
        content = media.wav(next(speech))
        path = folder / f"deadly-{number}.wav"
        path.write_bytes(content)
        names = [path.stem] if module == crawler else [hashlib.sha256(content).hexdigest(), path.stem]
        for name in names:
            (notes / name).write_text(f"{module} {how}")
        yield Case(what, {"path": str(path)}, expected)
