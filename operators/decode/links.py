"""Where a file that is several files one after the other changes from one to the next.

Radio that was recorded as it came is chained Ogg; a stream with an advert in it is MPEG-TS whose parts lie on other PIDs or in
another codec; a playlist whose init segment changes is two MP4s. libavformat reads the first, and with it only what looks like its
continuation. So such files are cut, by their own structure and without decoding, and every stretch is opened for itself. Most files
are one stretch.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import IO

from voxmill.operators.decode.transport import programmes

MOST = 10_000
"""Stretches into which a file is cut at most; the last one is then what remains."""

_SPEECH = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ", b"\x80theora", b"fishead\0", b"BBCD\0")
"""How the first page of an Ogg stream begins, after its header."""


def links(raw: IO[bytes], size: int) -> list[tuple[int, int]]:
    """`(begin, end)` of the stretches, in order; they tile the file. Raises what the storage raises."""
    raw.seek(0)
    head = raw.read(12)
    begins = [0]
    for place in _walk(head)(raw, size):
        if begins[-1] < place < size:
            begins.append(place)
        if len(begins) == MOST:
            break
    return list(pairwise([*begins, size]))


def _walk(head: bytes) -> Callable[[IO[bytes], int], Iterator[int]]:
    if head.startswith(b"OggS"):
        return _ogg
    if head[4:8] in (b"ftyp", b"styp", b"moov"):
        return _mp4
    if head.startswith((b"RIFF", b"RIFX")) and head[8:12] == b"WAVE":
        return _wav
    if head.startswith(_EBML):
        return _matroska
    return programmes if b"\x47" in head[:5] else _whole


def _whole(raw: IO[bytes], size: int) -> Iterator[int]:
    return iter(())


def _at(raw: IO[bytes], place: int, size: int) -> bytes:
    raw.seek(place)
    return raw.read(size)


def _ogg(raw: IO[bytes], size: int) -> Iterator[int]:
    """Streams begin together, on pages marked so; such a page after others begins the next link."""
    place, beginning = 0, True
    while place < size:
        page = _at(raw, place, 27 + 255 + 8)
        if page[:5] != b"OggS\0" or len(page) < 27:
            found = _find(raw, b"OggS\0", place + 1, size)
            if found is None:
                return
            place = found
            continue
        table = 27 + page[26]
        first = bool(page[5] & 2) and page[table:].startswith(_SPEECH)
        if first and not beginning:
            yield place
        beginning = first
        place += table + sum(page[27:table])


def _mp4(raw: IO[bytes], size: int) -> Iterator[int]:
    """A file type after media begins a file; so does an index before fragments, where there was one already."""
    place, begun, indexed, pending = 0, False, False, 0
    while place + 8 <= size:
        box = _at(raw, place, 16)
        length, name = struct.unpack(">I4s", box[:8])
        if length == 1 and len(box) == 16:
            length = int.from_bytes(box[8:], "big")
        if name == b"ftyp" and (begun or indexed):
            yield place
            begun = indexed = False
        elif name == b"moov":
            pending = place if indexed and begun else 0
            indexed = True
        elif name in (b"mdat", b"moof"):
            if pending and name == b"moof":
                yield pending
            begun, pending = True, 0
        if length < 8:  # 0: to the end of the file
            return
        place += length


def _wav(raw: IO[bytes], size: int) -> Iterator[int]:
    place = 0
    while True:
        head = _at(raw, place, 12)
        if head[:4] not in (b"RIFF", b"RIFX") or head[8:12] != b"WAVE":
            return
        if place:
            yield place
        place += 8 + int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
        if _at(raw, place, 1) == b"\0":  # chunks begin at even places
            place += 1


_EBML, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"


def _matroska(raw: IO[bytes], size: int) -> Iterator[int]:
    """Only where the length of what comes before is told; live recordings do not tell it."""
    place = 0
    while place < size:
        head = _at(raw, place, 12)
        if head[:4] == _EBML and place:
            yield place
        if head[:4] not in (_EBML, _SEGMENT) or len(head) < 12 or not head[4]:
            return
        width = 9 - head[4].bit_length()
        length = int.from_bytes(head[4 : 4 + width], "big") & (1 << 7 * width) - 1
        if length == (1 << 7 * width) - 1:
            return
        place += 4 + width + length


def _find(raw: IO[bytes], pattern: bytes, begin: int, end: int) -> int | None:
    raw.seek(begin)
    kept = b""
    while begin < end:
        block = raw.read(1 << 16)
        if not block:
            return None
        found = (kept + block).find(pattern)
        if found >= 0:
            return begin - len(kept) + found
        begin += len(block)
        kept = block[1 - len(pattern) :]
    return None
