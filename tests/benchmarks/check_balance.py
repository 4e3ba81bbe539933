"""`make check-balance`: after a training, are all experts in use, in every layer and at every budget?

The shards are those of the demo's files: real speech, crawled from a folder. The recipes are the shipped ones: `taste` as it is, and
`compact` at a quarter of its width for 300 steps. Each is also trained with a balance loss, as DeepSeekMoE has it, and without any
balancing. Then the trained model hears the training split once more, not augmented: the load of a layer's most used expert divided by the
mean load is its peak; 1 is even, and experts / top-k is one group that takes every frame. Routers are settled on that split when a model is
saved; so they are also settled on one half of its segments, to hear the other half.

    python tests/benchmarks/check_balance.py [--full]        full: three seeds instead of one
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch

from benchmarks.report import Target, finish, full_form, heading, table
from demo.site import build
from voxmill.models.checkpoint.checkpoint import Bundle, latest, load
from voxmill.models.data.batch import Batch
from voxmill.models.data.loader import DataConfig, Loader
from voxmill.models.network.budget import Budget
from voxmill.models.network.emoe import ElasticMoE
from voxmill.models.network.model import SpeechModel
from voxmill.models.network.route import ExpertLoad
from voxmill.models.training.data_parallel import RankGroup
from voxmill.models.training.expert_load import mean_loads
from voxmill.models.training.forward import conditions_of, forward
from voxmill.models.training.recipe import Recipe, load_recipe
from voxmill.models.training.session import train
from voxmill.models.training.settle import settled

VOXMILL = str(Path(sys.executable).with_name("voxmill"))
MOST = 2.0
"""Largest peak that is allowed."""
SMALLER = (
    "model.encoder.dim=64", "model.encoder.hidden=256", "model.decoder.hidden=256", "model.emoe.width=64",
    "model.emoe.schedule.width=[64]", "tokens.num_subwords=400", "data.plan.batch_seconds=30", "data.plan.batch_size=8", "data.workers=1",
    "train.steps=300", "train.rate.warmup=15", "train.average=0.98", "train.save_every=300", "normaliser_batches=8",
)  # fmt: skip
RECIPES: dict[str, tuple[str, ...]] = {"taste": (), "compact": SMALLER}
BALANCES = ("bias", "loss", "none")
HALVES = ("hash(key) % 2 = 0", "hash(key) % 2 = 1")


def make_shards(root: Path) -> str:
    """Of the demo's files, by the light recognisers. Ends the check where the run fails."""
    files = build(Path(".cache/demo-site")) / "files"
    command = [
        VOXMILL,
        "run",
        str(files),
        "--out",
        str(root),
        "--language",
        "en",
        "--licence",
        "cc-by-sa-3.0",
        "--set",
        "executor.kind=local",
        "-q",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the run failed:\n{done.stderr[-2000:]}")
    return f"{root}/shards"


def loader(bundle: Bundle, shards: str, recipe: Recipe, where: str | None = None) -> Loader:
    """The training split without augmentation, or a part of it."""
    example = recipe.data.example.model_copy(update={"augment": None})
    plan = recipe.data.plan.model_copy(update={"where": where})
    return Loader(shards, bundle.tokens, bundle.model.config.fbank, DataConfig(plan=plan, example=example))


def peaks(model: SpeechModel, heard: Sequence[Batch], budgets: Sequence[Budget]) -> Iterator[tuple[int, int, float]]:
    """(number of the layer, experts of the budget, peak) over all batches, in evaluation mode."""
    layers = [layer for layer in model.modules() if isinstance(layer, ElasticMoE)]
    for budget in budgets:
        loads: list[ExpertLoad] = []
        with torch.no_grad():
            for batch in heard:
                forward(model, batch, conditions_of(batch, model.config, budget, None, loads))
        for load_ in mean_loads(layers, loads, RankGroup()):
            yield layers.index(load_.layer), len(load_.share_E), float(load_.share_E.max()) * len(load_.share_E)


@dataclass(frozen=True)
class Spread:
    """What one training came to."""

    saved: list[tuple[int, int, float]]
    """(layer, experts, peak) of the saved model on all speech."""
    unheard: list[tuple[int, int, float]]
    """The same on one half, by the model settled on the other."""
    loss: float


def trained(folder: Path, shards: str, name: str, balance: str, seed: int) -> Spread:
    changes = (*RECIPES[name], f"model.emoe.balance={balance}", f"train.seed={seed}")
    recipe = load_recipe(name, changes)
    out = str(folder / f"{name}-{balance}-{seed}")
    losses: list[float] = []
    train(shards, out, recipe, "cpu", [lambda step: losses.append(step.loss)])
    bundle = load(latest(out) or out)
    half = settled(bundle.model, loader(bundle, shards, recipe, HALVES[0]).plain(math.inf), bundle.trained)
    saved = peaks(bundle.model, list(loader(bundle, shards, recipe).once()), bundle.trained)
    unheard = peaks(half, list(loader(bundle, shards, recipe, HALVES[1]).once()), bundle.trained)
    return Spread(list(saved), list(unheard), median(losses[-20:]))


def main() -> None:
    full = full_form(sys.argv)
    seeds: Sequence[int] = (1, 2, 3) if full else (1,)
    heading("check-balance", full, "the demo's files, kept by two recognisers", ["torch"])
    figures: dict[str, Any] = {}
    targets: dict[str, Target] = {}
    rows = []
    with tempfile.TemporaryDirectory(prefix="voxmill-balance-") as name:
        folder = Path(name)
        shards = make_shards(folder / "run")
        for recipe in RECIPES:
            for balance in BALANCES:
                found = [trained(folder, shards, recipe, balance, seed) for seed in seeds]
                of_all = [peak for one in found for _, _, peak in one.saved]
                worst = max((peak, layer, experts) for one in found for layer, experts, peak in one.saved)
                unheard = max(peak for one in found for _, _, peak in one.unheard)
                loss, over = median(one.loss for one in found), sum(peak > MOST for peak in of_all)
                rows.append((
                    recipe, balance, f"{worst[0]:.2f}", f"{worst[1]}", f"{worst[2]}", f"{median(of_all):.2f}", f"{over} of {len(of_all)}",
                    f"{unheard:.2f}", f"{loss:.1f}",
                ))  # fmt: skip
                figures[f"{recipe}, {balance}"] = {
                    "peaks": [round(peak, 3) for peak in of_all],
                    "unheard": round(unheard, 3),
                    "loss": loss,
                }
                if balance == "bias":
                    for what, peak in (("saved", worst[0]), ("on speech it was not settled on", unheard)):
                        targets[f"{recipe}: largest peak, {what}"] = {
                            "value": round(peak, 2), "target": f"<= {MOST:g}", "met": peak <= MOST,
                        }  # fmt: skip
    table(("recipe", "balance", "worst peak", "layer", "experts", "median", f"over {MOST:g}", "worst, unheard", "loss"), rows)
    finish("check-balance", figures, targets, full)


if __name__ == "__main__":
    main()
