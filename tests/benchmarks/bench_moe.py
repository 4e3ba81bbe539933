"""`make bench-moe`: what elastic experts cost beside a dense layer of the same active compute, and what training spends on data.

One layer, forward and backward, on a fixed grid of width, expert width and tokens: 15 experts of which each token takes 3, and one
shared; a dense layer four times as wide as an expert; and a plain loop in which each expert finds its tokens. The three take turns
in rounds, and what is compared are times of the same round. On a CPU one thread counts, by its own time, so that other programs
disturb little; on CUDA it is the device's time, in bfloat16. No dropout. The load is reported, as in training.

Then a small model is trained on made-up shards: seconds of audio for a second, and the share of the time spent waiting for data.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.report import Target, finish, full_form, heading, table
from samples import read_audio, recording, sample
from voxmill.models.network.emoe import ElasticMoE, Experts, MoEConfig, RouterOutput
from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.route import Route
from voxmill.models.training.recipe import Recipe, load_recipe, prepare
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.writer import pack_shard

CPU_GRID = ((144, 144, 1500), (256, 256, 1500), (256, 512, 1500), (256, 512, 6000))
CUDA_GRID = ((512, 1024, 32_768),)
MOST_RATIO, MOST_WAITING = 1.3, 0.05
ARMS = ("dense", "experts", "plain loop")


class PlainExperts(Experts):
    """Each expert finds its tokens: the loop that one would write first."""

    def forward(self, x_ND: Tensor, choice: RouterOutput, budget: Any) -> Tensor:
        return self.one_by_one(x_ND, choice, budget)


def layers(dim: int, width: int, device: str, dtype: torch.dtype) -> dict[str, nn.Module]:
    config = MoEConfig(width=width, dropout=0)
    torch.manual_seed(0)
    moe, plain = ElasticMoE(dim, config), ElasticMoE(dim, config)
    plain.experts = PlainExperts(plain.experts)
    plain.load_state_dict(moe.state_dict())
    dense = FeedForward(dim, (config.shared + config.top_k) * width)
    arms: dict[str, nn.Module] = dict(zip(ARMS, (dense, moe, plain), strict=True))
    return {name: one.to(device, dtype).train() for name, one in arms.items()}


def clock(device: str) -> Callable[[], float]:
    """Seconds: of this thread on a CPU, of the wall after all launched work on a GPU."""
    if device == "cpu":
        return time.thread_time

    def after_all() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return after_all


def measure(dim: int, width: int, tokens: int, rounds: int, device: str) -> dict[str, list[float]]:
    """Milliseconds of forward and backward, by arm, a number for each round."""
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    arms, now = layers(dim, width, device, dtype), clock(device)
    x_1ND = torch.randn(1, tokens, dim, device=device, dtype=dtype)
    grad_1ND = torch.randn_like(x_1ND)
    spent: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 1):  # the first warms up
        for name, layer in arms.items():
            layer.zero_grad(set_to_none=True)
            input_1ND = x_1ND.clone().requires_grad_()
            start = now()
            layer(input_1ND, Route(loads=[])).backward(grad_1ND)
            if turn:
                spent[name].append(1000 * (now() - start))
    return spent


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """95 % of the median, from 2,000 bootstrap samples."""
    drawn = np.random.default_rng(0).choice(np.asarray(ratios), (2000, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return float(low), float(high)


def grid(full: bool) -> list[dict[str, Any]]:
    cells = [("cpu", *cell) for cell in CPU_GRID]
    cells += [("cuda", *cell) for cell in (*CPU_GRID, *CUDA_GRID)] if torch.cuda.is_available() else []
    found = []
    for device, dim, width, tokens in cells:
        rounds = (60 if full else 20) * max(1, 6000 // tokens)  # of few tokens more: a round of theirs is disturbed more easily
        spent = measure(dim, width, tokens, rounds, device)
        ratios = {name: [mine / dense for mine, dense in zip(spent[name], spent["dense"], strict=True)] for name in ARMS[1:]}
        found.append({
            "device": device, "d": dim, "h": width, "tokens": tokens, "ms": {name: median(ms) for name, ms in spent.items()},
            "ratio": median(ratios["experts"]), "interval": interval(ratios["experts"]), "plain_ratio": median(ratios["plain loop"]),
        })  # fmt: skip
    return found


def shards(root: Path, recordings: int) -> Path:
    """Recordings of 30 s of noise and tone, five segments of 4 to 6 s in each, with a transcript."""
    made = [
        sample(recording(f"talk-{index}"), 6 * part, 4 + part % 3, unit=index)
        for index in range(recordings)
        for part in range(5)
    ]
    for plan in plan_shards((one.entry for one in made), 4, 4_000_000):
        pack_shard(plan, made, read_audio, str(root))
    return root


def training(full: bool, device: str) -> dict[str, float]:
    """Of the shipped recipe `taste` on a CPU and `compact` on a GPU, after the first steps."""
    recipe: Recipe = load_recipe("compact" if device == "cuda" else "taste")
    with tempfile.TemporaryDirectory() as folder:
        trainer = prepare(str(shards(Path(folder), 30 if full else 10)), recipe, device)
        for _ in range(3):
            trainer.advance()
        steps = [trainer.advance() for _ in range(60 if full else 15)]
    seconds, audio = sum(step.seconds for step in steps), sum(step.audio_seconds for step in steps)
    return {"x_real_time": audio / seconds, "waiting": sum(step.waiting for step in steps) / seconds, "steps": len(steps)}


def main() -> None:
    full = full_form(sys.argv)
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    heading("moe", full, "random tokens; made-up shards", ("torch",))
    if device == "cuda":
        print(f"  device    {torch.cuda.get_device_name()}\n")
    cells = grid(full)
    table(
        ("d/h/tokens", *(f"{name} ms" for name in ARMS), "experts / dense", "95 %", "loop / dense"),
        (
            [
                f"{c['d']}/{c['h']}/{c['tokens']} {c['device']}", *(f"{c['ms'][name]:.2f}" for name in ARMS), f"{c['ratio']:.2f}",
                "{:.2f}-{:.2f}".format(*c["interval"]), f"{c['plain_ratio']:.2f}",
            ]
            for c in cells
        ),
    )  # fmt: skip
    if device == "cpu":
        print("  no CUDA device here: 512/1024/32768 in bfloat16 was not measured\n")
    trained = training(full, device)
    print(
        f"  training on {device}: {trained['x_real_time']:.1f} x real time, {100 * trained['waiting']:.1f} % of it waiting for data\n"
    )
    targets: dict[str, Target] = {
        f"experts / dense, {c['d']}/{c['h']}/{c['tokens']} {c['device']}": {
            "value": round(c["ratio"], 3), "target": f"<= {MOST_RATIO}", "met": c["ratio"] <= MOST_RATIO,
        }
        for c in cells
    }  # fmt: skip
    targets["share of training that waits for data"] = {
        "value": round(trained["waiting"], 4), "target": f"< {MOST_WAITING}", "met": trained["waiting"] < MOST_WAITING,
    }  # fmt: skip
    finish("moe", {"cells": cells, "training": trained}, targets, full)


if __name__ == "__main__":
    main()
