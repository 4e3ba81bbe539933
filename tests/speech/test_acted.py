"""The play's archive, in small: a conversation, a scene and the hero's remarks are found with their recordings, and nothing else is."""

from __future__ import annotations

import struct
from pathlib import Path

from speech import acted


def padded(content: bytes, text: str, align: int = 2) -> bytes:
    """`content` and a string behind it: its length, its bytes and, unless it is empty, what fills up to a multiple of `align`."""
    whole = content + bytes([len(text)]) + text.encode("cp437")
    return whole + b"\0" * (-len(whole) % align) if text else whole


def conversation() -> bytes:
    """Key 7: the hero opens and has line 0x29, the other has line 0x1e; one level of choices."""
    levels, hero_at = 1, 32 + 96
    hero = padded(b"\0" * hero_at + struct.pack(">HH", 0, 0), "Hello there*14", 4)
    hero = padded(hero + struct.pack(">HH", 0, 0x29), "Who*02are you?*XY00(237,112)Go", 4)
    others_at = len(hero)
    other = padded(hero + struct.pack(">HH", 0, 0x1E), "*FLI am Bud*AO", 4)
    again_at = len(other)
    end = padded(padded(other, "You again*02"), "")
    start = struct.pack(">5h", levels, 0, 7, 2, 1) + b"\0" * 12 + struct.pack(">3H", others_at, 0, again_at)
    return start + end[len(start) :]


def scene() -> bytes:
    """Two objects, of which the second speaks."""
    start = struct.pack(">HhhHHH", 0, -2, 0, 0, 12, 0)
    return padded(padded(padded(start, "*FL"), "*"), "No way!*24")


def archive(files: dict[str, bytes]) -> bytes:
    at = 15 + 21 * len(files)
    entries = b""
    for name, content in files.items():
        entries += struct.pack(">12sBII", name.encode(), 1, at, len(content))
        at += len(content)
    return b"QTBL" + b"CEM10\0\0\0\1" + struct.pack(">H", len(files)) + entries + b"".join(files.values())


def test_lines_are_found_with_their_words_and_speakers(tmp_path: Path) -> None:
    recordings = [
        "07SSSSJ1.SB", "070029J1.SB", "070029J2.SB", "070029J3.SB", "07001EP2.SB", "07XXXXP1.SB", "C2C__021.SB", "JOE00411.SB",
        "09SSSSJ1.SB",
    ]  # fmt: skip
    home = tmp_path / "speech" / f"acted-{acted.SHA256[:12]}"
    home.mkdir(parents=True)
    files = {
        "BUD1.DOG": b"\0" * acted.HEADER + conversation(),
        "C2C.CUT": b"\0" * acted.HEADER + scene(),
        "QUEEN2.JAS": b"It looks nice*03\r\nc2c.CUT\r\nNot recorded*02",
        **{name: name.encode() for name in recordings},
    }
    (home / acted.ARCHIVE).write_bytes(archive(files))
    found = {line.id: (line.scene, line.speaker, line.text) for line in acted.lines(tmp_path)}
    assert found == {
        "07SSSSJ1": ("bud1", "joe", "Hello there"),
        "070029J1": ("bud1", "joe", "Who"),
        "070029J2": ("bud1", "joe", "are you?"),
        "070029J3": ("bud1", "joe", "Go"),
        "07001EP2": ("bud1", "bud", "I am Bud"),
        "07XXXXP1": ("bud1", "bud", "You again"),
        "C2C__021": ("c2c", None, "No way!"),
        "JOE00411": ("remarks", "joe", "It looks nice"),
    }
    assert all(line.mp3 == f"{line.id}.SB".encode() for line in acted.lines(tmp_path))
