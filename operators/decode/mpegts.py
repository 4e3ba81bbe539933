"""MPEG-TS: offsets at which its tables (PAT, PMT) move the audio to another PID, codec or programme."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

SIZES = (188, 192, 204)
"""Bytes of a packet: plain, with a time code before it, with check bytes after it."""

SYNC = 0x47

AUDIO = frozenset({0x03, 0x04, 0x06, 0x0F, 0x11, 0x1C, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87})
"""Stream types with audio (ISO/IEC 13818-1); 0x06 is private, and often AC-3 or Opus."""

NEAR = 32
"""Most packets between a PAT and the PMT it leads to, for the cut to include the PAT."""

BLOCK = 1 << 14
"""Packets processed together."""


def programmes(raw: IO[bytes], size: int) -> Iterator[int]:
    """Offsets of the packets from which on the tables list other audio streams than before."""
    told = _Told()
    for place, packet in _tables(raw, size):
        if told.changes(place, packet):
            yield told.cut


class _Told:
    """What the tables have listed so far."""

    def __init__(self) -> None:
        self.listed: dict[int, int] = {}
        """PID of a programme's table to the programme's number."""
        self.sound: dict[int, tuple[tuple[int, int], ...]] = {}
        """Programme to the PIDs and types of its sound."""
        self.cut = 0
        self.listing = 0
        """Offset of the newest PAT."""

    def changes(self, place: int, packet: bytes) -> bool:
        """Reads a packet that may hold a table; returns whether the audio streams change from offset `cut` on."""
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        if pid and pid not in self.listed:
            return False
        section = _section(packet)
        if section is None:
            return False
        if not pid:
            self.listing = place
            pairs = (section[at : at + 4] for at in range(8, len(section) - 3, 4))
            listed = {(p[2] & 0x1F) << 8 | p[3]: p[0] << 8 | p[1] for p in pairs if p[0] << 8 | p[1]}
            gone = set(self.listed.values()) - set(listed.values())
            self.listed = listed or self.listed
            if gone and listed and self.sound:
                self.sound, self.cut = {}, place
                return True
            return False
        programme, sound = self.listed[pid], tuple(_sound(section))
        before = self.sound.get(programme)
        self.sound[programme] = sound
        self.cut = self.listing if 0 < place - self.listing <= NEAR * max(SIZES) else place
        return before is not None and before != sound


def _section(packet: bytes) -> bytes | None:
    """The table in a packet that begins one, without its check sum; None where it does not fit into the packet."""
    at = 4
    if packet[3] & 0x20:
        at += 1 + packet[4]
    at += 1 + packet[at] if at < 187 else 0
    if at + 3 > 188:
        return None
    end = at + 3 + ((packet[at + 1] & 0x0F) << 8 | packet[at + 2])
    return packet[at : end - 4] if end <= 188 else None


def _sound(section: bytes) -> Iterator[tuple[int, int]]:
    if len(section) < 12 or section[0] != 2:
        return
    at = 12 + ((section[10] & 0x0F) << 8 | section[11])
    while at + 5 <= len(section):
        if section[at] in AUDIO:
            yield (section[at + 1] & 0x1F) << 8 | section[at + 2], section[at]
        at += 5 + ((section[at + 3] & 0x0F) << 8 | section[at + 4])


def _tables(raw: IO[bytes], size: int) -> Iterator[tuple[int, bytes]]:
    """Packets that begin a table, with their places; but for lists of programmes, only those that differ."""
    place = 0
    seen: dict[int, bytes] = {}
    while place + 3 * SIZES[-1] < size:
        raw.seek(place)
        block = raw.read(SIZES[-1] * BLOCK)
        found = _aligned(block)
        if found is None:
            place += max(1, len(block) - 3 * SIZES[-1])
            continue
        first, length = found
        rows = _rows(block, first, length)
        starts = rows[:, 1] & 0x40 != 0
        payload = np.take_along_axis(rows, np.where(rows[:, 3] & 0x20, 5 + rows[:, 4].astype(int), 4).clip(0, 187)[:, None], 1)
        for index in np.flatnonzero(starts & (payload[:, 0] == 0)):  # a table begins at once, where sound begins with 0, 0, 1
            packet = rows[index].tobytes()
            pid = (packet[1] & 0x1F) << 8 | packet[2]
            told = packet[4:]
            if not pid or seen.get(pid) != told:
                seen[pid] = told
                yield place + first + int(index) * length - (4 if length == 192 else 0), packet
        place += first + len(rows) * length if len(rows) else len(block)


def _aligned(block: bytes) -> tuple[int, int] | None:
    """Where the first packet of a run begins, and how long packets are."""
    values = np.frombuffer(block, np.uint8)
    best: tuple[int, int] | None = None
    for length in SIZES:
        span = len(values) - 2 * length
        if span <= 0:
            continue
        hits = np.flatnonzero(
            (values[:span] == SYNC) & (values[length : length + span] == SYNC) & (values[2 * length :] == SYNC)
        )
        if len(hits) and (best is None or hits[0] < best[0]):
            best = int(hits[0]), length
    return best


def _rows(block: bytes, first: int, length: int) -> NDArray[np.uint8]:
    """The packets from `first` on, as far as each begins with its mark."""
    count = (len(block) - first - 188) // length + 1
    values = np.frombuffer(block, np.uint8)[first : first + (count - 1) * length + 188]
    rows = np.lib.stride_tricks.as_strided(values, (count, 188), (length, 1), writeable=False)
    lost = np.flatnonzero(rows[:, 0] != SYNC)
    return rows[: lost[0]] if len(lost) else rows
