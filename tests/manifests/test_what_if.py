"""What the catalog recomputes in SQL against the operator that decided it in Python: `select` itself is the oracle."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxmill.manifests.catalog import open_catalog, query
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import SAMPLE_RATE, Consensus, Selection
from voxmill.manifests.what_if import what_if
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.select.calibration import Calibration, Curve, Weights
from voxmill.operators.select.select import Select, SelectConfig

from .factory import SELECT, MadeUpRun, made_up_run

CALIBRATION = Path(tempfile.gettempdir()) / f"voxmill-calibration-{os.getpid()}.json"
share = st.floats(0, 1).map(lambda x: round(x, 2))
CALIBRATED = SELECT.model_copy(update={"calibration": str(CALIBRATION)})


@st.composite
def configs(draw: st.DrawFn) -> SelectConfig:
    high, weak, unlabelled = sorted((draw(share), draw(share), draw(share)), reverse=True)
    single_high, single_weak, single_unlabelled = sorted((draw(share), draw(share), draw(share)), reverse=True)
    return SelectConfig(
        score=draw(st.sampled_from(("agreement", "agreement_confidence", "expected_error"))),
        calibration=str(CALIBRATION),
        confidence_share=draw(share),
        high=high,
        weak=weak,
        unlabelled=unlabelled,
        single_high=single_high,
        single_weak=single_weak,
        single_unlabelled=single_unlabelled,
        min_confidence=draw(share),
        languages=draw(st.sampled_from(((), ("en",), ("en", "zh")))),
        language_confidence=draw(share),
        max_repeats=draw(st.integers(1, 8)),
        max_compression=draw(st.sampled_from((1.0, 1.2, 2.4, 5.0))),
        rate_fence=draw(st.sampled_from((None, 0.0, 0.5, 1.5))),
        rate_segments=draw(st.integers(2, 9)),
        min_chars=draw(st.integers(0, 120)),
        licences=draw(st.sampled_from((("*",), ("cc-by-*",), ("cc0-1.0", "proprietary"), ()))),
        allow_unknown_licence=draw(st.booleans()),
        keep_unlabelled=draw(st.booleans()),
    )


def _single(run: MadeUpRun) -> MadeUpRun:
    """Every third consensus as a single engine gives it: without an agreement."""
    consensus: list[Consensus] = list(run.tables["consensus"])
    return run.changed(consensus=[replace(c, agreement=None) if n % 3 == 0 else c for n, c in enumerate(consensus)])


def _select(run: MadeUpRun, config: SelectConfig) -> list[Selection]:
    good = tuple(r for r in run.tables["recordings"] if r.rejection is None)
    chosen: list[Selection] = []
    for unit in run.tables["units"]:
        segments = tuple(s for s in run.tables["segments"] if s.rejection is None and run.units_of[s.id] == unit.id)
        consensus = tuple(c for c in run.tables["consensus"] if run.units_of[c.segment_id] == unit.id)
        chosen += Select(config)(UnitInput(unit.id, recordings=good, parts=unit.parts, segments=segments, consensus=consensus))
    return chosen


@pytest.fixture(scope="module")
def run() -> Iterator[MadeUpRun]:
    weights = Weights(intercept=-2.0, agreement=3.0, confidence=1.0, length=0.1)
    places, errors = (-1.0, 1.0, 6.0), (1.2, 0.4, 0.02)
    curve = Curve(language=None, weights=weights, scores=places, errors=errors, segments=9, words=90, recordings=3)
    CALIBRATION.write_text(Calibration(curves=(curve,), plain=(curve,)).model_dump_json())
    run = _single(made_up_run(seed=3, recordings=14))
    yield run.changed(selections=_select(run, CALIBRATED))
    CALIBRATION.unlink()


@pytest.fixture(scope="module")
def root(run: MadeUpRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run.write(tmp_path_factory.mktemp("what-if") / "run")


@pytest.fixture(scope="module")
def con(root: Path) -> Any:
    return open_catalog(str(root))


@pytest.fixture
def settings_of(root: Path) -> Iterator[Any]:
    """Changes what run.json says of `select`; the tables stay as they are."""
    path = root / "run.json"
    before = path.read_text()

    def change(config: SelectConfig) -> None:
        path.write_text(json.dumps({**json.loads(before), "config": {"select": config.model_dump(mode="json")}}))

    yield change
    path.write_text(before)


def _verdicts(con: Any) -> dict[str, tuple[str, str | None]]:
    return {row["segment_id"]: (row["tier"], row["reason"]) for row in query(con, "FROM judge()").to_pylist()}


def _judged(run: MadeUpRun, selections: list[Selection]) -> dict[str, tuple[str, str | None]]:
    agreed = {c.segment_id for c in run.tables["consensus"] if c.rejection is None}
    return {x.segment_id: (x.tier, x.rejection.reason if x.rejection else None) for x in selections if x.segment_id in agreed}


def _seconds(run: MadeUpRun, selections: list[Selection]) -> float:
    kept = {x.segment_id for x in selections if x.rejection is None}
    samples: int = sum(s.num_samples for s in run.tables["segments"] if s.id in kept)
    return samples / SAMPLE_RATE


def test_with_the_run_s_own_thresholds_nothing_changes(run: MadeUpRun, con: Any) -> None:
    assert _verdicts(con) == _judged(run, list(run.tables["selections"]))
    assert len({tier for tier, _ in _verdicts(con).values()}) == 4, "the made-up run has every tier"
    for row in query(con, "FROM what_if()").to_pylist():
        assert row["segments_now"] == row["segments_then"]
        assert row["hours_now"] == pytest.approx(row["hours_then"])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=configs())
def test_under_any_thresholds_it_says_what_select_would(
    run: MadeUpRun, root: Path, con: Any, settings_of: Any, config: SelectConfig
) -> None:
    again = _select(run, config)
    settings_of(config)
    assert _verdicts(open_catalog(str(root), "judge")) == _judged(run, again)
    asked = {f"select.{k}": v for k, v in config.model_dump(mode="json").items() if k not in UNASKED}
    rows = {row["tier"]: row for row in what_if(con, asked).to_pylist()}
    assert rows["kept"]["hours_then"] * 3600 == pytest.approx(_seconds(run, again))
    assert rows["kept"]["hours_now"] * 3600 == pytest.approx(_seconds(run, list(run.tables["selections"])))
    tiers = [tier for tier, _ in _judged(run, again).values()]
    assert {t: r["segments_then"] for t, r in rows.items() if t != "kept" and r["segments_then"]} == {
        t: tiers.count(t) for t in set(tiers)
    }


UNASKED = {"weak_weight", "dev_share", "test_share", "calibration"}
"""What is said of segments that are kept decides nothing about keeping; what a calibration expects stands in the table."""


def test_every_threshold_can_be_asked_for(con: Any) -> None:
    columns = query(con, "FROM thresholds").to_pylist()[0]
    assert {k: v for k, v in SELECT.model_dump(mode="json").items() if k not in UNASKED} == columns


OFF: dict[str, dict[str, Any]] = {
    "select.licence": {"licences": ("*", "proprietary"), "allow_unknown_licence": True},
    "select.language": {"languages": ()},
    "select.language_unsure": {"language_confidence": 0.0},
    "select.too_few_chars": {"min_chars": 0},
    "select.repetition": {"max_repeats": 10**6},
    "select.compression": {"max_compression": 1e9},
    "select.speech_rate": {"rate_fence": None},
}
"""How each filter is switched off."""


@pytest.mark.parametrize("seed", range(3))
def test_marginal_loss_is_what_switching_a_filter_off_gains(seed: int, tmp_path: Path) -> None:
    config = SELECT.model_copy(update={"min_chars": 60, "rate_fence": 0.2, "rate_segments": 3})
    run = made_up_run(seed, recordings=14, select=config)
    loss = {
        row["reason"]: row["marginal_s"]
        for row in query(
            open_catalog(str(run.write(tmp_path / "run", config)), "marginal_loss"), "FROM marginal_loss"
        ).to_pylist()
    }
    now = _seconds(run, list(run.tables["selections"]))
    for reason, off in OFF.items():
        gained = _seconds(run, _select(run, config.model_copy(update=off))) - now
        assert loss.get(reason, 0.0) == pytest.approx(gained, abs=1e-6), reason
    gained = _seconds(run, _select(run, config.model_copy(update={"high": 0.0, "weak": 0.0, "unlabelled": 0.0}))) - now
    assert loss.get("select.low_agreement", 0.0) + loss.get("select.unlabelled", 0.0) == pytest.approx(gained, abs=1e-6)
    assert sum(seconds > 0 for seconds in loss.values()) >= 2, "the made-up run makes several filters matter"


def test_the_agreement_that_keeps_a_segment_has_a_name_of_its_own(run: MadeUpRun, con: Any) -> None:
    assert what_if(con, {"select.agreement": 0.9}) == what_if(con, {"weak": 0.9})
    lower = what_if(con, {"select.agreement": 0.1}).to_pylist()[-1]
    expected = _seconds(run, _select(run, SELECT.model_copy(update={"weak": 0.1, "unlabelled": 0.1})))
    assert lower["hours_then"] * 3600 == pytest.approx(expected), "`unlabelled` moves down with it"


def test_values_as_the_command_line_gives_them(con: Any) -> None:
    assert what_if(con, {"languages": "en,zh"}) == what_if(con, {"languages": ["en", "zh"]})
    assert what_if(con, {"rate_fence": None, "keep_unlabelled": "true"}).num_rows > 0


def test_a_quarantined_segment_is_never_kept(run: MadeUpRun, tmp_path: Path) -> None:
    first = next(x for x in run.tables["selections"] if x.rejection is None)
    failed = replace(first, tier="rejected", rejection=reject("select.failed", "died twice"))
    bad = run.changed(selections=[failed if x is first else x for x in run.tables["selections"]])
    con = open_catalog(str(bad.write(tmp_path / "run")), "judge")
    assert _verdicts(con)[first.segment_id] == ("rejected", "select.failed")
