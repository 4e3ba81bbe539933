"""What the arms of experiment-emoe are, and what its targets say of made-up figures, without training any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest

from benchmarks import experiment_emoe as emoe
from benchmarks.experiment_emoe import FULL, REDUCED, Plan, Scale
from benchmarks.experiments.footprint import parameters
from benchmarks.experiments.rows import rows
from benchmarks.experiments.shrinking import GROWING, targets
from voxmill.models.network.budget import Budget
from voxmill.models.network.model import SpeechModel

SCALES = pytest.mark.parametrize("scale", [REDUCED, FULL], ids=["reduced", "full"])
NAMES = REDUCED.budgets
STATIC, LOW, HIGH = [8.8, 9.0, 9.1], [8.5, 8.7, 8.9], [11.0, 11.5, 12.0]


@SCALES
def test_the_elastic_model_is_trained_for_what_is_compared(scale: Scale) -> None:
    plan = Plan(scale, 0)
    trained = plan.elastic().model.emoe
    assert trained is not None
    assert set(trained.schedule.budgets()) == {plan.budget(name) for name in scale.budgets}
    assert trained.schedule.largest == plan.full == plan.budget(scale.budgets[-1])


@SCALES
def test_all_arms_of_a_seed_have_the_same_steps_data_and_rate(scale: Scale) -> None:
    plan = Plan(scale, 1)
    jobs = [plan.elastic(), plan.static(), *map(plan.small, scale.budgets), *plan.all_dense()]
    assert {job.train.model_dump_json() for job in jobs} == {plan.static().train.model_dump_json()}
    assert {job.data.model_dump_json() for job in jobs} == {plan.static().data.model_dump_json()}
    assert all(plan.tuned(name, "key").train.steps == scale.size.steps // emoe.TUNED for name in scale.budgets)


@SCALES
def test_a_dense_model_computes_as_much_as_the_mixture(scale: Scale) -> None:
    plan = Plan(scale, 0)
    for name in scale.budgets:
        dense, mixture = (
            parameters(SpeechModel(job.model.model_copy(update={"vocabulary": 8})))
            for job in (plan.dense(name), plan.small(name))
        )
        assert dense["active"] == pytest.approx(mixture["active"], rel=0.05)  # routers, and a bias for each expert


@SCALES
def test_along_a_path_a_model_gets_more(scale: Scale) -> None:
    plan = Plan(scale, 0)
    for path in GROWING:
        found = [plan.budget(name) for name in path if name in scale.budgets]
        assert all(small.fits(large) and small != large for small, large in pairwise(found))
    assert plan.budget("all:3:half") == Budget(scale.experts, 3, scale.size.hidden // (1 + scale.top_k) // 2)


def judged(elastic: Sequence[Sequence[float]], cut: Sequence[Sequence[float]], of_full: float = 0.8) -> Mapping[str, bool]:
    rates: dict[str, dict[str, Sequence[float]]] = {
        "elastic": dict(zip(NAMES, elastic, strict=True)),
        "cut": dict(zip(NAMES, cut, strict=True)),
        "small": dict.fromkeys(NAMES[:-1], STATIC),
    }
    speeds = [{name: {"of_full": of_full} for name in NAMES}] * 3
    return {name.split(",")[0]: target["met"] for name, target in targets(rates, NAMES, speeds).items()}


def test_targets_are_met_by_a_model_that_shrinks_well() -> None:
    assert all(judged([LOW] * 4, [HIGH, HIGH, HIGH, STATIC]).values())


def test_each_target_can_be_missed() -> None:
    overlapping = [9.0, 11.4, 12.0]
    assert not judged([overlapping, LOW, LOW, LOW], [HIGH, HIGH, HIGH, STATIC])[
        "elastic beats the plain cut at every reduced budget"
    ]
    worse = judged([LOW, LOW, LOW, HIGH], [HIGH, HIGH, HIGH, STATIC])
    assert not worse["elastic does not get worse as the budget grows (beyond one deviation)"]
    assert not worse["elastic at full budget against static uncut"]
    assert not judged([[10.5] * 3, LOW, LOW, LOW], [HIGH, HIGH, HIGH, STATIC])["elastic against separately trained"]
    assert not judged([LOW] * 4, [HIGH, HIGH, HIGH, STATIC], of_full=1.01)["reduced top-k and width are faster"]


def test_voices_of_the_test_are_not_in_training() -> None:
    spoken = rows(200, 200, (-9.0, 3.0))
    train, test = ({one.turns[0][0].variant for one in spoken if one.split == split} for split in ("train", "test"))
    assert len(test) > 5
    assert not train & test
