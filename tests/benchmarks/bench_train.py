"""`make bench-train`: how fast a model trains, and how fast data comes to it.

Step: forward, CTC loss and backward of recipe `compact`'s encoder at full budget, of a dense one, and of torchaudio's Conformer of equal active
size, all behind the same subsampling and under the same head, on the same features. They take turns in rounds, and what is compared are
times of the same round: of one thread on a CPU, by its own time; of the device on CUDA, in bfloat16.
Loader: FLAC from shards to batches of features with two processes, without augmentation and with it.
Training: recipe `taste` on a CPU, `compact` on a GPU; the share of time that waits for data.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.bench_moe import clock, interval, shards, training
from benchmarks.report import Target, finish, full_form, heading, table
from voxmill.models.common.features import FbankConfig
from voxmill.models.common.tokenizer import Tokenizer, TokenizerConfig
from voxmill.models.data.augment import AugmentConfig
from voxmill.models.data.examples import ExampleConfig
from voxmill.models.data.loader import DataConfig, Loader
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.network.conformer import Encoder, Subsampling, subsampled
from voxmill.models.network.layers import encoder_layers
from voxmill.models.network.route import Route
from voxmill.models.training.recipe import load_recipe

SECONDS, BATCH, VOCABULARY = 10, 4, 4096
LEAST_RATIO, LEAST_LOADED, MOST_WAITING = 0.8, 2000.0, 0.05
"""What is asked for: speed beside torchaudio's, audio seconds loaded in a second, share of training that waits."""


class Ours(nn.Module):
    """Our encoder: `(frames, lengths) -> frames`."""

    def __init__(self, elastic: bool) -> None:
        super().__init__()
        recipe = load_recipe("compact")
        config = recipe.model.encoder
        self.encoder = Encoder(config, encoder_layers(config, recipe.model.emoe if elastic else None, None, None))

    def forward(self, x_BTD: Tensor, length_B: Tensor) -> Tensor:
        out_BTD: Tensor = self.encoder(x_BTD, length_B, Route(loads=[]))
        return out_BTD


class Theirs(nn.Module):
    """torchaudio's Conformer of the same sizes."""

    def __init__(self) -> None:
        super().__init__()
        from torchaudio.models import Conformer

        config = load_recipe("compact").model.encoder
        self.encoder = Conformer(config.dim, config.heads, config.hidden, config.layers, config.kernel, dropout=config.dropout)

    def forward(self, x_BTD: Tensor, length_B: Tensor) -> Tensor:
        out_BTD: Tensor = self.encoder(x_BTD, length_B)[0]
        return out_BTD


ARMS: dict[str, Callable[[], nn.Module]] = {
    "torchaudio": Theirs, "dense": lambda: Ours(elastic=False), "compact": lambda: Ours(elastic=True)
}  # fmt: skip


def active(name: str, model: nn.Module) -> int:
    """Parameters that a frame passes through."""
    recipe = load_recipe("compact")
    emoe = recipe.model.emoe
    count = sum(int(p.numel()) for p in model.parameters())
    if name == "compact" and emoe is not None:
        idle = sum(p.numel() for key, p in model.named_parameters() if ".experts." in key) * (1 - emoe.top_k / emoe.experts)
        count -= int(idle)
    return count


