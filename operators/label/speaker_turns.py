"""Speaker turns inside a segment by pyannote's segmentation network: local turns, changes, and whether one person speaks alone."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import Any, Literal

import numpy as np
from pydantic import Field

from voxmill.manifests.records import SAMPLE_RATE, LabelTask, Mark
from voxmill.operators.contract.adapters import Audio, LabelAnswer, Scene
from voxmill.operators.label.labeller_config import LabellerName, ModelSettings
from voxmill.operators.label.turn_stitching import Turn, changes, stitch, turns
from voxmill.operators.vendors.pyannote_model import FILE, HOP, WINDOW, load_network
from voxmill.operators.weights.registry import resolve

STEP = 148
"""Frames from window to window: half of one, so that neighbours overlap enough to match their speakers."""

BATCH = 8


class SpeakerTurnsConfig(ModelSettings):
    """Who speaks when inside a segment, by pyannote's segmentation network."""

    hears = True
    modules = ("pyannote.audio", "torch")
    kind: Literal["speaker_turns"] = "speaker_turns"
    name: LabellerName = "turns"
    model: str = "pyannote-segmentation"
    threshold: float = Field(default=0.5, gt=0, lt=1)
    """Probability at which a speaker counts as talking."""
    min_turn_seconds: float = Field(default=0.4, gt=0)
    """Shorter turns are left out: coughs, noises, slips of the network (s)."""
    min_gap_seconds: float = Field(default=0.5, ge=0)
    """A speaker's shorter silences are part of the turn (s)."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """See `LabellerSettings.tasks`."""
        return ("speaker_turns", "speaker_change")


class SpeakerTurns:
    """A loaded segmentation network.

    `speaker_turns`: marks `A`, `B`, … with their spans, overlapping where several talk; a single name means one speaker.
    `speaker_change`: moments at which another speaker starts. No turn at all counts as not sure.
    """

    def __init__(self, config: SpeakerTurnsConfig) -> None:
        os.environ["PYANNOTE_METRICS_ENABLED"] = "0"  # no telemetry; read when pyannote is imported
        file = resolve(config.model) / FILE
        self.model = f"{file.stem}@{sha256(file.read_bytes()).hexdigest()[:12]}"
        self._config = config
        self._device = config.device
        self._network: Any = load_network(file).to(config.device)

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        """See `Labeller.label`."""
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(self._config.threads)  # on small inputs more threads only wait for each other
        try:
            with torch.inference_mode():
                return [self._answers(scene.wave(u.segment), u.segment.start, torch) for u in scene.utterances]
        finally:
            torch.set_num_threads(threads)

    def _answers(self, wave: Audio, origin: int, torch: Any) -> list[LabelAnswer]:
        config, frame = self._config, SAMPLE_RATE / HOP
        activity = stitch(self._windows(wave, torch), STEP)[: max(1, len(wave) // HOP)]
        least, gap = (max(1, round(seconds * frame)) for seconds in (config.min_turn_seconds, config.min_gap_seconds))
        found = turns(activity, config.threshold, least, gap)
        if not found:
            return [LabelAnswer("speaker_turns", None), LabelAnswer("speaker_change", None)]
        sure = float(np.mean([turn.confidence for turn in found]))
        moments = [origin + at * HOP for at in changes(found)]
        return [
            LabelAnswer("speaker_turns", tuple(_mark(turn, origin, origin + len(wave)) for turn in found), sure),
            LabelAnswer("speaker_change", tuple(Mark("change", moment, moment) for moment in moments), sure),
        ]

    def _windows(self, wave: Audio, torch: Any) -> list[Any]:
        count = 1 + max(0, -(-(len(wave) - WINDOW) // (STEP * HOP)))
        padded = np.pad(wave, (0, WINDOW + (count - 1) * STEP * HOP - len(wave)))
        cut = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[:: STEP * HOP]
        found: list[Any] = []
        for start in range(0, count, BATCH):
            batch = torch.from_numpy(cut[start : start + BATCH].copy())[:, None].to(self._device)
            found += list(self._network(batch).cpu().numpy())  # (window, frame, speaker)
        return found


def _mark(turn: Turn, origin: int, end: int) -> Mark:
    name = chr(ord("A") + turn.who)
    return Mark(name, origin + turn.start * HOP, min(origin + turn.end * HOP, end), turn.confidence)
