"""The samples of a recording: 16 kHz, mono, float32, streamed, from any sample to any other.

`stream(source, start, num_samples)` depends on the bytes of the file and its arguments alone, and parts join to the whole: always
the same number of samples; the same bits for PCM and FLAC, within 1e-6 for MP3, Opus, Vorbis and AAC, whose decoders start a
second early. One exception: AAC's noise substitution is random. Memory is bounded by a block, however long the file.

A source is an address, played as libavformat's best audio stream with the mean of its channels; or a `Playback`: which stream, how
its channels become one, which offset and gain. The stage `decode` measures it once and writes it into the recording, so that every
later reader gets the same samples.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from voxmill.manifests.records import SAMPLE_RATE, Recording, Segment
from voxmill.operators.contract.adapters import Audio
from voxmill.operators.contract.meter import METER
from voxmill.operators.decode.audio_stream import MediaFile, open_media
from voxmill.operators.decode.dc_offset import read_start, remove_offset
from voxmill.operators.decode.held_audio import HELD, Passage
from voxmill.operators.decode.loudness import amplify
from voxmill.operators.decode.originals import check_original
from voxmill.operators.decode.packets import NEVER_SKIPPED, decode_frames, is_plain
from voxmill.operators.decode.resample import resample

BLOCK = 10 * SAMPLE_RATE
"""Samples in a block: ten seconds, 640 kB."""


@dataclass(frozen=True, slots=True)
class Playback:
    """How a recording is read. Fields that are None mean: best stream, mean of channels, no offset, no gain."""

    uri: str
    track: int | None = None
    channels: tuple[float, ...] | None = None
    dc: float | None = None
    gain_db: float | None = None
    each: int | None = None
    """Samples per channel, where channels are kept apart one after the other."""

    @classmethod
    def of(cls, recording: Recording) -> Playback:
        """The playback of a recording. Raises ValueError where it has no audio, and OriginalChanged where its file is another one now."""
        if recording.audio is None:
            raise ValueError(f"recording {recording.id} has no audio")
        check_original(recording)
        each = recording.num_samples // recording.apart if recording.apart else None
        return cls(recording.audio, recording.track, recording.channels, recording.dc, recording.gain_db, each)

    def pieces(self, start: int, num_samples: int | None) -> Iterator[tuple[Playback, int, int | None]]:
        """The reads that make up `[start, start + num_samples)`: playback, start, number of samples; None = to the end.

        >>> both = Playback("a.wav", channels=(1.0, 0.0, 0.5), each=10)
        >>> [(how.channels, start, length) for how, start, length in both.pieces(8, 5)]
        [((1.0, 0.0, 0.0), 8, 2), ((0.0, 0.0, 0.5), 0, 3)]
        """
        if self.each is None or self.channels is None:
            yield self, start, num_samples
            return
        heard = [channel for channel, weight in enumerate(self.channels) if weight]
        end = len(heard) * self.each if num_samples is None else start + num_samples
        for place, channel in enumerate(heard):
            begin = place * self.each
            first, last = max(start, begin), min(end, begin + self.each)
            if first < last:
                alone = tuple(weight if c == channel else 0.0 for c, weight in enumerate(self.channels))
                yield replace(self, channels=alone, each=None), first - begin, last - first


def stream(source: str | Playback, start: int = 0, num_samples: int | None = None, block: int = BLOCK) -> Iterator[Audio]:
    """Blocks of exactly `block` samples (the last may be shorter) of `[start, start + num_samples)`; None = to the end.

    Ends early where the recording does. An address is a local path or any fsspec URL. What this process has just decoded is not decoded
    again (`held_audio.py`). Raises Undecodable; errors of the storage pass.
    """
    how = source if isinstance(source, Playback) else Playback(source)
    yield from _reblock(_arrays(how, start, num_samples), block)


def read(source: str | Playback, start: int = 0, num_samples: int | None = None) -> Audio:
    """The samples of `stream` as one array, shape (≤ num_samples,)."""
    how = source if isinstance(source, Playback) else Playback(source)
    arrays = _counted(_arrays(how, start, num_samples))
    if num_samples is None or num_samples > HELD.limit:
        parts = list(arrays)
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return _filled(arrays, num_samples)


def read_segment(recording: Recording, segment: Segment) -> Audio:
    """The samples of a segment, shape (num_samples,), as every stage hears them. `recording` is the one that the segment is of."""
    return read(Playback.of(recording), segment.start, segment.num_samples)


class AudioReader:
    """Reads spans of a recording in one decoding pass, if they come in order of time.

    `read` returns what a decoder started at `origin` gives there, whichever spans were read before, so results do not depend on the
    choice of spans. A span before the last one restarts the decoder.
    """

    def __init__(self, source: str | Playback, origin: int = 0) -> None:
        self.source, self.origin = source, origin
        self._held: Audio
        self._begin()

    def read(self, start: int, num_samples: int) -> Audio:
        """Samples `[start, start + num_samples)` of the recording, shape (≤ num_samples,). Raises ValueError before the origin."""
        if start < self.origin:
            raise ValueError(f"{start} lies before the origin {self.origin}")
        if start < self._place:
            self._begin()
        while self._place + len(self._held) < start + num_samples:
            block = next(self._blocks, None)
            if block is None:
                break
            kept = self._held[max(0, start - self._place) :]
            self._place += len(self._held) - len(kept)
            self._held = np.concatenate([kept, block])
        return self._held[start - self._place :][:num_samples].copy() if start >= self._place else np.zeros(0, np.float32)

    def _begin(self) -> None:
        self._blocks = stream(self.source, self.origin)
        self._place = self.origin
        self._held = np.zeros(0, np.float32)


def _arrays(how: Playback, start: int, num_samples: int | None) -> Iterator[Audio]:
    """The samples in arrays of any size, from what is held or else decoded, and then held."""
    source = how, _file_state(how.uri)
    if num_samples is None or not 0 < num_samples <= HELD.limit:
        for piece in how.pieces(start, num_samples):
            yield from _piece(*piece)
        return
    if (found := HELD.find(source, start, num_samples)) is not None:
        yield found
        return
    kept, size, anywhere, early = np.empty(num_samples, np.float32), 0, True, NEVER_SKIPPED
    for piece in how.pieces(start, num_samples):
        with open_media(piece[0].uri, piece[0].track) as media:
            plain = is_plain(media)
            for array in _take(_heard(media, *piece[:2]), piece[2]):
                kept[size : size + len(array)] = array
                size += len(array)
                yield array
            anywhere = anywhere and plain and not media.lost.any
    if how.each is not None:  # channels one after the other: places are not those of the file
        anywhere, early = False, -1
    if size == num_samples:
        HELD.hold(Passage(source, start, kept, anywhere, early))


def _file_state(uri: str) -> tuple[int, int] | None:
    """What changes when a local file does; what lies in a store is named by its content."""
    with suppress(OSError):  # opening it says why
        if "://" not in uri:
            state = os.stat(uri)
            return state.st_size, state.st_mtime_ns
    return None


def _piece(how: Playback, start: int, num_samples: int | None) -> Iterator[Audio]:
    with open_media(how.uri, how.track) as media:
        yield from _take(_heard(media, how, start), num_samples)


def _heard(media: MediaFile, how: Playback, start: int) -> Iterator[Audio]:
    begin = start if how.dc is None else read_start(start)
    arrays = resample(decode_frames(media, begin), begin, how.channels)
    if how.dc is not None:
        arrays = remove_offset(arrays, start)
    return arrays if how.gain_db is None else amplify(arrays, how.gain_db)


def _take(arrays: Iterable[Audio], num_samples: int | None) -> Iterator[Audio]:
    if num_samples is None:
        yield from arrays
    elif num_samples > 0:
        for array in arrays:
            yield array[:num_samples]
            num_samples -= len(array)
            if num_samples <= 0:
                return


def _counted(arrays: Iterable[Audio]) -> Iterator[Audio]:
    for array in arrays:
        METER.samples += len(array)
        yield array


def _filled(arrays: Iterable[Audio], num_samples: int) -> Audio:
    """The arrays as one; not more than `num_samples` come."""
    filled, size = np.empty(max(0, num_samples), np.float32), 0
    for array in arrays:
        filled[size : size + len(array)] = array
        size += len(array)
    return filled[:size]


def _reblock(arrays: Iterable[Audio], block: int) -> Iterator[Audio]:
    """Regroups samples into arrays of `block` samples, none of them empty."""
    filled = np.empty(block, np.float32)
    size = 0
    for array in _counted(arrays):
        while len(array):
            taken = array[: block - size]
            filled[size : size + len(taken)] = taken
            size, array = size + len(taken), array[len(taken) :]
            if size == block:
                yield filled
                filled, size = np.empty(block, np.float32), 0
    if size:
        yield filled[:size]
