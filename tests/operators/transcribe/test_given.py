"""Given transcripts as an opinion: units of hearing, hypotheses, and comparison without those that have none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factory import recording
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import GivenSpan, Hypothesis, Part, Recording, Segment
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.reconcile.reconcile import Reconcile, ReconcileConfig
from voxmill.operators.segment.segment import given_segments
from voxmill.operators.transcribe.given import GivenConfig, GivenTranscripts
from voxmill.operators.transcribe.transcribe import load

S = 16_000


def corpus(*spans: GivenSpan) -> Recording:
    return recording(seconds=10, given=spans, language="en")


def heard(of: Recording, segments: list[Segment]) -> list[Hypothesis]:
    kept = tuple(one for one in segments if one.rejection is None)
    return GivenTranscripts(GivenConfig(name="given"))(UnitInput("u", recordings=(of,), segments=kept))


def test_given_spans_are_the_segments_and_tile_each_part() -> None:
    overlap = GivenSpan(3 * S, S, "not heard", rejection=reject("decode.given_overlap"))
    of = corpus(GivenSpan(S, 2 * S, "one"), overlap, GivenSpan(6 * S, S, None), GivenSpan(7 * S, S, "three", language="de"))
    segments = [
        one for part in (Part(of.id, 0, 6 * S), Part(of.id, 6 * S, 4 * S)) for one in given_segments(part, of.given or ())
    ]
    assert [(one.start // S, one.end // S, one.rejection and one.rejection.reason) for one in segments] == [
        (0, 1, "segment.not_given"),
        (1, 3, None),
        (3, 6, "segment.not_given"),
        (6, 7, None),
        (7, 8, None),
        (8, 10, "segment.not_given"),
    ]
    said = heard(of, segments)
    assert [(one.text, one.language, one.rejection and one.rejection.reason) for one in said] == [
        ("one", "en", None),
        ("", None, "transcribe.not_given"),
        ("three", "de", None),
    ]


def test_a_recording_of_no_corpus_has_no_given_transcript() -> None:
    of = recording()
    (said,) = heard(of, [Segment("s", of.id, 0, S)])
    assert said.rejection == reject("transcribe.not_given")


def test_who_has_no_opinion_is_left_out_of_the_comparison() -> None:
    of = recording(language="en")
    segment = Segment("s", of.id, 0, 4 * S)
    recognisers = (Hypothesis("s", "a", "m", "one two"), Hypothesis("s", "b", "m", "one two"))
    silent = Hypothesis("s", "given", "given", "", rejection=reject("transcribe.not_given"))
    work = UnitInput("u", recordings=(of,), segments=(segment,), hypotheses=(*recognisers, silent))
    engines = ("a", "b", "given")
    (without,) = Reconcile(ReconcileConfig(), engines)(work)
    (two,) = Reconcile(ReconcileConfig(), engines[:2])(work)
    assert without == two
    assert without.engines == ("a", "b")
    (three,) = Reconcile(ReconcileConfig(), engines)(
        replace(work, hypotheses=(*recognisers, Hypothesis("s", "given", "given", "other words")))
    )
    assert three.engines == engines
    assert three.agreement == pytest.approx(1 / 3)
    assert three.text == "one two"
    failed = Hypothesis("s", "b", "m", "", rejection=reject("transcribe.failed"))
    (broken,) = Reconcile(ReconcileConfig(), engines)(replace(work, hypotheses=(recognisers[0], failed, silent)))
    assert broken.rejection == reject("reconcile.no_hypothesis", "b: transcribe.failed")
    (nobody,) = Reconcile(ReconcileConfig(), ("given",))(replace(work, hypotheses=(silent,)))
    assert nobody.rejection == reject("reconcile.no_hypothesis", "given: transcribe.not_given")


def test_it_is_no_engine_to_load() -> None:
    with pytest.raises(ValueError, match="no recogniser"):
        load(GivenConfig(name="given"))
