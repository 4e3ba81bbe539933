"""How work that was done twice is counted: the check of faults stands on it."""

from __future__ import annotations

from cluster.events import Seen
from cluster.redone import redone


def begun(process: str, *units: str, at: float = 0.0) -> list[Seen]:
    """Units that a process took one after the other, a second each, and then committed."""
    its = [Seen("w1", process, at + n, "began", f"slow/{unit}") for n, unit in enumerate(units)]
    return [*its, Seen("w1", process, at + len(its), "committed", "a fragment")]


def test_what_nobody_did_again_was_not_in_vain() -> None:
    assert redone([*begun("1", "a", "b"), *begun("2", "c")], "slow/") == {}


def test_finished_units_that_were_done_again_count_for_whoever_did_them_first() -> None:
    killed = begun("1", "a", "b", "c")[:-1]
    again = begun("2", "a", "b", "c", at=10)
    assert redone([*killed, *again], "slow/") == {"w1 1": 2}, "what it had in its hands was not finished"
    assert redone([*again, *killed], "slow/") == {"w1 1": 2}
    assert redone([*begun("1", "a"), *begun("2", "a", at=5), *begun("3", "a", at=9)], "slow/") == {"w1 1": 1, "w1 2": 1}


def test_other_stages_do_not_count() -> None:
    quick = [Seen("w1", "1", n, "began", "quick/a") for n in range(3)]
    assert redone(quick, "slow/") == {}
