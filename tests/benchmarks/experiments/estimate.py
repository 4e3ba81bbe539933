"""How long a full run takes here, told from a few steps of each kind of training on made-up sound."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.experiments.sizes import Size
from benchmarks.report import table
from voxmill.models.budget import Budget
from voxmill.models.model import Conditions, ModelConfig, SpeechModel

UTTERANCE = 230
"""Frames of the corpus's mean utterance."""


@dataclass(frozen=True, slots=True)
class Part:
    """Trainings of one kind: `count` of them, one a seed."""

    arm: str
    model: ModelConfig
    steps: int
    count: int


def show(parts: Sequence[Part], size: Size, steps: int = 3) -> float:
    """Prints and returns the seconds of all trainings on this device, one at a time. Data and tests come on top (about a tenth)."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows, total = [], 0.0
    for part in parts:
        a_step = seconds_of_step(part.model, size, device, steps)
        spent = a_step * part.steps * part.count
        total += spent
        rows.append((part.arm, str(part.count), str(part.steps), f"{1000 * a_step:.0f}", f"{spent / 60:.1f}"))
    table(("training", "seeds", "steps", "ms a step", "minutes"), rows)
    print(f"about {total / 3600:.1f} hours of {device} time, one training at a time, {torch.get_num_threads()} thread(s)")
    return total


def seconds_of_step(config: ModelConfig, size: Size, device: str, steps: int) -> float:
    """Forward, backward and update of one batch of training: the mean of some, after one to warm up."""
    torch.manual_seed(0)
    config = config.model_copy(update={"vocabulary": 400})
    model = SpeechModel(config).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters())
    count = max(1, round(size.batch_seconds * 100 / UTTERANCE))
    feature_BTM = torch.randn(count, UTTERANCE, config.fbank.num_mels, device=device)
    length_B, token_BU = torch.full((count,), UTTERANCE, device=device), torch.ones(count, 20, dtype=torch.long, device=device)
    budget: Budget | None = config.emoe.full if config.emoe else None
    now = time.perf_counter if device == "cuda" else time.process_time  # what else the machine does is not counted
    began = 0.0
    for step in range(steps + 1):
        if step == 1:
            _wait(device)
            began = now()
        said = model(feature_BTM, length_B, token_BU, Conditions(budget=budget))
        optimizer.zero_grad(set_to_none=True)
        (said.ctc_BTV.mean() + said.forward_BUV.mean()).backward()
        optimizer.step()
    _wait(device)
    return (now() - began) / steps


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
