"""Real English speech of many voices with its words: the dialogue of an adventure game that its makers gave away.

"Flight of the Amazon Queen" (1995): some thirty characters, four and a half hours, a file for each line, in Debian as free data. It
is MP3 of 16 kbit/s, and the players shout, whisper and put on accents: closer to what the web has than a studio's prompts are. Only
the data is used. Where what lies is known from ScummVM, which plays it (`engines/queen`):

- `resource.cpp`: the archive begins with a list of names and places;
- `talk.cpp`: a `.DOG` file is a conversation, with lines of the hero (J) and of another person (P); a line has pieces, which end with
  `*` and a stage direction, and each piece a recording: conversation, number of the line, J or P, number of the piece;
- `cutaway.cpp`: a `.CUT` file is a scene, its lines are counted;
- `logic.cpp`: the beginning of `QUEEN2.JAS` is what the hero says of things, a remark a line.

    python tests/speech/acted.py
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from speech.cache import cache_root, made_once
from speech.debian import unpack
from speech.waves import RATE, Pcm, decode

PACKAGE, ARCHIVE = "flight-of-the-amazon-queen", "queen.1c"
SHA256 = "cc91960d133fcd4173eda4bac304e80d2bbdbaa085640287ab9e0507bd603f67"
LICENCE = "LicenseRef-Flight-of-the-Amazon-Queen"
"""Free to use, modify and distribute with its notices, not to be sold by itself."""
ATTRIBUTION = "Flight of the Amazon Queen, Copyright 1995 John Passfield and Steve Stamatiadis"
HERO = "joe"
REMARKS, FIRST_REMARK = 723, 41
"""What the hero says of things: how many remarks, and the number of the first among his recordings."""
DIRECTION = re.compile(r"\*(?:XY\d\d\(\d+,\d+\)|[A-Z0-9]{2})")
HEADER = 20
"""Bytes before the content of a file of dialogue."""


@dataclass(frozen=True, slots=True)
class Line:
    """One recording, what is said in it, where in the play it belongs, and who says it, as far as the data tells."""

    id: str
    scene: str
    speaker: str | None
    text: str
    mp3: bytes

    def samples(self) -> Pcm:
        return decode(io.BytesIO(self.mp3), container="mp3")


def lines(cache_dir: Path | None = None) -> list[Line]:
    """All lines, scene by scene and in the order of the play's own lists. The first call downloads 35 MB.

    Raises PackagesUnavailable where apt cannot deliver, ValueError where the content is another release.
    """
    home = made_once((cache_dir or cache_root()) / "speech" / f"acted-{SHA256[:12]}", _fetch)
    files = _files((home / ARCHIVE).read_bytes())
    found = dict[str, Line]()
    for recording, scene, speaker, text in _said(files):
        if recording in files and re.search(r"[A-Za-z]", text):
            found.setdefault(recording, Line(recording[:-3], scene, speaker, text.strip(), files[recording]))
    return list(found.values())


def _fetch(work: Path) -> None:
    unpack([PACKAGE], work)
    content = (work / "usr/share/scummvm" / PACKAGE / ARCHIVE).read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        raise ValueError(f"{ARCHIVE} of Debian's {PACKAGE} hashes to {found}, not to {SHA256}")
    (work / ARCHIVE).write_bytes(content)


def _files(archive: bytes) -> dict[str, bytes]:
    """Its files by name: after 13 bytes of kind and version how many there are, then name, volume, place and size of each."""
    if archive[:4] != b"QTBL":
        raise ValueError(f"{ARCHIVE} is no archive of the game: it begins with {archive[:4]!r}")
    [count] = struct.unpack_from(">H", archive, 13)
    entries = struct.iter_unpack(">12sBII", archive[15 : 15 + 21 * count])
    return {name.rstrip(b"\0").decode("ascii"): archive[at : at + size] for name, _, at, size in entries}


def _said(files: dict[str, bytes]) -> Iterator[tuple[str, str, str | None, str]]:
    """Name of a recording (whether there is one or not), its scene, speaker and words."""
    for name, content in files.items():
        scene, _, kind = name.lower().partition(".")
        said = {"dog": _conversation, "cut": _scene}.get(kind)
        for prefix, speaker, text in said(scene, content[HEADER:]) if said else ():
            yield from ((piece, scene, speaker, words) for piece, words in _pieces(prefix, text))
    remarks = files["QUEEN2.JAS"].decode("cp437").split("\r\n")[:REMARKS]
    for number, text in enumerate(remarks, FIRST_REMARK):
        yield from ((piece, "remarks", HERO, words) for piece, words in _pieces(f"JOE{number:04d}", text))


def _pieces(prefix: str, text: str) -> Iterator[tuple[str, str]]:
    """
    >>> list(_pieces("JOE0047", 'A label that reads:*14"Antidote"*14'))
    [('JOE00471.SB', 'A label that reads:'), ('JOE00472.SB', '"Antidote"'), ('JOE00473.SB', '')]
    """
    for number, words in enumerate(DIRECTION.split(text), 1):
        yield f"{prefix.replace(' ', '0').upper()}{number:X}.SB", words


def _conversation(scene: str, content: bytes) -> Iterator[tuple[str, str, str]]:
    """A tree of choices (levels of 96 bytes), then the hero's lines, the other's, and what they say when they meet again."""
    levels, _, key, of_hero, of_other = struct.unpack_from(">5h", content)
    others, _, again = struct.unpack_from(">3H", content, 22)
    other = scene.rstrip("0123456789")
    for at, count, who, speaker in ((32 + abs(levels) * 96, of_hero, "J", HERO), (others, of_other, "P", other)):
        for place in range(count):
            [number] = struct.unpack_from(">H", content, at + 2)
            text, at = _string(content, at + 4, 4)
            opening = who == "J" and place == number == 0
            yield (f"{key:2d}SSSSJ" if opening else f"{key:2d}{number:4x}{who}"), speaker, text
    text, at = _string(content, again)
    yield f"{key:2d}XXXXP", other, text
    yield f"{key:2d}XXXXJ", HERO, _string(content, at)[0]


def _scene(scene: str, content: bytes) -> Iterator[tuple[str, None, str]]:
    """Objects, whose count and the place of whose lines the beginning states; the first string is a direction."""
    count, _, _, at = struct.unpack_from(">hhHH", content, 2)
    _, at = _string(content, at)
    for number in range(1, abs(count) + 1):
        if at >= len(content):
            return
        text, at = _string(content, at)
        yield f"{scene:_<5}{number:02d}", None, text


def _string(content: bytes, at: int, align: int = 2) -> tuple[str, int]:
    """The string that begins with its length there, and where the next thing begins."""
    size, at = content[at], at + 1
    if size == 0:
        return "", at
    end = at + size
    return content[at:end].decode("cp437"), end + -end % align


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    found = lines()
    minutes = sum(len(line.samples()) for line in found) / RATE / 60
    speakers = {line.speaker for line in found if line.speaker}
    print(
        f"{len(found)} lines  {minutes:.1f} minutes  {len({line.scene for line in found})} scenes  {len(speakers)} named speakers"
    )


if __name__ == "__main__":
    main()
