"""The curve of errors against kept words, against a slow count by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.report import finish
from benchmarks.retention import Scored, bootstrap, columns, error_rates, interval, unfiltered

units = st.lists(
    st.tuples(st.integers(1, 9), st.integers(0, 9), st.one_of(st.none(), st.sampled_from([0.2, 0.5, 0.9, 1.0]))),
    min_size=1,
    max_size=12,
)


def arrays(rows: list[tuple[int, int, float | None]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    words, errors, scores = zip(*rows, strict=True)
    return np.array(words, float), np.array(errors, float), np.array([np.nan if s is None else s for s in scores])


@given(units)
def test_at_the_end_of_a_score_the_rate_is_a_plain_count(rows: list[tuple[int, int, float | None]]) -> None:
    words, errors, score = arrays(rows)
    for threshold in {s for _, _, s in rows if s is not None}:
        kept = score >= threshold
        rate = error_rates(words, errors, score, np.array([words[kept].sum() / words.sum()]))[0]
        assert rate == pytest.approx(errors[kept].sum() / words[kept].sum())


@given(units, st.floats(0.05, 1))
def test_the_order_of_units_does_not_matter_even_among_ties(rows: list[tuple[int, int, float | None]], share: float) -> None:
    forward = error_rates(*arrays(rows), np.array([share]))
    assert np.allclose(forward, error_rates(*arrays(rows[::-1]), np.array([share])), equal_nan=True)


@given(units)
def test_lost_words_count_in_the_share_and_never_in_the_rate(rows: list[tuple[int, int, float | None]]) -> None:
    words, errors, score = arrays(rows)
    most = words[~np.isnan(score)].sum() / words.sum()
    rates = error_rates(words, errors, score, np.array([most, min(1.0, most + 0.01)]))
    if most == 0:
        assert np.isnan(rates).all()
    else:
        assert rates[0] == pytest.approx(errors[~np.isnan(score)].sum() / words[~np.isnan(score)].sum())
        assert np.isnan(rates[1]) == (most < 1)


def test_a_perfect_filter_keeps_right_words_first_and_a_useless_one_keeps_the_mixture() -> None:
    scored = [Scored("a", 10, 0 if i % 2 else 8, {"perfect": float(i % 2), "useless": 0.5}) for i in range(40)]
    data = columns(scored, ("perfect", "useless"))
    shares = np.array([0.25, 0.5, 1.0])
    assert error_rates(data.words, data.errors, data.scores["perfect"], shares).tolist() == [0.0, 0.0, 0.4]
    assert error_rates(data.words, data.errors, data.scores["useless"], shares).tolist() == pytest.approx([0.4, 0.4, 0.4])
    assert unfiltered(data) == pytest.approx(0.4)


def test_the_bootstrap_keeps_strata_and_its_interval_holds_the_estimate() -> None:
    rng = np.random.default_rng(3)
    scored = [Scored("easy", 10, int(rng.integers(0, 3)), {"f": float(rng.random())}) for _ in range(50)]
    scored += [Scored("lost", 10, 10, None) for _ in range(50)]
    data = columns(scored, ("f",))
    rates, bases = bootstrap(data, np.array([0.3, 0.6]), 200, seed=1)
    assert np.isnan(rates["f"][:, 1]).all()  # half is lost in every resample, because strata are kept
    low, high = interval(bases)
    assert low < unfiltered(data) < high
    again, _ = bootstrap(data, np.array([0.3, 0.6]), 200, seed=1)
    assert np.array_equal(rates["f"], again["f"], equal_nan=True)


def test_ok_is_said_only_where_every_target_is_met(capsys: pytest.CaptureFixture[str]) -> None:
    met = {"value": 1, "target": "< 2", "met": True}
    missed = {"value": 3, "target": "< 2", "met": False}
    for targets, ok in (({"a": met}, True), ({"a": met, "b": missed}, False), ({}, False)):
        finish("x", {}, targets, full=False)  # type: ignore[arg-type]
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["ok"] is ok
