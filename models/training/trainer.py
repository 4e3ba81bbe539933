"""The training loop, to be read from top to bottom: draw, forward, backward, step, log, save.

What a step does is decided by the seed and its number: the budget, the chunk, dropout, which video frames are withheld. So going on
from a checkpoint is going on as if nothing had happened. On several ranks (`team`) every rank runs this loop over its share of
each step's batches, and what a batch does is decided by its place in the step: any number of ranks makes the same steps.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from voxmill.manifests.config_base import Settings
from voxmill.models.checkpoint.checkpoint import Bundle, TrainingState, load, load_training, prune, save, step_folder
from voxmill.models.common.features import num_subsampled
from voxmill.models.common.seeds import Generator, integer, seeded
from voxmill.models.common.tasks import TASKS, Task
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.data.batch import Batch
from voxmill.models.data.examples import REASONS
from voxmill.models.data.loader import Loader
from voxmill.models.network.attention import sample_chunk
from voxmill.models.network.budget import Budget
from voxmill.models.network.emoe import ElasticMoE
from voxmill.models.network.route import ExpertLoad
from voxmill.models.network.vision import is_vision_parameter
from voxmill.models.training.data_parallel import RankGroup
from voxmill.models.training.forward import conditions_of, forward
from voxmill.models.training.loss import LossConfig, Losses, heads_of, speech_loss
from voxmill.models.training.schedule import RateConfig, learning_rate


class TrainConfig(Settings):
    """The optimiser's steps."""

    steps: int = Field(default=50_000, ge=1)
    """Optimiser steps."""
    rate: RateConfig = RateConfig()
    accumulate: int = Field(default=1, ge=1)
    """Batches for a step, over all ranks together: the number of ranks changes who computes a step, not what it is."""
    clip: float = Field(default=5.0, gt=0)
    """Largest norm of the gradient."""
    weight_decay: float = 0.01
    """AdamW's pull of the parameters towards 0; higher is more."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's decay of the mean of gradients, and of their squares."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the forward pass; parameters stay float32."""
    average: float = Field(default=0.0, ge=0, lt=1)
    """Decay of a running mean of the parameters, which is then the model that is saved; 0: none."""
    dynamic_chunk: bool = True
    """Half of the steps see the past and a chunk only, so that one model streams and does not."""
    bias_rate: float = 1e-3
    """Step of the bias that balances experts, where `emoe.balance` is `bias`."""
    loss: LossConfig = LossConfig()
    eyes_first: int = Field(default=0, ge=0)
    """With `model.vision`: steps at the start in which only what vision adds learns, and the audio model does not move a bit."""
    after_eyes: float = Field(default=0.1, gt=0)
    """Share of the learning rate from then on, where all of it learns. EVA freezes first and then tunes the whole."""
    save_every: int = Field(default=1000, ge=1)
    """Steps between checkpoints."""
    keep: int = Field(default=0, ge=0)
    """Checkpoints that stay; older ones are removed when a new one is whole. 0: all."""
    seed: int = 0
    """Draws the first parameters, dropout and chunks."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did. All but the times is the same in every run."""

    step: int
    loss: float
    """Per utterance."""
    parts: dict[str, float]
    """Of each head, per utterance, without its weight."""
    rate: float
    gradient_norm: float
    updated: bool
    """False where the gradient was not finite: the step then changed nothing."""
    budget: str | None
    """The smallest that it learnt at."""
    utterances: int
    audio_seconds: float
    load_spread: float | None
    """Standard deviation of the experts' shares over their mean, averaged over layers: 0 is even."""
    seconds: float
    waiting: float
    """Of `seconds`, those that this rank spent waiting for data."""
    skipped: dict[str, int]
    """Samples left out since the training began, by reason."""


