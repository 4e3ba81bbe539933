"""Seeded damage: flipped bytes, cut ends, numbers in headers, splices, holes, files stuck together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

from benchmarks.wild.encode import Maker
from benchmarks.wild.made import floats, sphere

PAGES = ("-page_duration", "200000")
"""Short pages: damage costs a page."""

FORMATS: dict[str, tuple[str, ...]] = {
    "wav": (), "flac": (), "mp3": ("-b:a", "48k"), "opus": ("-b:a", "24k", *PAGES), "ogg": ("-c:a", "libvorbis", *PAGES), "m4a": ("-c:a", "aac"),
    "mp4": ("-c:a", "aac", "-movflags", "+frag_keyframe+empty_moov", "-frag_duration", "300000"), "aac": (), "ts": ("-c:a", "aac"),
    "mka": ("-c:a", "libopus"), "webm": ("-c:a", "libopus"), "w64": (), "caf": ("-c:a", "pcm_s16le"), "aiff": (), "au": (),
    "wma": ("-c:a", "wmav2"), "flv": ("-c:a", "libmp3lame", "-ar", "22050"), "avi": ("-c:a", "mp2"), "mp2": (), "ac3": (), "wv": (),
    "tta": (), "voc": ("-c:a", "pcm_u8"), "gsm": ("-ar", "8000", "-c:a", "libgsm"), "mpg": ("-c:a", "mp2"),
}  # fmt: skip

VALUES = (0, 1, 2, 3, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 62, (1 << 64) - 1)
"""Numbers at which programs err."""

HEADER = 400


def originals(make: Maker) -> dict[str, bytes]:
    """A good file of each format, a second and a half long, in a rate that keeps it small."""
    files = {suffix: make.ff(f"good.{suffix}", make.speech(1.5), *how).read_bytes() for suffix, how in FORMATS.items()}
    pcm = make.speech(1.5)
    files["sph"] = sphere(pcm, 2, "pcm", pcm.astype("<i2").tobytes())
    files["f32.wav"] = floats((make.speech(1.5) / 32768).astype("<f4"))
    return files


def mutations(files: dict[str, bytes], count: int, folder: Path, seed: int) -> Iterator[Path]:
    """`count` files, as many of each format as of any other."""
    folder.mkdir()
    names = sorted(files)
    for number in range(count):
        name = names[number % len(names)]
        random = Random(f"{seed} {name} {number}")
        content = files[name]
        for _ in range(random.choice((1, 1, 2, 3))):
            content = random.choice(KINDS)(content, random, list(files.values())) or b"\0"
        path = folder / f"{number:05d}.{name}"
        path.write_bytes(content)
        yield path


Mutation = Callable[[bytes, Random, Sequence[bytes]], bytes]


def _flip(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    out = bytearray(content)
    for _ in range(random.choice((1, 3, 10, 100))):
        out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)


def _head(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    out = bytearray(content)
    for _ in range(random.choice((1, 2, 5))):
        out[random.randrange(min(HEADER, len(out)))] = random.randrange(256)
    return bytes(out)


def _number(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    width = random.choice((1, 2, 4, 8))
    value = (random.choice(VALUES) + random.randrange(-1, 2)) % (1 << 8 * width)
    at = random.randrange(min(HEADER, len(content)))
    return content[:at] + value.to_bytes(width, random.choice(("little", "big"))) + content[at + width :]


def _cut(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    return content[: random.randrange(len(content))]


def _hole(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    at, size = random.randrange(len(content)), random.choice((4, 100, 2000))
    return content[:at] + random.choice((b"\0", b"\xff")) * size + content[at + size :]


def _splice(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    other = random.choice((content, random.choice(others)))
    at, begin, size = random.randrange(len(content)), random.randrange(len(other)), random.choice((8, 200, 5000))
    return content[:at] + other[begin : begin + size] + content[at + random.choice((0, size)) :]


def _drop(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    at, size = random.randrange(len(content)), random.choice((1, 2, 50, 3000))
    return content[:at] + content[at + size :]


def _join(content: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    return content + random.choice((content, random.choice(others)))


KINDS: tuple[Mutation, ...] = (_flip, _head, _head, _number, _number, _cut, _hole, _splice, _drop, _join)
