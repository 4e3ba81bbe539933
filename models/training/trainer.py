"""The training loop: draw a budget, forward, backward, optimiser step, log, save.

All randomness of a step (budget, chunk, dropout, withheld video frames) is decided by the seed and the step's number, so
resuming from a checkpoint repeats the same steps bit for bit. On several ranks every rank runs this loop over its share of each
step's batches, and the randomness of a batch is decided by its number in the step: any number of ranks makes the same steps.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import groupby, product
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from voxmill.models.checkpoint.checkpoint import (
    Bundle,
    TrainingState,
    average_folder,
    is_checkpoint,
    load,
    load_training,
    save,
    step_folder,
)
from voxmill.models.checkpoint.validation import BestValidation, Validation
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
from voxmill.models.training.average import averaged
from voxmill.models.training.checkpoint_keeper import CheckpointKeeper, validations_before
from voxmill.models.training.data_parallel import RankGroup
from voxmill.models.training.dev_judge import dev_judge, why_ended
from voxmill.models.training.expert_load import balance, expert_peak, mean_loads
from voxmill.models.training.forward import conditions_of, forward
from voxmill.models.training.loss import Losses, heads_of, speech_loss
from voxmill.models.training.pretrained_start import check_frozen, is_frozen, shares_of
from voxmill.models.training.schedule import learning_rate
from voxmill.models.training.settle import settled
from voxmill.models.training.train_config import TrainConfig

SETTLED_S = 240.0
"""Audio (s) on which routers are settled when a model is saved."""


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
        self.keeper = CheckpointKeeper(config)
        self.validations: tuple[Validation, ...] = ()
        """Those so far, on the first rank."""
        self._batches: Iterator[Batch] | None = None
        self._settling: Batch | None = None

    def run(self, out: str, on_step: Callable[[Step], None] = lambda _: None, stop: Callable[[], bool] = lambda: False) -> bool:
        """Trains to the end, or until `stop()` is true after a step. Checkpoints are written to folders `step-…` under `out`.

        Returns whether the training is done: all steps, or those before an early end. The last step is saved in either case.
        """
        if not self.ranks.rank:
            self.keeper.tidy(out, self.validations)
        ended = bool(why_ended(self.validations, self.config.validation))
        while self.step < self.config.steps and not ended:
            step, judged = self.advance(), None
            if self.keeper.validates(self.step) and (judged := self._judged()):
                best = self.keeper.best(self.validations)
                step = replace(step, validation=self.validations[-1], best=best)
            on_step(step)
            over = why_ended(self.validations, self.config.validation)
            stopping, ended = map(bool, self.ranks.sums([stop(), bool(over)]))
            if stopping or self.keeper.saves(self.step):
                self.save(step_folder(out, self.step), judged)
                if not self.ranks.rank:
                    self.keeper.tidy(out, self.validations)
            if stopping:
                break
        done = ended or self.step >= self.config.steps
        if done and self.config.average_checkpoints:
            self._write_average(out)
        return done

    def _judged(self) -> Bundle | None:
        """Validates. Returns the model that was judged, to be saved; None if nothing was, as on all ranks but the first."""
        self._learn_of_others()
        if self.judge is None:
            return None
        judged = self.bundle()
        self.validations = (*self.validations, self.judge(judged))
        return judged

    def _write_average(self, out: str) -> None:
        folder = average_folder(out, self.step)
        if not self.ranks.rank and not is_checkpoint(folder):
            of = [step_folder(out, step) for step in self.keeper.to_average(out, self.validations)]
            save(folder, averaged(of, self._plain(), self.device))
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

    def save(self, folder: str, bundle: Bundle | None = None) -> None:
        """Writes a checkpoint of model and training state; the first rank does, and all ranks wait for it. `bundle`: that of now, where it was made before."""
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
            "held_out": self.judge.held_out if self.judge else None,
            "config": self.config.model_dump(mode="json"),
        }
        save(folder, bundle or self.bundle(), TrainingState(tensors, values))
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
        held_out = trainer.judge.held_out if trainer.judge else None
        trainer.validations = validations_before(folder, state.values, config, held_out)
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


_ADAM = ("step", "exp_avg", "exp_avg_sq")


def _below(prefix: str, tensors: Any) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