class Trainer:
    """Holds what changes while training: model, optimiser, running mean, number of the step, place in the data."""

    def __init__(
        self, model: Any, tokens: Tokenizer, loader: Loader, config: TrainConfig, team: RankGroup | None = None
    ) -> None:
        """The loader is this rank's (`Loader.shared`). Raises ValueError where a rank would have nothing to do."""
        self.model, self.tokens, self.loader, self.config = model.train(), tokens, loader, config
        self.team = team or RankGroup()
        if config.accumulate < self.team.world:
            raise ValueError(
                f"{self.team.world} workers share the batches of a step, and there are only {config.accumulate}: "
                f"set train.accumulate to {self.team.world} or more"
            )
        if config.eyes_first and model.config.vision is None:
            raise ValueError("train.eyes_first is set, and the model has no eyes: switch model.vision on")
        self.device = next(model.parameters()).device
        self.step = 0
        self.visited: set[Budget] = set()
        self.taught: set[Task] = set()
        """Tasks that this rank has met a label of, and `asr` where it has met a text."""
        self.learnt = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self.optimizer: Any = torch.optim.AdamW(
            [p for _, p in self.learnt], lr=config.rate.peak, betas=config.betas, weight_decay=config.weight_decay, fused=True
        )
        self.mean: Any = None
        if config.average:
            self.mean = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.average), use_buffers=True)
        self.experts = [layer for layer in model.modules() if isinstance(layer, ElasticMoE)]
        self.heads = heads_of(model.config, any(layer.config.balance == "loss" for layer in self.experts))
        self.skipped: dict[str, int] = {}
        """Samples left out so far, on all ranks."""
        self._batches: Iterator[Batch] | None = None

    def run(self, out: str, on_step: Callable[[Step], None] = lambda _: None, stop: Callable[[], bool] = lambda: False) -> bool:
        """Trains to the end, or until `stop` says so after a step. Checkpoints go to folders `step-…` under `out`.

        Returns whether all steps are done; either way the last one is saved.
        """
        while self.step < self.config.steps:
            on_step(self.advance())
            (stopping,) = map(bool, self.team.sums([stop()]))
            if self.step % self.config.save_every == 0 or self.step == self.config.steps or stopping:
                self.save(step_folder(out, self.step))
                if self.config.keep and not self.team.rank:
                    prune(out, self.config.keep)
            if stopping:
                break
        return self.step == self.config.steps

    def advance(self) -> Step:
        """One optimiser step."""
        start = time.perf_counter()
        self._freeze()
        self._batches = self._batches or iter(self.loader)
        batches = {turn: next(self._batches) for turn in self.team.share(self.config.accumulate)}
        waiting = time.perf_counter() - start

        budgets = self._draw_budgets(seeded(self.config.seed, "step", self.step))
        (utterances,) = map(int, self.team.sums([sum(map(len, batches.values()))]))
        done, loads = defaultdict[str, float](float), list[ExpertLoad]()
        self.optimizer.zero_grad(set_to_none=True)  # None, not zero: AdamW then leaves experts outside the budget as they are
        for (turn, batch), budget in product(batches.items(), budgets):
            if len(batch):
                self.taught.update(*batch.active)
                generator = seeded(self.config.seed, "batch", self.step, turn)
                torch.manual_seed(integer(generator, 0, 2**31 - 1))  # for dropout, which knows only the global generator
                losses = self._losses(batch, budget, generator, loads)
                share = utterances * len(budgets)
                if losses.total.requires_grad:  # nothing that learns in this step took part: a batch without video, eyes first
                    (losses.total / share).backward()
                done["loss"] += float(losses.total.detach()) / share
                done["audio_frames"] += int(batch.length_B.sum()) / len(budgets)
                for name, part in losses.parts.items():
                    done[name] += float(part) / share
        loss, frames, *parts = self.team.sums([done[name] for name in ("loss", "audio_frames", *self.heads)])
        self.skipped = self._skipped()
        self.team.sum_gradients(p for _, p in self.learnt)
        rate = learning_rate(self.config.rate, self.step, self.config.steps)
        if self.config.eyes_first and self.step >= self.config.eyes_first:
            rate *= self.config.after_eyes
        norm = self._update(rate)
        load_of = shares(self.experts, loads, self.team)
        self._balance(load_of)
        self.step += 1
        return Step(
            step=self.step, loss=loss, parts=dict(zip(self.heads, parts, strict=True)), rate=rate,
            gradient_norm=norm, updated=math.isfinite(norm),
            budget=None if budgets[-1] is None else str(budgets[-1]), utterances=utterances,
            audio_seconds=frames * self.model.config.fbank.shift_ms / 1000,
            load_spread=load_spread(load_of), seconds=time.perf_counter() - start, waiting=waiting,
            skipped=self.skipped,
        )  # fmt: skip

    def save(self, folder: str) -> None:
        """A model to use, and all that it takes to go on; written by the first rank."""
        met = self.team.sums([task in self.taught for task in TASKS])
        self.taught = {task for task, ranks in zip(TASKS, met, strict=True) if ranks}
        if self.team.rank:
            return self.team.wait()
        model = self.mean.module if self.mean else self.model
        taught = tuple(task for task in TASKS if task in self.taught)
        targets = self.loader.config.example.targets
        bundle = Bundle(model, self.tokens, targets, self.step, tuple(sorted(self.visited)), taught)
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()} if self.mean else {}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{key}.{self.learnt[index][0]}": tensor for key, tensor in state.items()}
        loader = {**self.loader.state_dict(), "skipped": self.skipped}
        values = {"loader": loader, "averaged": int(self.mean.n_averaged) if self.mean else 0}
        save(folder, bundle, TrainingState(tensors, {**values, "config": self.config.model_dump(mode="json")}))
        self.team.wait()

    @classmethod
    def resumed(
        cls, folder: str, loader: Loader, config: TrainConfig, device: torch.device | str = "cpu", team: RankGroup | None = None
    ) -> Trainer:
        """Goes on from a checkpoint: the next step is the one that would have come next. Raises CheckpointError."""
        bundle, state = load(folder, device), load_training(folder)
        trainer = cls(bundle.model, bundle.tokens, loader, config, team)
        trainer.step, trainer.visited, trainer.taught = bundle.step, set(bundle.trained), set(bundle.taught)
        loader.load_state_dict(state.values["loader"])
        trainer.skipped = state.values["loader"]["skipped"]
        if trainer.team.rank:
            loader.skipped.clear()  # the first rank has what all of them counted
        if trainer.mean and state.values["averaged"]:
            trainer.mean.n_averaged.fill_(state.values["averaged"])
            trainer.model.load_state_dict(_below("model.", state.tensors))
        kept = {
            index: found
            for index, (name, _) in enumerate(trainer.learnt)
            if (found := {key: state.tensors[place] for key in _ADAM if (place := f"optimizer.{key}.{name}") in state.tensors})
        }
        groups = trainer.optimizer.state_dict()["param_groups"]
        trainer.optimizer.load_state_dict({"state": kept, "param_groups": groups})
        return trainer

    def _freeze(self) -> None:
        """What learns in this step; the rest has no gradient, and AdamW passes it by."""
        if self.config.eyes_first:
            for name, parameter in self.learnt:
                parameter.requires_grad_(self.step >= self.config.eyes_first or is_vision_parameter(name))

    def _draw_budgets(self, generator: Generator) -> tuple[Budget | None, ...]:
        emoe = self.model.config.emoe
        if emoe is None:
            return (None,)
        budgets = tuple(budget.within(emoe.full) for budget in emoe.schedule.of_step(generator))
        self.visited.update(budgets)
        return budgets

    def _losses(self, batch: Batch, budget: Budget | None, generator: Generator, loads: list[ExpertLoad]) -> Losses:
        chunk = None
        if self.config.dynamic_chunk:
            chunk = sample_chunk(num_subsampled(int(batch.length_B.max())), generator)
        if batch.frames is not None and self.model.config.vision:
            batch = batch.blinded(self.model.config.vision.drop, generator)
        batch = batch.to(self.device)
        own: list[ExpertLoad] = []
        conditions = conditions_of(batch, self.model.config, budget, chunk, own)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            outputs = forward(self.model, batch, conditions)
        loads += own
        return speech_loss(outputs, batch, own, self.config.loss)

    def _update(self, rate: float) -> float:
        """The norm of the gradient before it was clipped. Nothing is changed where that is not finite."""
        norm = float(nn.utils.clip_grad_norm_([p for _, p in self.learnt], self.config.clip))
        if math.isfinite(norm):
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
            if self.mean:
                self.mean.update_parameters(self.model)
        return norm

    def _skipped(self) -> dict[str, int]:
        counts = self.team.sums([self.loader.skipped[reason] for reason in REASONS])
        return {reason: int(count) for reason, count in zip(REASONS, counts, strict=True) if count}

    def _balance(self, load_of: Mapping[ElasticMoE, Tensor]) -> None:
        for layer, share_E in load_of.items():
            if layer.config.balance == "bias" and layer.router.gate.weight.requires_grad:
                layer.router.adjust(share_E.to(layer.router.bias_E.device), self.config.bias_rate)


