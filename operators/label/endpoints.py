"""Where an utterance ends, by the voice activity detector: a segment followed by silence has an end, a segment cut short has none."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from voxmill.manifests.records import SAMPLE_RATE, LabelTask, Mark, Word
from voxmill.operators.contract.adapters import LabelAnswer, Scene
from voxmill.operators.label.labeller_config import LabellerName, LabellerSettings


class EndpointsConfig(LabellerSettings):
    """Where utterances end, by the silence after them; no model runs."""

    reads = ("transcribe",)
    kind: Literal["endpoints"] = "endpoints"
    name: LabellerName = "vad_ends"
    min_silence_seconds: float = Field(default=0.5, gt=0)
    """Silence that ends an utterance (s)."""
    inner: bool = True
    """Also mark pauses of that length between the words of a segment, by the times of the first engine that gives any."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """See `LabellerSettings.tasks`."""
        return ("endpoint",)


class Endpoints:
    """Marks the end of every utterance that silence follows. Task: `endpoint`."""

    model = "gaps@1"

    def __init__(self, config: EndpointsConfig) -> None:
        self._least = round(config.min_silence_seconds * SAMPLE_RATE)
        self._inner = config.inner

    def label(self, scene: Scene) -> list[list[LabelAnswer]]:
        """See `Labeller.label`."""
        segments = [utterance.segment for utterance in scene.utterances]
        starts = [segment.start for segment in segments[1:]] + [scene.part.end]
        last = scene.part.end == scene.recording.num_samples
        answers = []
        for place, (utterance, follows) in enumerate(zip(scene.utterances, starts, strict=True)):
            end = utterance.segment.end
            ended = follows - end >= self._least or (last and place == len(segments) - 1)
            words = next((h.words for h in utterance.hypotheses if h.words and h.rejection is None), ()) if self._inner else ()
            moments = [*pauses(words, self._least), *([end] if ended else [])]
            answers.append([LabelAnswer("endpoint", tuple(Mark("endpoint", moment, moment) for moment in moments))])
        return answers


def pauses(words: Sequence[Word], least: int) -> list[int]:
    """Ends of words that `least` samples of silence follow; words without times are skipped.

    >>> pauses([Word("so", 0, 800), Word("then", 9600, 12800), Word("go", 13000, 16000)], 8000)
    [800]
    """
    timed = [(word.start, word.end) for word in words if word.start is not None and word.end is not None]
    return [end for (_, end), (start, _) in itertools.pairwise(timed) if start - end >= least]
