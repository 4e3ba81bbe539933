"""Speech quality as listeners would rate it: DNSMOS P.835 (Reddy et al., 2022), by its published ONNX network in plain onnxruntime.

The package that carries the network computes more features through a large audio library; the three scores need neither.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from voxmill.manifests.records import SAMPLE_RATE, LabelTask, Mark
from voxmill.operators.contract.adapters import Audio, LabelAnswer, Scene
from voxmill.operators.label.labeller_config import LabellerName, ModelSettings
from voxmill.operators.weights.registry import identity, resolve

FILE = "sig_bak_ovr.onnx"
WINDOW = int(9.01 * SAMPLE_RATE)
"""Input length of the network (samples)."""

POLYNOMIALS = {
    "signal": (-0.08397278, 1.22083953, 0.0052439),
    "background": (-0.13166888, 1.60915514, -0.39604546),
    "overall": (-0.06766283, 1.11546468, 0.04602535),
}
"""Published polynomials from the three outputs, in this order, to opinion scores; highest power first."""


class DnsmosConfig(ModelSettings):
    """Estimated speech quality (DNSMOS P.835): signal, background, overall, from 1 to 5."""

    hears = True
    events = True
    modules = ("onnxruntime",)
    kind: Literal["dnsmos"] = "dnsmos"
    name: LabellerName = "dnsmos"
    model: str = "dnsmos"
    hop_seconds: float = Field(default=3.0, gt=0)
    """Hop between windows of a longer segment (s). The authors use 1 s, at three times the cost."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """See `LabellerSettings.tasks`."""
        return ("quality",)


class Dnsmos:
    """Task `quality`: mean opinion scores from 1 to 5 for overall, signal and background."""

    def __init__(self, config: DnsmosConfig) -> None:
        self._hop = round(config.hop_seconds * SAMPLE_RATE)
        self._session = _session(str(resolve(config.model) / FILE), config.device, config.threads)
        self.model = identity(config.model)

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        """See `Labeller.label`."""
        return [[self._answer(scene.wave(utterance.segment))] for utterance in scene.utterances]

    def _answer(self, wave: Audio) -> LabelAnswer:
        if not wave.any():
            return LabelAnswer("quality", None)  # digital silence has no quality
        raw = [self._session.run(None, {"input_1": one[None]})[0][0] for one in windows(wave, self._hop)]  # (window, output)
        scores = {
            name: float(np.mean([np.polyval(polynomial, outputs[place]) for outputs in raw]))
            for place, (name, polynomial) in enumerate(POLYNOMIALS.items())
        }
        return LabelAnswer("quality", tuple(Mark(name, score=scores[name]) for name in ("overall", "signal", "background")))


def windows(wave: Audio, hop: int) -> list[NDArray[np.float32]]:
    """Windows that cover the wave; the last one ends with it. A shorter wave is repeated to fill one, as the authors do."""
    wave = np.clip(wave, -1.0, 1.0).astype(np.float32)
    if len(wave) < WINDOW:
        return [np.resize(wave, WINDOW)]
    starts = sorted({*range(0, len(wave) - WINDOW + 1, hop), len(wave) - WINDOW})
    return [wave[start : start + WINDOW] for start in starts]


def _session(path: str, device: str, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    wanted = ["CUDAExecutionProvider"] if device == "cuda" else []
    return onnxruntime.InferenceSession(path, options, providers=[*wanted, "CPUExecutionProvider"])
