"""FunASR's FSMN-VAD from a local folder: its own end-pointing, streamed, as probabilities of 0 and 1.

FunASR gives spans and keeps its frames' probabilities to itself, so `threshold` and `neg_threshold` do nothing here, and a dip
inside its spans is not seen: what is too long is cut where the spans pause, or hard.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import Audio
from voxmill.operators.vendors.funasr_model import auto_model
from voxmill.operators.weights.registry import identity, resolve

HOP = 160
"""10 ms, the network's frame."""

CHUNK = 10
"""Seconds handed over at a time, always: so results do not depend on the sizes of the blocks that arrive."""


SHORTEST = 400
"""Samples in the network's first frame, 25 ms."""


class Fsmn:
    """A `SpeechDetector`. `weights` is a known name or a local folder; nothing is downloaded but by that name."""

    hop = HOP

    def __init__(self, weights: str = "fsmn-vad") -> None:
        self._auto = auto_model(resolve(weights))
        self.model = identity(weights)

    def probabilities(self, blocks: Iterable[Audio]) -> NDArray[np.float32]:
        """See `SpeechDetector.probabilities`."""
        total = 0
        spans: list[list[int]] = []
        cache: dict[str, Any] = {}
        for chunk, last in _chunks(blocks):
            total += len(chunk)
            if total < SHORTEST:
                continue  # FunASR divides by the number of its frames
            [result] = self._auto.generate(
                chunk, cache=cache, is_final=last, is_streaming_input=True, chunk_size=CHUNK * 1000, fs=SAMPLE_RATE
            )
            for start, end in result["value"]:
                if start >= 0:
                    spans.append([start, -1])
                if end >= 0:
                    spans[-1][1] = end
        probs = np.zeros(-(-total // HOP), np.float32)
        for start, end in spans:  # milliseconds; a span that was not closed ends with the audio
            probs[start // 10 : len(probs) if end < 0 else -(-end // 10)] = 1
        return probs


def _chunks(blocks: Iterable[Audio]) -> Iterator[tuple[Audio, bool]]:
    """The stream in chunks of `CHUNK` seconds, each with whether it is the last one, which may be shorter."""
    size = CHUNK * SAMPLE_RATE
    rest = np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        while len(rest) > size:  # what is left may be the last chunk, so a full one waits for what follows
            yield rest[:size], False
            rest = rest[size:]
    if len(rest):
        yield rest, True
