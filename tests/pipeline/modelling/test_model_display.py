"""What the model's commands show, with made-up steps."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from voxmill.pipeline.modelling.model_display import TrainingDisplay


def step(number: int, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "step": number, "loss": 10.0, "parts": {"ctc": 20.0, "attention": 5.0}, "rate": 1e-3, "updated": True, "budget": "6:3:96",
        "audio_seconds": 30.0, "expert_peak": 0.25, "seconds": 0.5, "waiting": 0.0, "skipped": {"audio": 2, "too_long": 1}, "validation": None,
    }  # fmt: skip
    return SimpleNamespace(**values | changes)


def shown(*steps: Any, quiet: bool = False, total: int = 2) -> str:
    out = io.StringIO()
    with TrainingDisplay(total, Console(file=out, width=60), quiet=quiet) as display:
        for one in steps:
            display(one)
    return out.getvalue()


def test_the_last_step_says_everything_in_one_line() -> None:
    line = shown(step(1), step(2))
    assert line.count("\n") == 1
    for part in ("step 2/2", "loss 10.00", "loss ctc 20.00", "x real time 60.0", "budget 6:3:96", "expert peak 0.25",
                 "waiting for data 0%", "left out 3", "ETA done"):  # fmt: skip
        assert part in line


def test_a_model_of_one_size_and_a_loss_that_is_none_are_shown_as_well() -> None:
    bad = step(1, loss=float("nan"), parts={"ctc": float("inf")}, updated=False)
    line = shown(bad, step(2, budget=None, expert_peak=None))
    assert "budget whole · expert peak –" in line
    assert "loss 10.00 · loss ctc 20.00" in line
    assert "steps without an update (gradient not finite) 1" in line


def test_quiet_is_quiet() -> None:
    assert shown(step(1), step(2), quiet=True) == ""


def test_between_first_and_last_there_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LINE_EVERY_S", "LINE_EVERY_MAX_S"):
        monkeypatch.setattr(f"voxmill.pipeline.terminal.display.{name}", -1.0)
    assert shown(step(1), step(2), step(3), total=9).count("\n") == 3
