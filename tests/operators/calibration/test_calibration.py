"""Curves fitted to labels whose expected error is known by construction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.manifests.mistakes import Mistake
from voxmill.operators.calibration.expected import Calibration, Curve, Signs, Weights, load_calibration
from voxmill.operators.calibration.fit import Labelled, fit

WORDS = 12


def world(seed: int, recordings: int = 60, per: int = 12) -> list[Labelled]:
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
                Labelled(f"r{seed}-{k}", "en", Signs(agreement, confidence, WORDS), WORDS, errors, speaker=f"s{k % 12}")
            )
    return rows


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return fit(world(1))


def test_what_is_expected_comes_true_on_recordings_that_were_not_in_the_sample(calibration: Calibration) -> None:
    rng = np.random.default_rng(0)
    inside = []
    for seed in range(2, 22):
        rows = world(seed, recordings=30)
        scored = [(calibration.place(row.signs, "en"), row) for row in rows]
        curve = scored[0][0][1]
        scores, errors = np.array([s for (s, _), _ in scored]), np.array([row.errors for _, row in scored])
        better = scores > np.median(scores)
        for tier in (better, ~better):
            expected, low, high = curve.interval(scores[tier], np.full(tier.sum(), float(WORDS)), rng)
            true = errors[tier].sum() / (WORDS * tier.sum())
            assert low <= expected <= high
            inside.append(low <= true <= high)
    assert np.mean(inside) >= 0.9


def test_a_curve_only_falls(calibration: Calibration) -> None:
    for curve in (*calibration.curves, *calibration.plain):
        assert (np.diff(curve.scores) > 0).all()
        assert (np.diff(curve.errors) <= 0).all()
        assert all((np.diff(row) <= 1e-9).all() for row in curve.resampled)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 60))
def test_better_signs_never_raise_the_expected_error(agreement: float, confidence: float, units: int) -> None:
    weights = Weights(intercept=-1.0, agreement=3.0, confidence=1.0, length=0.2)
    curve = Curve(language=None, scores=(0.1, 0.9), errors=(0.8, 0.0), segments=1, words=1, recordings=1)
    one = Calibration(both=weights, agreement=weights, curves=(curve,), plain=(curve,))
    base = one.expected(Signs(agreement, confidence, units), "en")
    better = one.expected(Signs(min(1.0, agreement + 0.1), min(1.0, confidence + 0.1), units), "en")
    assert base is not None
    assert better is not None
    assert better <= base + 1e-12


def test_unknown_signs() -> None:
    calibration = fit(world(1))
    assert calibration.expected(Signs(None, 0.9, 5), "en") is None
    assert calibration.expected(Signs(0.9, None, 5), "en") is not None


def test_languages_have_their_own_curves_where_they_have_enough() -> None:
    from dataclasses import replace

    spanish = [
        replace(row, recording_id="x" + row.recording_id, language="es", errors=min(WORDS, 2 * row.errors)) for row in world(3)
    ]
    french = [replace(row, recording_id="y" + row.recording_id, language="fr") for row in world(4)[:20]]
    calibration = fit([*world(1), *spanish, *french])
    assert [curve.language for curve in calibration.curves] == [None, "en", "es"]
    signs = Signs(0.7, 0.7, WORDS)
    english, other = calibration.expected(signs, "en"), calibration.expected(signs, "es")
    assert english is not None
    assert other is not None
    assert other > 1.3 * english
    assert calibration.place(signs, "fr")[1].language is None


def test_a_sample_without_errors_is_refused_and_weak_samples_are_warned_of() -> None:
    from dataclasses import replace

    with pytest.raises(Mistake, match="0 errors in"):
        fit([replace(row, errors=0) for row in world(1)])
    few = fit([replace(row, agreed_errors=row.errors, speaker=None) for row in world(1, recordings=8)])
    said = " ".join(few.warnings)
    assert "correlated" in said
    assert "only 8 recordings" in said
    assert "names no speakers" in said
    assert not fit([replace(row, speaker=f"s{n % 40}") for n, row in enumerate(world(1))]).warnings


def test_it_is_data_that_comes_back_the_same(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(calibration.model_dump_json())
    assert load_calibration(str(path)) == calibration
    path.write_text("{}")
    with pytest.raises(Mistake, match="is no calibration"):
        load_calibration(str(path))
    with pytest.raises(Mistake, match="voxmill calibrate RUN"):
        load_calibration(str(tmp_path / "none"))
