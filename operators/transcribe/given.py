"""The engine `given`: what a corpus says of a segment, as one more opinion beside those of the recognisers. It hears nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from voxmill.manifests.reasons import NOT_GIVEN, reject
from voxmill.manifests.records import Hypothesis, Recording, Segment
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.transcribe.engine_config import EngineName, EngineSettings

MODEL = "given"
"""What stands as `model` of its hypotheses."""


class GivenConfig(EngineSettings):
    """The transcripts of corpora (`sources` of kind `kaldi`, `nemo`, …) as an opinion. Segments of other sources have none."""

    kind: Literal["given"] = "given"
    name: EngineName = "given"
    model: Literal[""] = ""
    """Nothing: there are no weights."""
    when: None = None
    """Nothing: what costs nothing is always asked."""


class GivenTranscripts:
    """One hypothesis per segment, in the order of the unit: the text of the span that a corpus names exactly so, or none."""

    def __init__(self, config: GivenConfig) -> None:
        self._config = config

    def __call__(self, work: UnitInput) -> list[Hypothesis]:
        said = {key: hypothesis for recording in work.recordings for key, hypothesis in self._said(recording)}
        return [self._of(segment, said) for segment in work.segments]

    def _said(self, recording: Recording) -> Iterator[tuple[tuple[str, int, int], tuple[str, str | None]]]:
        for span in recording.given or ():
            if span.rejection is None and span.text is not None and span.num_samples is not None:
                language = span.language or recording.language
                yield (recording.id, span.start, span.num_samples), (span.text, language)

    def _of(self, segment: Segment, said: dict[tuple[str, int, int], tuple[str, str | None]]) -> Hypothesis:
        name = self._config.name
        if segment.kind == "event":
            return Hypothesis(segment.id, name, MODEL, "", rejection=reject("transcribe.event"))
        found = said.get((segment.recording_id, segment.start, segment.num_samples))
        if found is None:
            return Hypothesis(segment.id, name, MODEL, "", rejection=reject(NOT_GIVEN))
        return Hypothesis(segment.id, name, MODEL, found[0], language=found[1])
