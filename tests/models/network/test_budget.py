from __future__ import annotations

from collections import Counter

import pytest

from voxmill.models.common.seeds import seeded
from voxmill.models.network.budget import Budget, BudgetError, BudgetSchedule

FULL = Budget(15, 3, 512)


@pytest.mark.parametrize(("text", "budget"), [("6", (6, 3, 512)), ("6:1", (6, 1, 512)), ("2:3:64", (2, 2, 64))])
def test_what_is_not_said_is_full(text: str, budget: tuple[int, int, int]) -> None:
    assert Budget.parse(text, FULL) == Budget(*budget)


@pytest.mark.parametrize("text", ["", "six", "6:2:256:1", "0", "-3"])
def test_what_is_no_budget_says_how_to_write_one(text: str) -> None:
    with pytest.raises(BudgetError, match="for example 6"):
        Budget.parse(text, FULL)


@pytest.mark.parametrize("text", ["16", "6:4", "6:3:513"])
def test_no_budget_is_larger_than_the_model(text: str) -> None:
    with pytest.raises(BudgetError, match=r"which has 15:3:512"):
        Budget.parse(text, FULL)


def test_later_groups_are_favoured_in_proportion() -> None:
    schedule, generator = BudgetSchedule(), seeded("budget")
    drawn = Counter(schedule.sample(generator).experts for _ in range(3000))
    assert {n: round(count / 3000, 1) for n, count in drawn.items()} == {3: 0.1, 6: 0.1, 9: 0.2, 12: 0.3, 15: 0.3}


def test_every_drawn_budget_is_one_of_the_schedules() -> None:
    schedule = BudgetSchedule(experts=(1, 4), top_k=(1, 2), width=(8, 16), favour=0)
    budgets = list(schedule.budgets())
    assert len(budgets) == 6  # 1 expert leaves no choice of top-k
    generator = seeded("any")
    assert {schedule.sample(generator) for _ in range(200)} == set(budgets)


def test_a_sandwich_has_the_largest_budget_in_every_step() -> None:
    schedule = BudgetSchedule(experts=(3, 15), top_k=(1, 3), only=("3", "15:1", "15:3:256"), favour=0, passes="sandwich")
    small = [Budget(3, 3, 512), Budget(15, 1, 512), Budget(15, 3, 256)]
    assert list(schedule.budgets()) == [*small, FULL]
    generator = seeded("share")
    drawn = Counter(schedule.of_step(generator) for _ in range(3000))
    assert {budgets: round(count / 3000, 1) for budgets, count in drawn.items()} == {(FULL, one): 0.3 for one in small}


def test_every_budget_in_every_step() -> None:
    schedule = BudgetSchedule(experts=(3, 15), top_k=(1, 3), only=("3", "15:1", "15:3:256"), passes="every")
    small = [Budget(3, 3, 512), Budget(15, 1, 512), Budget(15, 3, 256)]
    assert {schedule.of_step(seeded("any", step)) for step in range(5)} == {(FULL, *reversed(small))}
    assert set(schedule.budgets()) == {FULL, *small}


def test_a_cut_schedule_draws_what_is_left() -> None:
    schedule = BudgetSchedule(experts=(3, 6, 15), top_k=(1, 3), only=("3", "6:1", "15:1"))
    small = Budget(6, 3, 512)
    assert set(schedule.cut(small).budgets()) == {Budget(3, 3, 512), Budget(6, 1, 512)}
    assert set(schedule.cut(Budget(2, 1, 512)).budgets()) == {Budget(2, 1, 512)}
    assert set(schedule.model_copy(update={"only": ()}).cut(small).budgets()) == {
        Budget(3, 1, 512), Budget(6, 1, 512), Budget(3, 3, 512), small,
    }  # fmt: skip
