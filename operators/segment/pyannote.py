"""pyannote's segmentation network, as whisperX ships it: three speakers' activity in windows of five seconds.

Speech is the likeliest of the speakers. Windows overlap by half and are averaged with Hamming weights, as pyannote's own inference
does with more overlap at five times the cost.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxmill.operators.contract.adapters import Audio
from voxmill.operators.vendors.pyannote_model import FILE, HOP, LEAD, WINDOW, load_network
from voxmill.operators.weights.registry import resolve

STEP = 148 * HOP
"""Samples from window to window, a multiple of the hop, so that the frames of all windows fall together: 2.5 s."""

BATCH = 8
"""Windows in one call."""


class Pyannote:
    """A `SpeechDetector`. `weights` is a known name or a folder with a `pytorch_model.bin` that has one sigmoid per speaker."""

    hop = HOP

    def __init__(self, weights: str = "pyannote-segmentation") -> None:
        os.environ["PYANNOTE_METRICS_ENABLED"] = "0"  # no telemetry; read when pyannote is imported
        file = resolve(weights) / FILE
        self.model = f"{file.stem}@{sha256(file.read_bytes()).hexdigest()[:12]}"
        self._network = load_network(file)

    def probabilities(self, blocks: Iterable[Audio]) -> NDArray[np.float32]:
        """See `SpeechDetector.probabilities`."""
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # on small inputs more threads only wait for each other
        try:
            with torch.inference_mode():
                return self._probabilities(blocks, torch)
        finally:
            torch.set_num_threads(threads)

    def _probabilities(self, blocks: Iterable[Audio], torch: Any) -> NDArray[np.float32]:
        total, found = 0, []
        for batch, samples in _windows(blocks):
            total += samples
            speakers = self._network(torch.from_numpy(batch)[:, None])  # (window, frame, speaker)
            found.append(speakers.amax(dim=-1).numpy())
        return _overlap(np.concatenate(found) if found else np.zeros((0, 1), np.float32), -(-total // HOP))


def _windows(blocks: Iterable[Audio]) -> Iterator[tuple[NDArray[np.float32], int]]:
    """`(windows, samples)`: batches of shape (≤ BATCH, WINDOW), the last window padded with zeros, and how many samples of the
    stream each batch brings that were not in one before."""
    rest = np.zeros(0, np.float32)
    seen = 0
    """How many samples of `rest` were in a batch before."""
    size = WINDOW + (BATCH - 1) * STEP
    for block in blocks:
        rest = np.concatenate([rest, block])
        while len(rest) >= size:
            yield np.lib.stride_tricks.sliding_window_view(rest[:size], WINDOW)[::STEP].copy(), size - seen
            rest, seen = rest[BATCH * STEP :], size - BATCH * STEP
    if len(rest) > seen:
        count = 1 + max(0, -(-(len(rest) - WINDOW) // STEP))
        padded = np.pad(rest, (0, WINDOW + (count - 1) * STEP - len(rest)))
        yield np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::STEP].copy(), len(rest) - seen


def _overlap(windows: NDArray[np.float32], hops: int) -> NDArray[np.float32]:
    """The frames of windows, shape (count, frames), averaged where they overlap, shape (hops,)."""
    if not hops:
        return np.zeros(0, np.float32)
    count, frames = windows.shape
    stride = STEP // HOP
    weights = np.hamming(frames)
    sums, total = np.zeros((count - 1) * stride + frames), np.zeros((count - 1) * stride + frames)
    for index, window in enumerate(windows):
        place = slice(index * stride, index * stride + frames)
        sums[place] += window * weights
        total[place] += weights
    mean = sums / total
    places = np.clip(np.arange(hops) - LEAD, 0, len(mean) - 1)
    return mean[places].astype(np.float32)
