"""A plan against a whole whose every cost is known: intervals hold the truth, totals add up, prices and machines count as they should."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.planning.extrapolation import Extrapolation
from voxmill.pipeline.planning.machines import parse_machines, parse_prices, parse_speeds
from voxmill.pipeline.planning.observe import Observed, StoreUse, Tried, UnitCost, WholeCost
from voxmill.pipeline.planning.population import Population
from voxmill.pipeline.planning.predict import predict
from voxmill.pipeline.planning.prediction import Prediction
from voxmill.pipeline.planning.stage_costs import num_units
from voxmill.pipeline.planning.stage_work import Fleet

CONFIG: RunConfig = parse_config(
    {
        "sources": [{"name": name, "path": "."} for name in ("a", "b")],
        "transcribe": [{"kind": "whisperx", "name": "w", "model": "whisper-large-v3"}],
    }
)
UNIT_S, AUDIO_S = 3.0, 0.08
"""What a unit and a second of speech cost the recogniser."""
COUNT = 3000


@cache
def whole(seed: int = 0) -> list[Tried]:
    """A whole of two sources, whose recordings differ in length, in how much speech they hold, and in how much of it is kept."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(COUNT):
        source = "a" if number < 2000 else "b"
        hours = float(rng.lognormal(-3.2 if source == "a" else -2.2, 0.6))
        speech = hours * float(rng.beta(8, 2))
        kept = speech * float(rng.beta(6, 2 if source == "a" else 4))
        lost = (("segment.no_speech", hours - speech), ("select.low_agreement", speech - kept))
        item = f"{number:05d}"
        found.append(
            Tried(item, source, "", round(hours * 3.6e7), True, hours, speech, kept, round(kept * 300), item, lost, None)
        )
    return found


def observed(items: list[Tried], noise: float = 0.1, seed: int = 0) -> Observed:
    rng = np.random.default_rng(seed)
    units = []
    for one in items:
        for stage, fixed, running, seconds in (
            ("segment", 0.2, 0.004, one.hours * 3600),
            ("transcribe:w", UNIT_S, AUDIO_S, one.speech_hours * 3600),
        ):
            spent = (fixed + running * seconds) * float(rng.lognormal(0, noise))
            units.append(UnitCost(stage, one.cluster, seconds, spent, spent))
    hours, kept = sum(one.hours for one in items), sum(one.kept_hours for one in items)
    wholes = [WholeCost("decode", hours * 6, hours * 6), WholeCost("pack", kept * 20, kept * 20)]
    return Observed(items, units, wholes, len(items), 1.5, StoreUse(round(kept * 5e7), 0, round(hours * 1e6), 100), writes=500)


