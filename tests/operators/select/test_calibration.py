"""Curves fitted to labels whose expected error is known by construction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.manifests.errors import UserError
from voxmill.operators.select.agreed_errors import agreed_errors
from voxmill.operators.select.calibration import (
    LEVEL,
    Calibration,
    Curve,
    Estimate,
    LabelEvidence,
    Weights,
    features,
    load_calibration,
)
from voxmill.operators.select.calibration_fit import Labelled, fit

WORDS = 12


@cache
def world(seed: int, recordings: int = 60, per: int = 12) -> tuple[Labelled, ...]:
    """A recording has a level of noise; each word is wrong with that probability, and both signs see it unsharply."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(recordings):
        noise = float(rng.choice([0.01, 0.05, 0.2, 0.5]))
        for _ in range(per):
            agreement = float(np.clip(1 - noise * 1.5 + rng.normal(0, 0.08), 0, 1))
            confidence = float(np.clip(1 - noise + rng.normal(0, 0.1), 0.05, 1))
            errors = int(rng.binomial(WORDS, noise))
            rows.append(
                Labelled(f"r{seed}-{k}", "en", LabelEvidence(agreement, confidence, WORDS), WORDS, errors, speaker=f"s{k % 12}")
            )
    return tuple(rows)


@cache
def fitted() -> Calibration:
    return fit(world(1))


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return fitted()


def labels(rows: Sequence[Labelled]) -> list[tuple[LabelEvidence, str | None]]:
    return [(row.signs, row.language) for row in rows]


def estimated(calibration: Calibration, rows: Sequence[Labelled]) -> Estimate:
    found = calibration.estimate(labels(rows))
    assert found is not None
    return found


def spread(found: Estimate) -> float:
    return math.log(found.high / found.low)


def test_what_is_expected_comes_true_on_recordings_that_were_not_in_the_sample() -> None:
    inside, ratios = [], []
    for seed in range(8):
        calibration, rows = fit(world(100 + seed)), world(200 + seed, recordings=30)
        for sure in (True, False):
            mine = [row for row in rows if ((row.signs.agreement or 0) > 0.85) == sure]
            found = estimated(calibration, mine)
            true = sum(row.errors for row in mine) / (WORDS * len(mine))
            inside.append(found.low <= true <= found.high)
            ratios.append(found.expected / true)
    assert np.mean(inside) >= 0.9
    assert np.mean(ratios) == pytest.approx(1, abs=0.1)


def test_errors_of_one_recording_go_wrong_together_and_that_widens_the_interval() -> None:
    """Each recording has a luck of its own, which no sign shows."""
    rows = [replace(row, errors=2 * row.errors if int(row.recording_id[3:]) % 2 else 0) for row in world(1)]
    rows = [replace(row, errors=min(row.errors, WORDS)) for row in rows]
    alone, together = (estimated(found, rows[:200]) for found in (fitted(), fit(rows)))
    assert spread(together) > 1.3 * spread(alone)


def test_more_labels_of_a_kind_narrow_the_interval_only_as_far_as_the_sample_is_sure(calibration: Calibration) -> None:
    rows = world(9)
    few, many, countless = (estimated(calibration, rows * times) for times in (1, 4, 200))
    assert few.expected == pytest.approx(many.expected) == pytest.approx(countless.expected)
    assert spread(few) > spread(many) > spread(countless)
    terms, units = np.array([features(row.signs) for row in rows]), np.full(len(rows), float(WORDS))
    counts = [line.counts(terms, units) for line in calibration.curves[0].resampled]
    floor = float(np.std([math.log(wrong.sum() / true.sum()) for wrong, true in counts], ddof=1))
    assert spread(countless) == pytest.approx(2 * NormalDist().inv_cdf((1 + LEVEL) / 2) * floor, rel=0.1)


def test_labels_of_two_languages_are_taken_together() -> None:
    spanish = [replace(row, recording_id="x" + row.recording_id, language="es") for row in world(3)]
    calibration = fit([*world(1), *spanish])
    one, other, both = (estimated(calibration, rows) for rows in (world(1), spanish, [*world(1), *spanish]))
    assert min(one.expected, other.expected) <= both.expected <= max(one.expected, other.expected)
    assert spread(both) < max(spread(one), spread(other))


def test_a_curve_only_falls(calibration: Calibration) -> None:
    for curve in (*calibration.curves, *calibration.plain):
        for line in (curve, *curve.resampled):
            assert (np.diff(line.scores) > 0).all()
            assert (np.diff(line.errors) < 0).all()
            assert line.errors[-1] > 0
            assert (np.diff(line.agreements) > 0).all()
            assert (np.diff(line.beside) <= 0).all()


def test_what_one_score_cannot_say_of_an_agreement_is_made_good() -> None:
    """Where all agree on a text the engine's doubt means nothing; elsewhere it is all there is."""
    rows = [
        replace(row, errors=1 if n % 4 == 0 else 0) if (row.signs.agreement or 0) == 1 else row
        for n, row in enumerate(world(1))
    ]
    line = fit(rows, rounds=0).curves[0]
    mine = [row for row in rows if row.signs.agreement == 1]
    terms, units = np.array([features(row.signs) for row in mine]), np.array([row.signs.units for row in mine], float)
    true = sum(row.errors for row in mine)
    with_it, without = (
        float(one.counts(terms, units)[0].sum())
        for one in (line, line.model_copy(update={"agreements": (0.0,), "beside": (1.0,)}))
    )
    assert abs(math.log(with_it / true)) < 0.7 * abs(math.log(without / true))


