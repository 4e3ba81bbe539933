"""Selection: rules, tiers, splits, and the same in SQL."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from voxmill.manifests.reasons import REASONS, reject
from voxmill.manifests.records import Consensus, Licence, Provenance, Recording, Segment, Selection
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.select.policy import RULES
from voxmill.operators.select.select import Select, SelectConfig, split_of, tukey_fence

GOOD = Consensus(
    segment_id="s0",
    text="Hello there, world.",
    rule="prefer:a",
    language="en",
    language_confidence=0.99,
    agreement=1.0,
    vote=None,
    unit="word",
    engines=("a", "b"),
    normalised=("hello there world",) * 2,
    normaliser="1",
    slots=(),
    num_ties=0,
    confidence=0.9,
    chars_per_second=15.0,
    compression_ratio=0.8,
    repeated_ngrams=1,
)


def recording(name: str, licence: str = "cc0-1.0") -> Recording:
    return Recording(name, name, Provenance("web", "http://h/a.mp3"), Licence(licence), num_samples=16_000_000)


def work(*consensus: Consensus, licence: str = "cc0-1.0", samples: int = 16_000) -> UnitInput:
    segments = tuple(Segment(c.segment_id, "r", k * samples, samples) for k, c in enumerate(consensus))
    return UnitInput("u", recordings=(recording("r", licence),), segments=segments, consensus=consensus)


def select(config: SelectConfig | None = None, licence: str = "cc0-1.0", **changes: Any) -> Selection:
    (selection,) = Select(config or SelectConfig())(work(replace(GOOD, **changes), licence=licence))
    return selection


def test_what_all_agree_on_is_high() -> None:
    assert select() == Selection("s0", "high", split_of("r"), 1.0, None)


@pytest.mark.parametrize(
    ("agreement", "tier", "weight", "reason"),
    [
        (0.95, "high", 1.0, None),
        (0.9499, "weak", 0.3, None),
        (0.80, "weak", 0.3, None),
        (0.79, "unlabelled", 0.0, "select.unlabelled"),
        (0.60, "unlabelled", 0.0, "select.unlabelled"),
        (0.59, "rejected", 0.0, "select.low_agreement"),
    ],
)
def test_tiers_follow_agreement(agreement: float, tier: str, weight: float, reason: str | None) -> None:
    found = select(agreement=agreement)
    assert (found.tier, found.weight, found.rejection and found.rejection.reason) == (tier, weight, reason)


def test_unlabelled_audio_can_be_kept() -> None:
    found = select(SelectConfig(keep_unlabelled=True), agreement=0.7)
    assert (found.tier, found.weight, found.rejection) == ("unlabelled", 0.0, None)


@pytest.mark.parametrize(
    ("confidence", "tier", "reason"),
    [
        (0.95, "high", None),
        (0.8, "weak", None),
        (0.6, "unlabelled", "select.unlabelled"),
        (0.4, "rejected", "select.low_confidence"),
        (None, "unlabelled", "select.unlabelled"),
    ],
)
def test_a_single_engine_is_judged_by_its_confidence(confidence: float | None, tier: str, reason: str | None) -> None:
    found = select(agreement=None, confidence=confidence)
    assert (found.tier, found.rejection and found.rejection.reason) == (tier, reason)


def test_confidence_can_weigh_in() -> None:
    config = SelectConfig(score="agreement_confidence", confidence_share=0.5)
    assert select(config, agreement=1.0, confidence=0.95).tier == "high"
    assert select(config, agreement=1.0, confidence=0.7).tier == "weak"
    assert select(config, agreement=1.0, confidence=None).tier == "high"


@pytest.mark.parametrize(
    ("reason", "config", "licence", "changes"),
    [
        ("select.licence", {}, "unknown", {}),
        ("select.licence", {}, "proprietary", {}),
        ("select.licence", {"licences": ("cc-by-*",)}, "cc0-1.0", {}),
        ("select.language", {"languages": ("zh",)}, "cc0-1.0", {}),
        ("select.language", {"languages": ("en",)}, "cc0-1.0", {"language": None}),
        ("select.language_unsure", {}, "cc0-1.0", {"language_confidence": 0.79}),
        ("select.too_few_chars", {}, "cc0-1.0", {"chars_per_second": 1.0}),
        ("select.repetition", {}, "cc0-1.0", {"repeated_ngrams": 4}),
        ("select.compression", {}, "cc0-1.0", {"compression_ratio": 2.5}),
        ("select.low_confidence", {"min_confidence": 0.95}, "cc0-1.0", {}),
        ("select.low_agreement", {}, "cc0-1.0", {"agreement": 0.1}),
    ],
)
def test_each_rule_names_its_reason(reason: str, config: dict[str, Any], licence: str, changes: dict[str, Any]) -> None:
    found = select(SelectConfig(**config), licence, **changes)
    assert found.tier == "rejected"
    assert found.rejection is not None
    assert found.rejection.reason == reason


@pytest.mark.parametrize(
    ("config", "licence", "changes"),
    [
        ({"allow_unknown_licence": True}, "unknown", {}),
        ({"licences": ("proprietary",)}, "proprietary", {}),
        ({"licences": ("cc-by-*",)}, "cc-by-4.0", {}),
        ({"languages": ("en", "zh")}, "cc0-1.0", {}),
        ({}, "cc0-1.0", {"language_confidence": None}),
        ({"min_confidence": 0.95}, "cc0-1.0", {"confidence": None}),
        ({}, "cc0-1.0", {"repeated_ngrams": 3, "compression_ratio": 2.4}),
    ],
)
def test_what_is_allowed_passes(config: dict[str, Any], licence: str, changes: dict[str, Any]) -> None:
    assert select(SelectConfig(**config), licence, **changes).rejection is None


def test_speech_outside_the_fence_of_its_recording_is_rejected() -> None:
    rates = [14.0, 14.5, 15.0, 15.0, 15.5, 16.0, 16.5, 40.0, 2.0]
    unit = work(*(replace(GOOD, segment_id=f"s{k}", chars_per_second=rate) for k, rate in enumerate(rates)))
    assert [s.rejection is None for s in Select(SelectConfig())(unit)] == [True] * 7 + [False] * 2
    assert all(s.rejection is None for s in Select(SelectConfig(rate_fence=None))(unit))
    assert all(s.rejection is None for s in Select(SelectConfig(rate_segments=10))(unit))


def test_the_fence_is_that_of_tukey() -> None:
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.3]
    q1, q3 = np.percentile(values, [25, 75])
    assert tukey_fence(values, 1.5) == pytest.approx((q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)))


def test_an_earlier_rejection_passes_through() -> None:
    earlier = reject("reconcile.one_empty", "b")
    found = select(rejection=earlier)
    assert (found.tier, found.weight, found.rejection) == ("rejected", 0.0, earlier)


def test_one_selection_per_segment_in_order() -> None:
    unit = work(*(replace(GOOD, segment_id=name) for name in "cab"))
    assert [s.segment_id for s in Select(SelectConfig())(replace(unit, consensus=unit.consensus[::-1]))] == ["c", "a", "b"]


def test_splits_are_by_recording_and_nearly_as_large_as_asked() -> None:
    counts = Counter(split_of(f"{k:064x}", 0.1, 0.2) for k in range(4000))
    assert counts["dev"] == pytest.approx(400, rel=0.2)
    assert counts["test"] == pytest.approx(800, rel=0.2)
    tests = [f"{k:064x}" for k in range(500) if split_of(f"{k:064x}", 0.1, 0.2) == "test"]
    assert all(split_of(name, 0.3, 0.2) == "test" for name in tests)
    assert split_of("r") == split_of("r", SelectConfig().dev_share, SelectConfig().test_share)


def test_thresholds_must_fall() -> None:
    with pytest.raises(ValidationError, match="must fall"):
        SelectConfig(weak=0.99)
    with pytest.raises(ValidationError, match="must fall"):
        SelectConfig(single_unlabelled=0.99)


def test_every_rule_has_a_public_reason() -> None:
    assert {rule.reason for rule in RULES} <= set(REASONS)
    assert {name for name in REASONS if name.startswith("select.")} == {rule.reason for rule in RULES} | {
        "select.unlabelled",
        "select.failed",
        "select.duplicate",
        "select.contaminated",
        "select.personal_data",
    }


def test_only_the_licence_decides_on_an_event() -> None:
    silent = replace(GOOD, text="", language="nospeech", agreement=None, confidence=None, chars_per_second=0.0)
    for licence, tier, reason in (("cc0-1.0", "event", None), ("unknown", "rejected", "select.licence")):
        unit = work(silent, licence=licence)
        unit = replace(unit, segments=tuple(replace(s, kind="event") for s in unit.segments))
        (found,) = Select(SelectConfig())(unit)
        assert (found.tier, found.rejection and found.rejection.reason) == (tier, reason)
        assert found.weight == (1.0 if tier == "event" else 0.0)
