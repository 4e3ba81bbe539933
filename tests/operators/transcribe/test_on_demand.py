"""An engine that is asked only where the others disagree: what it is given, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

import factory
from speech.waves import write_wave
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Hypothesis, Recording
from voxmill.operators.contract.adapters import AudioClip, Transcript
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.reconcile.normalise import Normaliser, NormaliserConfig
from voxmill.operators.reconcile.reconcile import HypothesesAgreement, Reconcile, ReconcileConfig
from voxmill.operators.transcribe.moonshine import MoonshineConfig
from voxmill.operators.transcribe.on_demand import TranscribeOnDemand

SECOND = 16_000


class Third:
    """Says the same of everything, and counts what it is given."""

    model = "third@1"

    def __init__(self) -> None:
        self.samples = 0
        self.calls = 0

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        self.calls += 1
        self.samples += sum(len(clip.audio) for clip in clips)
        return [[Transcript("a third opinion") for _ in clip.spans] for clip in clips]


def agreement() -> HypothesesAgreement:
    return HypothesesAgreement(Normaliser(NormaliserConfig()))


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    write_wave(tmp_path / "ten.wav", np.zeros(10 * SECOND, np.int16))
    return factory.recording("ten", language="en", audio=str(tmp_path / "ten.wav"))


def work(recording: Recording, *said: tuple[str, str]) -> UnitInput:
    """Segments of a second, of each of which two engines said something."""
    segments = tuple(factory.segment(recording, place * SECOND, SECOND) for place in range(len(said)))
    hypotheses = tuple(
        Hypothesis(segment.id, engine, "m", text)
        for segment, texts in zip(segments, said, strict=True)
        for engine, text in zip(("a", "b"), texts, strict=True)
    )
    return UnitInput("u", recordings=(recording,), parts=(factory.part(recording),), segments=segments, hypotheses=hypotheses)


def config(when: str = "agreement < 0.8") -> MoonshineConfig:
    return MoonshineConfig(name="third", when=when)


def test_it_is_asked_only_where_the_others_disagree(recording: Recording) -> None:
    engine = Third()
    unit = work(
        recording, ("one two three four", "One, two, three, four."), ("yes", "no"), ("twenty five", "25"), ("", "no way")
    )
    found = TranscribeOnDemand(config(), agreement, engine)(unit)
    assert [one.segment_id for one in found] == [segment.id for segment in unit.segments]
    assert [one.text for one in found] == ["", "a third opinion", "", "a third opinion"]
    assert [one.rejection and (one.rejection.reason, one.rejection.detail) for one in found] == [
        ("transcribe.not_asked", "agreement 1.000"), None, ("transcribe.not_asked", "agreement 1.000"), None,
    ]  # fmt: skip
    assert {one.model for one in found} == {"third@1"}


def test_nothing_is_read_where_nothing_is_asked(recording: Recording) -> None:
    engine = Third()
    found = TranscribeOnDemand(config(), agreement, engine)(work(recording, ("yes", "yes"), ("no", "no")))
    assert (engine.calls, len(found)) == (0, 2)


def test_it_is_asked_where_there_is_nothing_to_compare(recording: Recording) -> None:
    unit = work(recording, ("yes", "yes"))
    (first, second) = unit.hypotheses
    skipped = Hypothesis(second.segment_id, "b", "m", "", rejection=reject("transcribe.language", "en"))
    (found,) = TranscribeOnDemand(config(), agreement, Third())(
        UnitInput("u", recordings=unit.recordings, parts=unit.parts, segments=unit.segments, hypotheses=(first, skipped))
    )
    assert found.text == "a third opinion"


def test_only_those_that_were_asked_are_in_the_consensus(recording: Recording) -> None:
    unit = work(recording, ("yes", "yes"), ("yes", "no"))
    third = TranscribeOnDemand(config(), agreement, Third())(unit)
    together = UnitInput("u", recordings=unit.recordings, segments=unit.segments, hypotheses=(*unit.hypotheses, *third))
    agreed, disputed = Reconcile(ReconcileConfig(), ("a", "b", "third"))(together)
    assert (agreed.engines, agreed.agreement, agreed.rule, agreed.text) == (("a", "b"), 1.0, "prefer:a", "yes")
    assert (disputed.engines, disputed.rule[:5]) == (("a", "b", "third"), "rover")


def test_an_engine_of_another_language_is_no_part_of_it(recording: Recording) -> None:
    (segment,) = work(recording, ("", "")).segments
    heard, skipped = (
        Hypothesis(segment.id, "a", "m", "yes"),
        Hypothesis(segment.id, "b", "m", "", rejection=reject("transcribe.language", "en is not one of zh")),
    )

    def consensus(*given: Hypothesis) -> object:
        (one,) = Reconcile(ReconcileConfig(), ("a", "b"))(
            UnitInput("u", recordings=(recording,), segments=(segment,), hypotheses=given)
        )
        return one.engines, one.text, one.agreement, one.rejection and one.rejection.reason

    assert consensus(heard, skipped) == (("a",), "yes", None, None)
    nobody = Hypothesis(segment.id, "a", "m", "", rejection=skipped.rejection)
    assert consensus(nobody, skipped) == (("a", "b"), "", None, "reconcile.no_hypothesis")


def test_a_condition_is_of_one_form() -> None:
    assert [config(when).below for when in ("agreement < 0.8", "agreement < 1", "agreement < .5")] == [0.8, 1.0, 0.5]
    for when in ("agreement > 0.8", "agreement < 8", "confidence < 0.5", "agreement<0.8", "agreement < 0.8; import os"):
        with pytest.raises(ValidationError, match="when"):
            config(when)
    with pytest.raises(ValueError, match="always asked"):
        TranscribeOnDemand(MoonshineConfig(), agreement, Third())