def test_a_long_label_on_which_all_agree_is_better_evidence_than_a_short_one() -> None:
    short, long = (features(LabelEvidence(1.0, None, units))[0] for units in (2, 30))
    assert long > short


def test_a_calibration_of_another_version_is_to_be_made_again(calibration: Calibration, tmp_path: Path) -> None:
    old = tmp_path / "calibration.json"
    old.write_text(calibration.model_dump_json().replace('"version":3', '"version":2'))
    with pytest.raises(UserError, match="make it again"):
        load_calibration(str(old))


shares, slopes = st.floats(0, 1), st.floats(0, 8)


@given(shares, shares, shares, shares, st.integers(1, 60), slopes, slopes, st.floats(-2, 2))
def test_better_signs_never_raise_the_expected_error(
    agreement: float, confidence: float, more: float, surer: float, units: int, first: float, second: float, third: float
) -> None:
    weights = Weights(intercept=-1.0, agreement=first, confidence=second, length=third)
    places, errors = tuple(np.linspace(-9, 30, 8).tolist()), tuple(np.linspace(1.2, 0.001, 8).tolist())
    curve = Curve(language=None, weights=weights, scores=places, errors=errors, segments=1, words=1, recordings=1)
    one = Calibration(curves=(curve,), plain=(curve,))
    base = one.expected(LabelEvidence(agreement, confidence, units), "en")
    better = one.expected(LabelEvidence(max(agreement, more), max(confidence, surer), units), "en")
    assert base is not None
    assert better is not None
    assert better <= base + 1e-12


def test_a_sign_that_misleads_is_left_out() -> None:
    """Confidence that is higher where labels are worse: nothing is made of it."""
    perverse = [replace(row, signs=replace(row.signs, confidence=1 - (row.signs.confidence or 0))) for row in world(1)]
    found = fit(perverse, rounds=0).curves[0].weights
    assert found.confidence == 0.0
    assert found.agreement > 0.0
    assert fitted().curves[0].weights.confidence > 0.0


@given(st.lists(st.tuples(shares, st.none() | shares, st.integers(0, 40)), min_size=1, max_size=30))
@settings(max_examples=50)
def test_an_interval_holds_what_is_expected_and_nothing_below_zero(made: list[tuple[float, float | None, int]]) -> None:
    found = fitted().estimate([(LabelEvidence(*one), "en") for one in made])
    assert found is not None
    assert 0 < found.low < found.expected < found.high
    each = [error for one in made if (error := fitted().expected(LabelEvidence(*one), "en")) is not None]
    assert min(each) * 0.999 <= found.expected <= max(each) * 1.001


def test_agreed_errors_are_those_that_no_engine_sees() -> None:
    same = [(("we", "we"), "we"), (("meet", "meet"), "meet")]
    assert agreed_errors(["we", "meet"], same, 0) == 0
    assert agreed_errors(["we", "met"], same, 1) == 1
    assert agreed_errors([], same, 2) == 2
    assert agreed_errors(["we", "met"], [*same[:1], (("meet", "met"), "meet")], 1) == 0
    assert agreed_errors(["we", "met", "today"], [*same[:1], ((None, "met"), None)], 2) == 0


def test_unknown_signs(calibration: Calibration) -> None:
    assert calibration.expected(LabelEvidence(None, 0.9, 5), "en") is None
    assert calibration.expected(LabelEvidence(0.9, None, 5), "en") is not None


def test_languages_have_their_own_curves_where_they_have_enough() -> None:
    spanish = [
        replace(row, recording_id="x" + row.recording_id, language="es", errors=min(WORDS, 2 * row.errors)) for row in world(3)
    ]
    french = [replace(row, recording_id="y" + row.recording_id, language="fr") for row in world(4)[:20]]
    calibration = fit([*world(1), *spanish, *french], rounds=0)
    assert [curve.language for curve in calibration.curves] == [None, "en", "es"]
    signs = LabelEvidence(0.7, 0.7, WORDS)
    english, other = calibration.expected(signs, "en"), calibration.expected(signs, "es")
    assert english is not None
    assert other is not None
    assert other > 1.3 * english
    assert calibration.curve(signs, "fr").language is None


def test_a_sample_without_errors_is_refused_and_weak_samples_are_warned_of() -> None:
    with pytest.raises(UserError, match="0 errors in"):
        fit([replace(row, errors=0) for row in world(1)])
    few = fit([replace(row, agreed_errors=row.errors, speaker=None) for row in world(1, recordings=8)], rounds=0)
    said = " ".join(few.warnings)
    assert "correlated" in said
    assert "only 8 recordings" in said
    assert "names no speakers" in said
    assert not fit([replace(row, speaker=f"s{n % 40}") for n, row in enumerate(world(1))], rounds=0).warnings


def test_it_is_data_that_comes_back_the_same(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(calibration.model_dump_json())
    assert load_calibration(str(path)) == calibration
    path.write_text("{}")
    with pytest.raises(UserError, match=r"is no calibration \(curves: Field required\)"):
        load_calibration(str(path))
    with pytest.raises(UserError, match="voxmill calibrate RUN"):
        load_calibration(str(tmp_path / "none"))
