"""The samples of a recording: 16 kHz, mono, float32, streamed, from any sample to any other.

`stream(uri, start, num_samples)` depends on the file's bytes and its arguments alone, and parts join to the whole: the same count
of samples always; the same samples bit by bit for PCM and FLAC; for lossy codecs as near as a decoder comes that starts a second
early (1e-3 at most in the tests, and bit-equal for MP3, AAC and Opus as soon as its state has settled). Memory is bounded by a
block, however long the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.decode.frames import frames
from voxmill.operators.decode.media import Media, open_media
from voxmill.operators.decode.resample import resample
from voxmill.operators.engines import Audio

BLOCK = 10 * SAMPLE_RATE
"""Samples in a block: ten seconds, 640 kB."""


def stream(uri: str, start: int = 0, num_samples: int | None = None, block: int = BLOCK) -> Iterator[Audio]:
    """Blocks of exactly `block` samples (the last may be shorter) of `[start, start + num_samples)`; None = to the end.

    Ends early where the recording does. `uri` is a local path or any fsspec URL.
    Raises Undecodable; errors of the storage pass.
    """
    with open_media(uri) as media:
        yield from blocks(media, start, num_samples, block)


def read(uri: str, start: int = 0, num_samples: int | None = None) -> Audio:
    """`stream` as one array, shape (≤ num_samples,)."""
    parts = list(stream(uri, start, num_samples))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def blocks(media: Media, start: int = 0, num_samples: int | None = None, block: int = BLOCK) -> Iterator[Audio]:
    """`stream` of a file that is open already, and has not been read."""
    return _reblock(_take(resample(frames(media, start), start), num_samples), block)


def _take(arrays: Iterable[Audio], num_samples: int | None) -> Iterator[Audio]:
    if num_samples is None:
        yield from arrays
        return
    for array in arrays:
        if num_samples <= 0:
            return
        yield array[:num_samples]
        num_samples -= len(array)


def _reblock(arrays: Iterable[Audio], block: int) -> Iterator[Audio]:
    """The same samples in arrays of `block`, none of them empty."""
    filled = np.empty(block, np.float32)
    size = 0
    for array in arrays:
        while len(array):
            taken = array[: block - size]
            filled[size : size + len(taken)] = taken
            size, array = size + len(taken), array[len(taken) :]
            if size == block:
                yield filled
                filled, size = np.empty(block, np.float32), 0
    if size:
        yield filled[:size]