_ADAM = ("step", "exp_avg", "exp_avg_sq")


def shares(layers: Sequence[ElasticMoE], loads: Sequence[ExpertLoad], team: RankGroup) -> dict[ElasticMoE, Tensor]:
    """Mean share of each expert over a step's calls, on all ranks, for each layer that was called."""
    if not layers:
        return {}
    size = (len(layers), max(layer.config.experts for layer in layers), 2)
    sums_LE2 = torch.zeros(size, device=layers[0].router.bias_E.device)  # of shares, and of calls
    for load_ in loads:
        sums_E2 = sums_LE2[layers.index(load_.layer), : len(load_.share_E)]
        sums_E2 += torch.stack([load_.share_E, torch.ones_like(load_.share_E)], dim=-1)
    found = {}
    for layer, sums_E2 in zip(layers, team.sum(sums_LE2).cpu(), strict=True):
        sum_E, calls_E = sums_E2[sums_E2[:, 1] > 0].T  # the experts of the budget: a prefix
        if len(sum_E):
            found[layer] = sum_E / calls_E
    return found


def load_spread(load_of: Mapping[ElasticMoE, Tensor]) -> float | None:
    spreads = [float(share_E.std(correction=0) / share_E.mean()) for share_E in load_of.values()]
    return sum(spreads) / len(spreads) if spreads else None


def _below(prefix: str, tensors: Any) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
