"""Speaker turns by pyannote's diarisation pipeline: it compares voices, so that a speaker keeps one name through a part.

Its weights are gated: accept their conditions on the Hugging Face hub, then `voxmill models fetch pyannote-diarization`, or give a folder.
"""

from __future__ import annotations

import itertools
import os
from typing import Any, Literal

from voxmill.manifests.records import SAMPLE_RATE, LabelTask, Mark
from voxmill.operators.contract.adapters import LabelAnswer, Scene
from voxmill.operators.label.labeller_config import LabellerName, ModelSettings
from voxmill.operators.weights.registry import identity, resolve

Spans = list[tuple[int, int, str]]
"""(start, end, speaker) in samples from the start of the scene's audio, in order of time."""


class DiarisationConfig(ModelSettings):
    """Who speaks when in a whole recording, by pyannote's diarisation pipeline."""

    hears = True
    modules = ("pyannote.audio", "torch")
    kind: Literal["diarisation"] = "diarisation"
    name: LabellerName = "diarisation"
    model: str = "pyannote-diarization"
    min_turn_seconds: float = 0.4
    """Shorter turns are left out (s)."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """See `LabellerSettings.tasks`."""
        return ("speaker_turns", "speaker_change")


class Diarisation:
    """A loaded pyannote pipeline. Tasks: `speaker_turns` and `speaker_change`."""

    def __init__(self, config: DiarisationConfig) -> None:
        os.environ["PYANNOTE_METRICS_ENABLED"] = "0"  # no telemetry; read when pyannote is imported
        folder = resolve(config.model)
        import torch
        from pyannote.audio import Pipeline

        self._pipeline: Any = Pipeline.from_pretrained(str(folder))
        self._pipeline.to(torch.device(config.device))
        self._least = round(config.min_turn_seconds * SAMPLE_RATE)
        self.model = identity(config.model)

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        """See `Labeller.label`."""
        import torch

        wave = torch.from_numpy(scene.audio)[None]
        found = self._pipeline({"waveform": wave, "sample_rate": SAMPLE_RATE})
        annotation = getattr(found, "speaker_diarization", found)  # since 4.0 one of several fields of the result
        spans = [
            (round(turn.start * SAMPLE_RATE), round(turn.end * SAMPLE_RATE), str(who))
            for turn, _, who in annotation.itertracks(yield_label=True)
        ]
        return [
            turns_within(spans, u.segment.start - scene.start, u.segment.num_samples, scene.start, self._least)
            for u in scene.utterances
        ]


def turns_within(spans: Spans, start: int, length: int, origin: int, least: int) -> list[LabelAnswer]:
    """Answers for one segment that starts `start` samples into the audio: its share of every turn, speakers named in order of appearance."""
    inside = [(max(a, start), min(b, start + length), who) for a, b, who in sorted(spans)]
    inside = [(a, b, who) for a, b, who in inside if b - a >= least]
    if not inside:
        return [LabelAnswer("speaker_turns", None), LabelAnswer("speaker_change", None)]
    names: dict[str, str] = {}
    for _, _, who in inside:
        names.setdefault(who, chr(ord("A") + len(names) % 26))
    marks = tuple(Mark(names[who], origin + a, origin + b) for a, b, who in inside)
    moments = [now.start for before, now in itertools.pairwise(marks) if now.value != before.value]
    return [LabelAnswer("speaker_turns", marks), LabelAnswer("speaker_change", tuple(Mark("change", m, m) for m in moments))]
