"""An engine that is asked only where the others disagree: a third opinion at a fraction of its cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Hypothesis, Segment
from voxmill.operators.contract.adapters import Transcriber
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.transcribe.transcribe import EngineConfig, Transcribe

AgreementOf = Callable[[Sequence[Hypothesis], str | None], float | None]
"""How far hypotheses of one segment agree, given the stated language of its recording; None where there is nothing to compare."""


class TranscribeOnDemand:
    """One engine on the segments of a unit whose other hypotheses agree less than its `when` says."""

    def __init__(
        self, config: EngineConfig, agreement_of: Callable[[], AgreementOf], engine: Transcriber | None = None
    ) -> None:
        if config.below is None:
            raise ValueError(f"engine {config.name} has no `when`: it is always asked")
        self._config, self._below = config, config.below
        self._agreement_of = agreement_of()
        self._transcribe = Transcribe(config, engine)

    def __call__(self, work: UnitInput) -> list[Hypothesis]:
        """One hypothesis per segment, in the order of the unit; those that it was not asked for say so."""
        heard: dict[str, list[Hypothesis]] = {segment.id: [] for segment in work.segments}
        for hypothesis in work.hypotheses:
            if hypothesis.segment_id in heard:
                heard[hypothesis.segment_id].append(hypothesis)
        languages = {recording.id: recording.language for recording in work.recordings}
        agreed = {
            segment.id: self._agreement_of(heard[segment.id], languages[segment.recording_id]) for segment in work.segments
        }
        asked = tuple(segment for segment in work.segments if self._asks(segment, agreed[segment.id]))
        answers = {one.segment_id: one for one in self._transcribe(replace(work, segments=asked))} if asked else {}
        return [answers.get(segment.id) or self._not_asked(segment, agreed[segment.id]) for segment in work.segments]

    def _asks(self, segment: Segment, agreement: float | None) -> bool:
        return segment.kind == "event" or agreement is None or agreement < self._below

    def _not_asked(self, segment: Segment, agreement: float | None) -> Hypothesis:
        rejection = reject("transcribe.not_asked", f"agreement {agreement:.3f}")
        return Hypothesis(segment.id, self._config.name, self._transcribe.model, "", rejection=rejection)
