"""What the frozen encoder of Whisper base makes of each wave, kept on disk, so that a training only runs the decoder.

The encoder hears a whole window of 30 s, as it was trained; kept are the frames of the wave and five seconds of the silence after it, as float16.
A wave has several versions: `plain`, and some with another speed, noise and telephone, which trainings take in turn. Where a training tunes the
encoder's last layers, what enters them is kept. Shape suffixes: T frames, D width of the encoder.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.experiments.together import together
from benchmarks.experiments.trainings import Clock
from benchmarks.experiments.whisper_start import WHISPER, architecture, begun
from speech.cache import cache_root
from voxmill.manifests.ids import digest
from voxmill.models.common.seeds import seeded
from voxmill.models.data.augment import AugmentConfig, augment_wave
from voxmill.models.network.model import SpeechModel
from voxmill.models.network.route import Route
from voxmill.operators.weights.registry import identity

PLAIN = "plain"
TAUGHT = AugmentConfig(speeds=(0.9, 1.0, 1.1), noise=0.8, snr_db=(0.0, 20.0), telephone=0.3, mu_law=0.5, spec=None)
"""How versions of a training differ from what was recorded."""
HEARD = TAUGHT.model_copy(update={"noise": 1.0, "snr_db": (0.0, 10.0)})
"""How the version that settings are chosen on does: of the kinds of the training, not of the test."""
MARGIN = 250
"""Frames of the window's silence that are kept (20 ms each). The decoder rests on them: of 30 lines of the play that were cut to a second of
silence, Whisper base greedily repeated a word to the end in five; with five seconds it said what it says with the whole window, in three of three."""
CHUNK = 24
"""Waves between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Something to encode: where its samples come from, and which version of them."""

    key: str
    read: Callable[[], NDArray[np.int16]]
    version: str = PLAIN
    augment: AugmentConfig | None = None
    late: int = 0
    """Layers of the encoder that its frames have yet to pass."""
    margin: int | None = None
    """Frames of silence that are kept; None: `MARGIN`."""

    def samples(self) -> Tensor:
        """At 16 kHz, in [-1, 1]. The same in every run."""
        wave_S = torch.from_numpy(self.read().astype(np.float32) / 32768)
        if self.augment is not None:
            wave_S, _ = augment_wave(wave_S, "wide", self.augment, seeded("frames", self.version, self.key))
        return wave_S

    @property
    def path(self) -> Path:
        """Where its frames are kept."""
        how = "" if self.augment is None else digest([self.augment.model_dump_json()])[:8]
        how += f"-late{self.late}" if self.late else ""
        how += "" if self.margin is None else f"-margin{self.margin}"
        return home() / f"{self.version}{how}" / self.key[:2] / f"{self.key}.npy"


@cache
def home() -> Path:
    return cache_root() / "experiments" / "frames" / digest([identity(WHISPER), str(MARGIN)])[:16]


def encode_all(waves: Sequence[Wave], clock: Clock, say: str) -> None:
    """Encodes those that are not kept yet, on every core. Raises OutOfTime; what was encoded is kept."""
    missing = [one for one in waves if not one.path.is_file()]
    if missing:
        print(f"  … {say}: {len(missing)} of {len(waves)} waves to encode", flush=True)
        chunks = [missing[at : at + CHUNK] for at in range(0, len(missing), CHUNK)]
        together([partial(_encode, chunk, clock) for chunk in chunks])
        for chunk in chunks:  # where nothing is done ahead
            _encode(chunk, clock)


def _encode(waves: Sequence[Wave], clock: Clock) -> None:
    clock.check()
    for one in waves:
        if not one.path.is_file():
            one.path.parent.mkdir(parents=True, exist_ok=True)
            scratch = one.path.with_suffix(f".{os.getpid()}.npy")
            np.save(scratch, frames_of(ears(), one.samples(), one.late, one.margin).numpy())
            scratch.rename(one.path)


@cache
def ears() -> SpeechModel:
    """Whisper base, of which the encoder is used."""
    model, _ = begun(architecture(experts=False, attention=False), 0)
    model.eval()
    return model


@torch.no_grad()
def frames_of(model: SpeechModel, wave_S: Tensor, late: int = 0, margin: int | None = None) -> Tensor:
    """The encoder's frames of a wave and a margin of silence, float16, shape (T, D); `late`: without its last layers."""
    feature_TM = model.config.features.of(wave_S)
    x_BTD, length_B = model.frontend(feature_TM[None], torch.tensor([len(feature_TM)]))
    layers = model.encoder.layers
    for layer in layers[: len(layers) - late]:
        x_BTD = layer(x_BTD, None, Route())
    frame_TD = x_BTD[0] if late else model.encoder.norm(x_BTD)[0]
    return frame_TD[: int(length_B[0]) + (MARGIN if margin is None else margin)].half()


def read_frames(path: Path) -> Tensor:
    """Shape (T, D), float32."""
    return torch.from_numpy(np.load(path)).float()
