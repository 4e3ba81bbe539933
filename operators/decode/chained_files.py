"""Finds where a file consists of several files one after the other.

Recorded internet radio is chained Ogg; a stream with an inserted advert is MPEG-TS whose parts use other PIDs or codecs; a playlist
whose init segment changes gives two MP4s; some web scripts send an empty line before a file. libavformat reads the first file and
what looks like its continuation. So such files are cut by their structure, without decoding, and each stretch is opened alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator
from itertools import pairwise
from typing import IO, TypeAlias

from voxmill.operators.decode.mpegts import programmes

MOST = 10_000
"""Most stretches of a file; the last one is then the rest."""

Walk: TypeAlias = "Generator[int, None, int]"
"""Yields the offsets at which a file of one kind changes; returns the offset at which it ends."""

_BLANK = b"\xef\xbb\xbf\r\n\t "
"""Bytes that may precede a file: byte order mark and white space."""

_EBML, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"
_HEADS = (
    b"OggS\0",
    b"RIFF",
    b"RIFX",
    b"FORM",
    b"caff\0\1",
    b"fLaC\0",
    b"ID3",
    _EBML,
    b"\x30\x26\xb2\x75\x8e\x66",
    b"wvpk",
    b"#!AMR",
    b"NIST_1A",
)
"""Signatures of files that may follow one of another kind."""

_SPEECH = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ", b"\x80theora", b"fishead\0", b"BBCD\0")
"""First bytes of the first page of an Ogg stream, after the page header."""


def find_stretches(raw: IO[bytes], size: int) -> list[tuple[int, int]]:
    """Byte ranges `(begin, end)` of the stretches, in order; they tile the file. Raises storage errors."""
    begins = [_blank(raw)]
    for place in _files(raw, size, begins[0]):
        if begins[-1] < place < size:
            begins.append(place)
        if len(begins) == MOST:
            break
    return list(pairwise([*begins, size]))


def _blank(raw: IO[bytes]) -> int:
    """Number of blank bytes before the file header."""
    head = _at(raw, 0, 64)
    rest = head.lstrip(_BLANK)
    return len(head) - len(rest) if _begins(rest) else 0


def _begins(head: bytes) -> bool:
    return head.startswith(_HEADS) or head[4:8] == b"ftyp" or (len(head) > 376 and head[0] == head[188] == head[376] == 0x47)


def _files(raw: IO[bytes], size: int, place: int) -> Iterator[int]:
    """Offsets of changes within files, and of files that follow another."""
    while True:
        end = yield from _walk(_at(raw, place, 12))(raw, size, place)
        if not place < end < size or not _begins(_at(raw, end, 400)):
            return
        yield end
        place = end


def _walk(head: bytes) -> Callable[[IO[bytes], int, int], Walk]:
    if head.startswith(b"OggS"):
        return _ogg
    if head[4:8] in (b"ftyp", b"styp", b"moov"):
        return _mp4
    if head.startswith((b"RIFF", b"RIFX", b"FORM")) and head[8:12] in (b"WAVE", b"AIFF", b"AIFC"):
        return _chunk
    if head.startswith(b"caff"):
        return _caf
    if head.startswith(_EBML):
        return _matroska
    return _transport if b"\x47" in head[:5] else _whole


def _whole(raw: IO[bytes], size: int, place: int) -> Walk:
    yield from ()
    return size


def _transport(raw: IO[bytes], size: int, place: int) -> Walk:
    if not place:
        yield from programmes(raw, size)
    return size


def _at(raw: IO[bytes], place: int, size: int) -> bytes:
    raw.seek(place)
    return raw.read(size)


def _ogg(raw: IO[bytes], size: int, place: int) -> Walk:
    """Ogg: begin-of-stream pages come together; one after other pages starts the next link (RFC 3533)."""
    beginning = True
    while place < size:
        page = _at(raw, place, 27 + 255 + 8)
        if page[:5] != b"OggS\0" or len(page) < 27:
            found = _find(raw, b"OggS\0", place + 1, size)
            if found is None:
                return place
            place = found
            continue
        table = 27 + page[26]
        first = bool(page[5] & 2) and page[table:].startswith(_SPEECH)
        if first and not beginning:
            yield place
        beginning = first
        place += table + sum(page[27:table])
    return place


def _mp4(raw: IO[bytes], size: int, place: int) -> Walk:
    """MP4: a `ftyp` after media starts a file; so does a second `moov` before fragments."""
    begun, indexed, pending = False, False, 0
    while place + 8 <= size:
        box = _at(raw, place, 16)
        length, name = struct.unpack(">I4s", box[:8])
        if (begun or indexed) and name != b"ftyp" and _begins(_at(raw, place, 400)):
            return place
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
            return size
        place += length
    return place


def _chunk(raw: IO[bytes], size: int, place: int) -> Walk:
    """RIFF and IFF: one chunk holds all others; its header states the end, and chunks start at even offsets."""
    yield from ()
    head = _at(raw, place, 8)
    end = place + 8 + int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
    return end + 1 if _at(raw, end, 1) == b"\0" else end


def _caf(raw: IO[bytes], size: int, place: int) -> Walk:
    yield from ()
    place += 8
    while place + 12 <= size:
        head = _at(raw, place, 12)
        if _begins(head):
            return place
        length = int.from_bytes(head[4:12], "big", signed=True)
        if length < 0:  # -1: to the end of the file
            return size
        place += 12 + length
    return size


def _matroska(raw: IO[bytes], size: int, place: int) -> Walk:
    """Matroska: cut only where the length is stated; live recordings do not state it."""
    yield from ()
    begin = place
    while place < size:
        head = _at(raw, place, 12)
        if head[:4] == _EBML and place > begin:
            return place
        if head[:4] not in (_EBML, _SEGMENT) or len(head) < 12 or not head[4]:
            return place
        width = 9 - head[4].bit_length()
        length = int.from_bytes(head[4 : 4 + width], "big") & (1 << 7 * width) - 1
        if length == (1 << 7 * width) - 1:
            return size
        place += 4 + width + length
    return size


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
