"""The training loop: draw a budget, forward, backward, optimiser step, log, save.

All randomness of a step (budget, chunk, dropout, withheld video frames) is decided by the seed and the step's number, so
resuming from a checkpoint repeats the same steps bit for bit. On several ranks every rank runs this loop over its share of each
step's batches, and the randomness of a batch is decided by its number in the step: any number of ranks makes the same steps.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import groupby, product
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from voxmill.manifests.config_base import Settings
from voxmill.models.checkpoint.checkpoint import (
    Bundle,
    TrainingState,
    average_folder,
    is_checkpoint,
    load,
    load_training,
    prune,
    save,
    step_folder,
    steps_in,
)
from voxmill.models.checkpoint.validation import BestValidation, Validation, best_of, ranked, read_validations, write_best
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
from voxmill.models.training.average import AverageConfig, averaged
from voxmill.models.training.data_parallel import RankGroup
from voxmill.models.training.dev_judge import ValidationConfig, dev_judge, why_ended
from voxmill.models.training.expert_load import balance, expert_peak, mean_loads
from voxmill.models.training.forward import conditions_of, forward
from voxmill.models.training.loggers import LoggerConfig
from voxmill.models.training.loss import LossConfig, Losses, heads_of, speech_loss
from voxmill.models.training.pretrained_start import check_frozen, is_frozen, shares_of
from voxmill.models.training.schedule import RateConfig, learning_rate
from voxmill.models.training.settle import settled

SETTLED_S = 240.0
"""Audio (s) on which routers are settled when a model is saved."""


class TrainConfig(Settings):
    """The training loop and its optimiser."""

    steps: int = Field(default=50_000, ge=1)
    """Optimiser steps."""
    rate: RateConfig = RateConfig()
    accumulate: int = Field(default=1, ge=1)
    """Batches of a step, over all ranks together. The number of ranks does not change what a step computes."""
    clip: float = Field(default=5.0, gt=0)
    """Largest norm of the gradient; a larger one is scaled down to it."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's betas: decay of the means of gradients and of their squares."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the forward pass (autocast); parameters stay float32."""
    average: float = Field(default=0.0, ge=0, lt=1)
    """Decay of an exponential moving average of the parameters, which is then the model that is saved; 0: none."""
    dynamic_chunk: bool = True
    """U2++'s dynamic chunk: half of the batches see chunks and the past only, so that one model can stream and use full
    context."""
    bias_rate: float = 0.02
    """Largest step of the bias that balances experts, in standard deviations of their logits, with `emoe.balance: bias`."""
    loss: LossConfig = LossConfig()
    eyes_first: int = Field(default=0, ge=0)
    """With `model.vision`: steps at the start in which only the parameters of vision are trained (EVA's first phase)."""
    after_eyes: float = Field(default=0.1, gt=0)
    """Factor of the learning rate after these steps, when all parameters are trained (EVA's second phase)."""
    save_every: int = Field(default=1000, ge=1)
    """Steps between checkpoints."""
    keep: int = Field(default=0, ge=0)
    """Checkpoints to keep; older ones are removed after a new one is written, but not the best one by `validation`. 0: keep all."""
    validation: ValidationConfig | None = None
    average_checkpoints: AverageConfig | None = None
    """Write the average of several checkpoints at the end; null: none."""
    loggers: tuple[LoggerConfig, ...] = ()
    """Loggers besides our own log and TensorBoard's: `[{kind: wandb}, {kind: mlflow}]`."""
    seed: int = 0
    """Seed of first parameters, budgets, dropout and chunks."""


@dataclass(frozen=True, slots=True)
class Step:
    """The metrics of one step. All but the times are the same in every run."""

    step: int
    """Number of the step, from 1."""
    loss: float
    """Loss per utterance."""
    parts: dict[str, float]
    """Loss of each head per utterance, without its weight."""
    rate: float
    """Learning rate."""
    gradient_norm: float
    """Norm before clipping."""
    updated: bool
    """False if the gradient was not finite, and the step changed nothing."""
    budget: str | None
    """The smallest budget of the step; None without eMoE."""
    utterances: int
    audio_seconds: float
    expert_peak: float | None
    """Load of the most used expert divided by the mean load, in the worst layer and budget of the step: 1 is even. None without experts."""
    seconds: float
    """Duration of the step (s)."""
    waiting: float
    """Of these, seconds that this rank waited for data."""
    skipped: dict[str, int]
    """Samples left out since the training began, by reason."""
    validation: Validation | None = None
    """What the validation after this step found, on the first rank; None if there was none."""
    best: BestValidation | None = None
    """With a validation: the best one so far."""


class Trainer:
    """The state of a training: model, optimiser, moving average, number of the step, position in the data."""

    def __init__(
        self, model: Any, tokens: Tokenizer, loader: Loader, config: TrainConfig, ranks: RankGroup | None = None
    ) -> None:
        """`loader`: this rank's. Raises ValueError if a rank would have no batch, or if the config does not fit the model."""
        self.model, self.tokens, self.loader, self.config = model.train(), tokens, loader, config
        self.ranks = ranks or RankGroup()
        if config.accumulate < self.ranks.world:
            raise ValueError(
                f"{self.ranks.world} workers share the batches of a step, and there are only {config.accumulate}: "
                f"set train.accumulate to {self.ranks.world} or more"
            )
        if config.eyes_first and model.config.vision is None:
            raise ValueError("train.eyes_first is set, and the model has no vision: switch model.vision on")
        self.device = next(model.parameters()).device
        self.step = 0
        self.visited: set[Budget] = set()
        self.taught: set[Task] = set()
        """Tasks that this rank has seen a label of."""
        self.translated: set[str] = set()
        """Languages that it has seen a translation into."""
        shares = shares_of((name for name, _ in model.named_parameters()), model.config)
        learnt = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        check_frozen((name for name, _ in learnt), model.config.start)
        self.learnt = sorted(learnt, key=lambda one: shares[one[0]])  # in the order of the optimiser's groups
        groups = [
            {"params": [p for _, p in of], "share": share} for share, of in groupby(self.learnt, lambda one: shares[one[0]])
        ]
        self.optimizer: Any = torch.optim.AdamW(
            groups, lr=config.rate.peak, betas=config.betas, weight_decay=config.weight_decay, fused=True
        )
        self.mean: Any = None
        if config.average:
            self.mean = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.average), use_buffers=True)
        self.experts = [layer for layer in model.modules() if isinstance(layer, ElasticMoE)]
        self.heads = heads_of(model.config, any(layer.config.balance == "loss" for layer in self.experts))
        self.skipped: dict[str, int] = {}
        """Samples left out so far, on all ranks."""
        self.judge = None if self.ranks.rank else dev_judge(loader, config.validation, config.loss)
        """Of the first rank, which validates while the others wait; None: nothing is validated."""
        self.validations: tuple[Validation, ...] = ()
        """Those so far, on the first rank."""
        self._batches: Iterator[Batch] | None = None
        self._settling: Batch | None = None

    def run(self, out: str, on_step: Callable[[Step], None] = lambda _: None, stop: Callable[[], bool] = lambda: False) -> bool:
        """Trains to the end, or until `stop()` is true after a step. Checkpoints are written to folders `step-…` under `out`.

        Returns whether the training is done: all steps, or those before an early end. The last step is saved in either case.
        """
        self._tidy(out)
        ended = bool(why_ended(self.validations, self.config.validation))
        while self.step < self.config.steps and not ended:
            step, kept = self.advance(), None
            if self._is_validated(self.step):
                kept = self._judged()
                step = replace(step, validation=self.validations[-1], best=self._best()) if kept else step
            on_step(step)
            over = why_ended(self.validations, self.config.validation)
            stopping, ended = map(bool, self.ranks.sums([stop(), bool(over)]))
            if stopping or self._is_saved(self.step):
                self.save(step_folder(out, self.step), kept)
                self._tidy(out)
            if stopping:
                break
        done = ended or self.step >= self.config.steps
        if done and self.config.average_checkpoints:
            self._write_average(out)
        return done

    def _is_validated(self, step: int) -> bool:
        validation = self.config.validation
        return validation is not None and (step % validation.every == 0 or step == self.config.steps)

    def _is_saved(self, step: int) -> bool:
        """Whether a checkpoint of a step is written in every run, and not only where someone stopped it."""
        return step % self.config.save_every == 0 or step == self.config.steps or self._is_validated(step)

    def _judged(self) -> Bundle | None:
        """Validates. Returns the model that was judged, to be saved; None if nothing was, as on all ranks but the first."""
        self._learn_of_others()
        if self.judge is None:
            return None
        kept = self.bundle()
        self.validations = (*self.validations, self.judge(kept))
        return kept

    def _tidy(self, out: str) -> None:
        """Says which checkpoint is the best, and removes those that are not kept. It follows from the checkpoints alone, so that a kill before it
        loses nothing."""
        if self.ranks.rank:
            return
        write_best(out, self._best())
        if self.config.keep:
            prune(out, self.config.keep, self._wanted(out))

    def _best(self) -> BestValidation | None:
        return best_of(self.validations, self.config.validation.measure) if self.config.validation else None

    def _wanted(self, out: str) -> set[int]:
        """The steps whose checkpoints are kept as the best ones, or to be averaged."""
        average, validation = self.config.average_checkpoints, self.config.validation
        best = [one.step for one in ranked(self.validations, validation.measure)] if validation else []
        return {*best[:1], *(self._to_average(out) if average else ())}

    def _to_average(self, out: str) -> list[int]:
        """The steps of the checkpoints to average, in order. Not those where someone stopped the training: the average is the same in every run."""
        average, validation = self.config.average_checkpoints, self.config.validation
        assert average is not None
        if average.of == "best" and validation and (best := ranked(self.validations, validation.measure)):
            return sorted(one.step for one in best[: average.count])
        return [step for step in steps_in(out) if self._is_saved(step) and 0 < step <= self.step][-average.count :]

    def _write_average(self, out: str) -> None:
        folder = average_folder(out, self.step)
        if not self.ranks.rank and not is_checkpoint(folder):
            save(folder, averaged([step_folder(out, step) for step in self._to_average(out)], self._plain(), self.device))
        self.ranks.wait()

    def advance(self) -> Step:
        """One optimiser step."""
        start = time.perf_counter()
        self._freeze()
        self._batches = self._batches or iter(self.loader)
        batches = {turn: next(self._batches) for turn in self.ranks.share(self.config.accumulate)}
        waiting = time.perf_counter() - start

        budgets = self._draw_budgets(seeded(self.config.seed, "step", self.step))
        (utterances,) = map(int, self.ranks.sums([sum(map(len, batches.values()))]))
        done, loads = defaultdict[str, float](float), list[ExpertLoad]()
        self.optimizer.zero_grad(set_to_none=True)  # None instead of zero, so that AdamW skips experts outside the budget
        for (turn, batch), budget in product(batches.items(), budgets):
            if len(batch):
                self.taught.update(*batch.active)
                self.translated |= self._translated(batch)
                generator = seeded(self.config.seed, "batch", self.step, turn)
                torch.manual_seed(integer(generator, 0, 2**31 - 1))  # for dropout, which uses the global generator
                losses = self._losses(batch, budget, generator, loads)
                share = utterances * len(budgets)
                if losses.total.requires_grad:  # False if no trained parameter took part: eyes_first, and a batch without video
                    (losses.total / share).backward()
                done["loss"] += float(losses.total.detach()) / share
                done["audio_frames"] += int(batch.length_B.sum()) / len(budgets)
                for name, part in losses.parts.items():
                    done[name] += float(part) / share
        loss, frames, *parts = self.ranks.sums([done[name] for name in ("loss", "audio_frames", *self.heads)])
        self.skipped = self._skipped()
        self.ranks.sum_gradients(p for _, p in self.learnt)
        rate = learning_rate(self.config.rate, self.step, self.config.steps)
        if self.config.eyes_first and self.step >= self.config.eyes_first:
            rate *= self.config.after_eyes
        norm = self._update(rate)
        spread = mean_loads(self.experts, loads, self.ranks)
        balance(spread, self.config.bias_rate)
        self.step += 1
        return Step(
            step=self.step, loss=loss, parts=dict(zip(self.heads, parts, strict=True)), rate=rate,
            gradient_norm=norm, updated=math.isfinite(norm),
            budget=None if budgets[-1] is None else str(budgets[-1]), utterances=utterances,
            audio_seconds=frames * self.model.config.features.shift_ms / 1000,
            expert_peak=expert_peak(spread), seconds=time.perf_counter() - start, waiting=waiting,
            skipped=self.skipped,
        )  # fmt: skip

    def _translated(self, batch: Batch) -> set[str]:
        """Languages that utterances of a batch are translated into."""
        into = {self.tokens.translate_to(language): language for language in self.tokens.config.translate_to}
        read = batch.read_BU[batch.translates_B.bool()].unique().tolist()
        return {into[token] for token in read if token in into}

    def _learn_of_others(self) -> None:
        """Gathers from all ranks what was taught."""
        met = self.ranks.sums([task in self.taught for task in TASKS])
        self.taught = {task for task, ranks in zip(TASKS, met, strict=True) if ranks}
        into = self.tokens.config.translate_to
        met = self.ranks.sums([language in self.translated for language in into])
        self.translated = {language for language, ranks in zip(into, met, strict=True) if ranks}

    def save(self, folder: str, kept: Bundle | None = None) -> None:
        """Writes a checkpoint of model and training state; the first rank does, and all ranks wait for it. `kept`: `bundle()`, where it is there."""
        self._learn_of_others()
        if self.ranks.rank:
            return self.ranks.wait()
        own = self.model.state_dict()  # with the bias of training, which is another than that of the settled model
        tensors = {f"model.{name}": tensor for name, tensor in own.items() if self.mean or ".balancer." in name}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{key}.{self.learnt[index][0]}": tensor for key, tensor in state.items()}
        loader = {**self.loader.state_dict(), "skipped": self.skipped}
        values = {
            "loader": loader,
            "averaged": int(self.mean.n_averaged) if self.mean else 0,
            "validations": [asdict(one) for one in self.validations],
            "config": self.config.model_dump(mode="json"),
        }
        save(folder, kept or self.bundle(), TrainingState(tensors, values))
        self.ranks.wait()

    def bundle(self) -> Bundle:
        """The model as it is kept: with averaged parameters where `average` asks for them, and with settled routers."""
        model = settled(self.mean.module if self.mean else self.model, self._plain(), sorted(self.visited))
        taught = tuple(task for task in TASKS if task in self.taught)
        translated, targets = tuple(sorted(self.translated)), self.loader.config.example.targets
        return Bundle(model, self.tokens, targets, self.step, tuple(sorted(self.visited)), taught, translated)

    @classmethod
    def resumed(
        cls,
        folder: str,
        loader: Loader,
        config: TrainConfig,
        device: torch.device | str = "cpu",
        ranks: RankGroup | None = None,
    ) -> Trainer:
        """A trainer that continues from a checkpoint with the next step. Raises CheckpointError."""
        bundle, state = load(folder, device), load_training(folder)
        trainer = cls(bundle.model, bundle.tokens, loader, config, ranks)
        trainer.step, trainer.visited, trainer.taught = bundle.step, set(bundle.trained), set(bundle.taught)
        trainer.translated = set(bundle.translated or ())
        loader.load_state_dict(state.values["loader"])
        trainer.skipped = state.values["loader"]["skipped"]
        trainer.validations = comparable(folder, state.values, config)
        if trainer.ranks.rank:
            loader.skipped.clear()  # the checkpoint has the counts of all ranks: the first one goes on from them
        if trainer.mean and state.values["averaged"]:
            trainer.mean.n_averaged.fill_(state.values["averaged"])
        trainer.model.load_state_dict(_below("model.", state.tensors), strict=False)
        kept = {
            index: found
            for index, (name, _) in enumerate(trainer.learnt)
            if (found := {key: state.tensors[place] for key in _ADAM if (place := f"optimizer.{key}.{name}") in state.tensors})
        }
        groups = trainer.optimizer.state_dict()["param_groups"]
        trainer.optimizer.load_state_dict({"state": kept, "param_groups": groups})
        return trainer

    def _plain(self) -> Batch | None:
        """The first samples of the data as they are: what routers are settled on. None: there is nothing to settle."""
        if self._settling is None and self.experts:
            self._settling = self.loader.plain(SETTLED_S).to(self.device)
        return self._settling

    def _freeze(self) -> None:
        """Sets which parameters are trained in this step; the others get no gradient, and AdamW skips them."""
        start, eyes = self.model.config.start, self.step < self.config.eyes_first
        if start is not None or self.config.eyes_first:
            for name, parameter in self.learnt:
                parameter.requires_grad_(not is_frozen(name, start, self.step) and (not eyes or is_vision_parameter(name)))

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
            chunk = sample_chunk(self.model.config.features.num_encoded(int(batch.length_B.max())), generator)
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
        """One optimiser step. Returns the norm of the gradient before clipping; if it is not finite, nothing is changed."""
        norm = float(nn.utils.clip_grad_norm_([p for _, p in self.learnt], self.config.clip))
        if math.isfinite(norm):
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["share"]
            self.optimizer.step()
            if self.mean:
                self.mean.update_parameters(self.model)
        return norm

    def _skipped(self) -> dict[str, int]:
        counts = self.ranks.sums([self.loader.skipped[reason] for reason in REASONS])
        return {reason: int(count) for reason, count in zip(REASONS, counts, strict=True) if count}


def comparable(folder: str, values: Mapping[str, Any], config: TrainConfig) -> tuple[Validation, ...]:
    """The validations in the values of a checkpoint, if they were made as `config` says; else none, since the best of both would mean nothing."""
    asked = config.validation.model_dump(mode="json") if config.validation else {}
    before = (values.get("config") or {}).get("validation") or {}
    same = {**before, "patience": None} == {**asked, "patience": None}
    return read_validations(folder, values.get("validations", [])) if same else ()


_ADAM = ("step", "exp_avg", "exp_avg_sq")


def _below(prefix: str, tensors: Any) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
