"""How long a full run takes: here, told from a few steps of each kind of training on made-up sound; on a GPU, told from counting.

Models of this size do not fill a GPU: what takes time there is to launch its operations, about `LAUNCH` each.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.experiments.sizes import Size
from benchmarks.report import table
from voxmill.models.network.model import Conditions, ModelConfig, SpeechModel

UTTERANCE = 230
"""Frames of the corpus's mean utterance."""
LAUNCH = 10e-6
"""Seconds of an operation on a GPU that waits for the next one: a guess, to plan with. There, the same command measures it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Trainings of one kind: `count` of them, one a seed."""

    arm: str
    model: ModelConfig
    steps: int
    count: int


def show(parts: Sequence[Part], size: Size, steps: int = 3) -> None:
    """Prints the time of all trainings on this device, one at a time. Data and tests come on top (about a tenth)."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows, total, launched = [], 0.0, 0.0
    for part in parts:
        run = _Steps(part.model, size, device)
        a_step, operations = run.seconds(steps), run.operations()
        total += a_step * part.steps * part.count
        launched += operations * LAUNCH * part.steps * part.count
        minutes = f"{a_step * part.steps / 60:.1f}"
        rows.append((part.arm, str(part.count), str(part.steps), f"{1000 * a_step:.0f}", minutes, str(operations)))
    table(("training", "seeds", "steps", "ms a step", "minutes each", "operations a step"), rows)
    print(f"together about {total / 3600:.1f} hours of {device}, one training at a time, {torch.get_num_threads()} thread(s)")
    print(f"on a GPU about {launched / 60:.0f} minutes, if an operation costs {LAUNCH * 1e6:.0f} us (counted, not measured)")


class _Steps:
    """A training on one made-up batch."""

    def __init__(self, config: ModelConfig, size: Size, device: str) -> None:
        torch.manual_seed(0)
        self.model = SpeechModel(config.model_copy(update={"vocabulary": 400})).to(device).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters())
        count = max(1, round(size.batch_seconds * 100 / UTTERANCE))
        self.feature_BTM = torch.randn(count, UTTERANCE, config.fbank.num_mels, device=device)
        self.length_B = torch.full((count,), UTTERANCE, device=device)
        self.token_BU = torch.ones(count, 20, dtype=torch.long, device=device)
        turns_B = torch.arange(count, device=device) % 2
        all_BK = torch.ones(count, len(config.tasks.tasks), dtype=torch.bool, device=device) if config.tasks else None
        budget = config.emoe.full if config.emoe else None
        self.conditions = Conditions(budget=budget, bandwidth_B=turns_B, translates_B=turns_B, active_BK=all_BK)
        self.device = device

    def step(self) -> None:
        said = self.model(self.feature_BTM, self.length_B, self.token_BU, self.conditions)
        self.optimizer.zero_grad(set_to_none=True)
        (said.ctc_BTV.mean() + said.forward_BUV.mean()).backward()
        self.optimizer.step()

    def seconds(self, steps: int) -> float:
        """Of one step: the mean of some, after one to warm up. On a CPU its own time: what else the machine does is not counted."""
        now = time.perf_counter if self.device == "cuda" else time.process_time
        self.step()
        self._wait()
        began = now()
        for _ in range(steps):
            self.step()
        self._wait()
        return (now() - began) / steps

    def operations(self) -> int:
        with _Counted() as counted:
            self.step()
        found: int = counted.operations
        return found

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


class _Counted(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += not any(
            part in str(func) for part in ("view", "transpose", "detach", "slice", "split", "expand", "t.default")
        )
        return func(*args, **(kwargs or {}))
