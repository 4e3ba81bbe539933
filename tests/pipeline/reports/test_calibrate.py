"""Labelled samples matched to segments, and what they say of tiers and thresholds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxmill.manifests.errors import UserError
from voxmill.operators.reconcile.normalise import Normaliser, NormaliserConfig
from voxmill.operators.select.calibration import Calibration, Curve, LabelEvidence, Weights, features
from voxmill.pipeline.reports.calibrate import ReferenceUtterance, labelled, match, points, read_references, threshold, tiers


def row(key: str, start: float, end: float, text: str, **changes: Any) -> dict[str, Any]:
    words = text.lower().split()
    return {
        "segment_id": key,
        "recording_id": "r1",
        "url": "https://example.org/talks/one.mp3",
        "start": round(start * 16000),
        "num_samples": round((end - start) * 16000),
        "seconds": end - start,
        "language": "en",
        "tier": "high",
        "text": text,
        "agreement": 0.9,
        "confidence": 0.8,
        "slots": [{"words": [w, w], "choice": w} for w in words],
    } | changes


ROWS = [row("a", 0, 5, "we meet at noon"), row("b", 6, 10, "thank you for watching"), row("c", 12, 15, "good bye")]


def said(recording: str, start: float, end: float, text: str, **more: Any) -> ReferenceUtterance:
    return ReferenceUtterance(recording=recording, start=start, end=end, text=text, **more)


@pytest.mark.parametrize("name", ["r1", "https://example.org/talks/one.mp3", "one.mp3"])
def test_utterances_belong_where_their_middle_is(name: str) -> None:
    found = match(
        ROWS, [said(name, 0.2, 2, "we meet", speaker="x"), said(name, 2, 5.5, "at noon"), said(name, 12, 15, "goodbye")]
    )
    assert {key: one.texts for key, one in found.items()} == {"a": ["we meet", "at noon"], "b": [], "c": ["goodbye"]}
    assert found["a"].speaker == "x"


def test_by_segment_only_what_is_named_is_in_the_sample() -> None:
    found = match(ROWS, [ReferenceUtterance(segment_id="b", text=""), ReferenceUtterance(segment_id="elsewhere", text="x")])
    assert {key: one.texts for key, one in found.items()} == {"b": [""]}


def test_errors_are_counted_against_the_normalised_truth() -> None:
    found = match(ROWS, [said("r1", 0, 5, "We met, at noon!"), said("r1", 12, 15, "Good-bye.")])
    sample = dict(zip("abc", labelled(ROWS, found, Normaliser(NormaliserConfig())), strict=True))
    assert (sample["a"].words, sample["a"].errors, sample["a"].agreed_errors) == (4, 1, 1)
    assert (sample["b"].words, sample["b"].errors, sample["b"].agreed_errors) == (0, 4, 4)
    assert sample["a"].signs.units == 4


def test_errors_that_only_one_engine_makes_are_not_agreed() -> None:
    slots = [{"words": ["we", "we"], "choice": "we"}, {"words": ["meat", "meet"], "choice": "meat"}]
    (one,) = labelled(
        [row("a", 0, 2, "we meat", slots=slots)],
        match(ROWS, [ReferenceUtterance(segment_id="a", text="we meet")]),
        Normaliser(NormaliserConfig()),
    )
    assert (one.errors, one.agreed_errors) == (1, 0)


@pytest.fixture
def calibration() -> Calibration:
    """Expects an error of 1 - agreement of labels of whatever length, where the engine is sure."""
    weights = Weights(intercept=-5.0, confidence=10.0)
    terms = np.array([features(LabelEvidence(k / 100, 1.0, 2)) for k in range(101)])
    curve = Curve(
        language=None,
        weights=weights,
        scores=tuple(weights.score(terms)),
        errors=tuple(1 - k / 100 for k in range(101)),
        segments=1,
        words=1,
        recordings=1,
    )
    return Calibration(curves=(curve,), plain=(curve,))


def test_thresholds_for_an_error_and_for_hours(calibration: Calibration) -> None:
    rows = [
        row(k, 0, 3600, "one two", agreement=a, confidence=1.0) for k, a in (("a", 1.0), ("b", 0.9), ("c", 0.9), ("d", 0.5))
    ]
    found = points(rows, calibration)
    assert [(round(p.least, 3), round(p.hours, 3), round(p.expected, 3)) for p in found] == [
        (1.0, 1, 0.0),
        (0.9, 3, 0.067),
        (0.5, 4, 0.175),
    ]
    chosen = threshold(found, error=0.1)
    assert chosen is not None
    assert (round(chosen.least, 3), chosen.share) == (0.9, 0.75)
    assert threshold(found, hours=3.5) == found[2]
    assert threshold(found, hours=5) is None
    assert threshold(found[1:], error=0.01) is None


def test_tiers_weigh_segments_by_their_words(calibration: Calibration) -> None:
    rows = [
        row("a", 0, 3600, "one two three", agreement=1.0, confidence=1.0),
        row("b", 0, 3600, "one", agreement=0.6, confidence=1.0),
        row("c", 0, 3600, "one two", agreement=0.5, confidence=1.0, tier="rejected"),
    ]
    high, rejected, everything = tiers(rows, calibration)
    assert (high.name, high.segments, round(high.expected, 3)) == ("high", 2, 0.1)
    assert (rejected.name, round(rejected.expected, 3)) == ("rejected", 0.5)
    assert (everything.hours, round(everything.expected, 3)) == (3.0, round((0.4 + 1.0) / 6, 3))
    assert everything.low <= everything.expected <= everything.high


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not valid JSON"),
        ('{"text": "x"}', "line 2: .*`segment_id`, or"),
        ('{"segment_id": "a"}', "line 2: text: Field required"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "labelled.jsonl"
    path.write_text(json.dumps({"segment_id": "a", "text": "x", "note": "left alone"}) + "\n" + line + "\n")
    with pytest.raises(UserError, match=message):
        read_references(path)