def plan(
    count: int,
    *machines: str,
    seed: int = 0,
    speeds: tuple[str, ...] = (),
    prices: tuple[str, ...] = (),
    hours: float | None = None,
) -> Prediction:
    rng, items = np.random.default_rng(seed), whole()
    drawn = [
        items[i]
        for stratum in (range(2000), range(2000, COUNT))
        for i in rng.choice(stratum, count * len(stratum) // COUNT, False)
    ]
    population = Population({"a": 2000, "b": 1000}, {}, frozenset(), {}, {})
    taken = Extrapolation(CONFIG, observed(drawn, seed=seed), population, one_per_unit=True, seed=seed)
    fleet = parse_machines(machines or ("cpu64:2",))
    given = parse_speeds(speeds, ["transcribe:w", "segment"], fleet)
    wanted = Fleet(fleet, parse_prices(prices, fleet, "0.02EUR"), given)
    return predict(taken.for_hours(hours) if hours else taken, wanted, "sample")


def test_intervals_hold_the_truth_of_a_whole_that_is_known() -> None:
    items = whole()
    seconds = [one.hours * 3600 for one in items]
    units = num_units([seconds[i] for i in np.random.default_rng(1).permutation(COUNT)], CONFIG.units.seconds)
    hours, speech, kept = (sum(getattr(one, n) for one in items) for n in ("hours", "speech_hours", "kept_hours"))
    mean = float(np.exp(0.1**2 / 2))
    models = mean * (units * 0.2 + hours * 3600 * 0.004 + units * UNIT_S + speech * 3600 * AUDIO_S)
    truth = {
        "audio in": hours,
        "audio kept": kept,
        "originals": hours * 3.6e7 / 1e9,
        "shards": kept * 5e7 / 1e9,
        "core-hours": (models + hours * 6 + kept * 20) / 3600,
    }
    held = dict.fromkeys(truth, 0)
    trials = 30
    for seed in range(trials):
        found = plan(30, seed=seed)
        for name, value in truth.items():
            one = found.figure(name).estimate
            assert one is not None
            assert one.low is not None
            assert one.high is not None
            held[name] += one.low <= value <= one.high
    assert all(0.75 * trials <= count for count in held.values()), held
    assert sum(held.values()) >= 0.83 * trials * len(truth), held


def test_totals_add_up() -> None:
    found = plan(60)
    value = {one.name: one.estimate.value for one in found.figures if one.estimate}
    assert value["store in all"] == pytest.approx(value["originals in the store"] + value["shards"] + value["state and tables"])
    assert value["audio in"] == pytest.approx(value["audio kept"] + sum(one.hours.value for one in found.lost))
    assert value["core-hours"] == pytest.approx(sum(one.core_hours.value for one in found.stages))
    assert value["wall clock"] == pytest.approx(
        sum(max(one.hours.value for one in found.busy if one.phase == phase) for phase in ("fetch", "models", "pack"))
    )


def test_costs_go_with_prices_and_with_the_clock() -> None:
    one, two = (plan(30, "cpu64:2", prices=(f"cpu64={price}EUR",)) for price in (1, 2))
    once, twice = one.figure("machines").estimate, two.figure("machines").estimate
    clock = one.figure("wall clock").estimate
    assert once
    assert twice
    assert clock
    assert twice.value == pytest.approx(2 * once.value)
    assert once.value == pytest.approx(2 * clock.value)
    assert one.figure("machines").unit == "EUR"
    assert plan(30, "cpu64:2", "h100:1", prices=("cpu64=1",)).figure("machines").estimate is None


def test_a_gpu_of_unknown_speed_is_said_to_be_unknown_and_a_given_speed_makes_it_known() -> None:
    unknown = plan(30, "h100:8")
    assert unknown.figure("wall clock").estimate is None
    assert unknown.figure("GPU-hours").basis == "not known"
    assert "--speed transcribe:w@h100=X" in unknown.unknown[0]
    known = plan(30, "h100:8", speeds=("transcribe:w=120",))
    gpu_hours, clock = known.figure("GPU-hours"), known.figure("wall clock")
    speech = plan(30).figure("audio kept")
    assert gpu_hours.estimate
    assert clock.estimate
    assert speech.estimate
    assert "given" in gpu_hours.basis
    assert not known.unknown
    assert plan(30, "v100:8").figure("wall clock").basis.startswith("speeds published")


def test_hours_that_are_asked_for_are_exact_and_all_else_goes_with_them() -> None:
    small, large = plan(30, hours=1000), plan(30, hours=100_000)
    asked = large.figure("audio in").estimate
    assert asked
    assert asked.low == pytest.approx(100_000)
    assert asked.high == pytest.approx(100_000)
    for name in ("audio kept", "shards", "core-hours"):
        once, more = small.figure(name).estimate, large.figure(name).estimate
        assert once
        assert more
        assert more.value == pytest.approx(100 * once.value, rel=0.05)


def test_a_larger_sample_says_it_more_closely() -> None:
    wide, narrow = (plan(count).figure("core-hours").estimate for count in (15, 240))
    assert wide
    assert narrow
    assert wide.low
    assert wide.high
    assert narrow.low
    assert narrow.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 2


def test_a_whole_that_was_measured_whole_has_no_error_of_sampling() -> None:
    items = whole()
    population = Population({"a": 2000, "b": 1000}, {}, frozenset(), {}, {})
    machines = parse_machines(["here"])
    taken = Extrapolation(CONFIG, replace(observed(items), units=observed(items, 0.0).units), population, one_per_unit=False)
    found = predict(taken, Fleet(machines, parse_prices((), machines), {}), "run")
    for name in ("audio in", "audio kept", "core-hours"):
        one = found.figure(name).estimate
        assert one
        assert one.low == one.value == one.high
    total = sum(one.hours for one in items)
    one = found.figure("audio in").estimate
    assert one
    assert one.value == pytest.approx(total)