def steps(device: str, rounds: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Milliseconds of a step by arm, a number for each round; and active parameters."""
    torch.manual_seed(0)
    dim = load_recipe("compact").model.encoder.dim
    arms = {name: make().to(device).train() for name, make in ARMS.items()}
    front, head = Subsampling(80, dim).to(device), nn.Linear(dim, VOCABULARY).to(device)
    feature_BTM = torch.randn(BATCH, 100 * SECONDS, 80, device=device)
    length_B = torch.linspace(100 * SECONDS, 80 * SECONDS, BATCH, device=device).long()
    said_BU = torch.randint(1, VOCABULARY, (BATCH, 3 * SECONDS), device=device)
    spoken_B = torch.full((BATCH,), said_BU.shape[1], device=device)
    now, spent = clock(device), {name: list[float]() for name in arms}
    for turn in range(rounds + 1):  # the first warms up
        for name, encoder in arms.items():
            for part in (front, encoder, head):
                part.zero_grad(set_to_none=True)
            start = now()
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                x_BTD, frames_B = front(feature_BTM, length_B)
                log_BTV = head(encoder(x_BTD, frames_B)).float().log_softmax(dim=-1)
            functional.ctc_loss(log_BTV.transpose(0, 1), said_BU, subsampled(length_B), spoken_B).backward()
            if turn:
                spent[name].append(1000 * (now() - start))
    return spent, {name: active(name, encoder) for name, encoder in arms.items()}


def loaded(folder: str, augment: AugmentConfig | None, batches: int) -> tuple[float, float]:
    """Audio seconds in a second of wall time with two processes, and in a CPU second of one process."""
    speed, tokens = (
        [],
        Tokenizer.train(["what was said in the recording and what was not"] * 20, TokenizerConfig(num_subwords=300)),
    )
    for workers in (2, 0):
        plan = SamplerConfig(batch_seconds=60.0)
        config = DataConfig(plan=plan, example=ExampleConfig(augment=augment), workers=workers)
        made = iter(Loader(folder, tokens, FbankConfig(), config))
        next(made)
        now = time.perf_counter if workers else time.process_time
        audio, start = 0.0, now()
        for batch in islice(made, batches):
            audio += float(batch.length_B.sum()) / 100
        speed.append(audio / (now() - start))
    return speed[0], speed[1]


def main() -> None:
    full = full_form(sys.argv)
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    heading("train", full, f"random features of {BATCH} utterances of {SECONDS} s; made-up shards", ("torch", "torchaudio"))
    spent, size = steps(device, 30 if full else 8)
    against = {
        name: [theirs / mine for mine, theirs in zip(ms, spent["torchaudio"], strict=True)] for name, ms in spent.items()
    }
    audio = SECONDS * BATCH * 0.9
    table(
        ("encoder", "active parameters", "step, ms", "audio s a second", "speed / torchaudio", "95 %"),
        (
            [name, f"{size[name]:,}", f"{median(ms):.0f}", f"{1000 * audio / median(ms):.0f}", f"{median(against[name]):.2f}",
             "{:.2f}-{:.2f}".format(*interval(against[name]))]
            for name, ms in spent.items()
        ),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        made = str(shards(Path(folder), 60 if full else 30))
        speeds = {
            name: loaded(made, augment, 60 if full else 20)
            for name, augment in (("plain", None), ("augmented", AugmentConfig()))
        }
    table(
        ("loader", "audio s a second, two processes", "audio s a CPU second"),
        ([name, f"{wall:,.0f}", f"{cpu:,.0f}"] for name, (wall, cpu) in speeds.items()),
    )
    trained = training(full, device)
    print(
        f"  training on {device}: {trained['x_real_time']:.1f} x real time, {100 * trained['waiting']:.1f} % of it waiting for data\n"
    )
    ratios = {name: median(against[name]) for name in ("dense", "compact")}
    targets: dict[str, Target] = {
        f"speed of {name} / torchaudio": {"value": round(ratio, 3), "target": f">= {LEAST_RATIO}", "met": ratio >= LEAST_RATIO}
        for name, ratio in ratios.items()
    }
    targets["audio seconds loaded in a second, plain"] = {
        "value": round(speeds["plain"][0]), "target": f">= {LEAST_LOADED:.0f}", "met": speeds["plain"][0] >= LEAST_LOADED,
    }  # fmt: skip
    targets["share of training that waits for data"] = {
        "value": round(trained["waiting"], 4), "target": f"< {MOST_WAITING}", "met": trained["waiting"] < MOST_WAITING,
    }  # fmt: skip
    figures: dict[str, Any] = {"ms": spent, "active": size, "loaded": speeds, "training": trained}
    finish("train", figures, targets, full)


if __name__ == "__main__":
    main()
