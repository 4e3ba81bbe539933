"""Silero VAD: the package's ONNX graph over whole sequences of frames, in plain onnxruntime on one thread.

The package itself feeds one 32 ms frame at a time, or a whole recording that must be in memory. This adapter feeds the sequence
graph blocks of 16 s and carries the state from block to block: the same probabilities, a third of the time, bounded memory, and no
import of torch (importing `silero_vad` brings it, and sets its threads).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from voxmill.operators.contract.adapters import Audio
from voxmill.operators.weights.registry import resolve

FILE = "silero_vad_16k_sequence.onnx"

FRAME = 512
"""Samples in a frame: 32 ms."""

CONTEXT = 64
"""Samples of the previous frame put before each frame."""

FRAMES = 512
"""Frames per call, fixed so that results do not depend on block sizes."""

STATE = 128
"""Width of the LSTM's state."""


class Silero:
    """A `SpeechDetector`. `weights` is a known name or a folder that holds the graph."""

    hop = FRAME

    def __init__(self, weights: str = "silero-vad") -> None:
        import onnxruntime

        file = resolve(weights) / FILE
        data = file.read_bytes()
        self.model = f"{file.stem}@{sha256(data).hexdigest()[:12]}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def probabilities(self, blocks: Iterable[Audio]) -> NDArray[np.float32]:
        """See `SpeechDetector.probabilities`."""
        hidden = cell = np.zeros((1, 1, STATE), np.float32)
        before = np.zeros(CONTEXT, np.float32)
        found = [np.zeros(0, np.float32)]
        for frames in _frames(blocks):
            contexts = np.vstack([before, frames[:-1, -CONTEXT:]])
            before = frames[-1, -CONTEXT:]
            inputs = {"input": np.hstack([contexts, frames]), "h": hidden, "c": cell}
            probs, hidden, cell = self._session.run(["speech_probs", "hn", "cn"], inputs)
            found.append(probs.reshape(-1))
        return np.concatenate(found)


def _frames(blocks: Iterable[Audio]) -> Iterator[NDArray[np.float32]]:
    """The stream in frames, shape (FRAMES, FRAME); the last array may have fewer, and its last frame ends in zeros."""
    size = FRAMES * FRAME
    rest = np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        while len(rest) >= size:
            yield rest[:size].reshape(FRAMES, FRAME)
            rest = rest[size:]
    if len(rest):
        yield np.pad(rest, (0, -len(rest) % FRAME)).reshape(-1, FRAME)
