"""Validation while training: the model as it would be kept is judged on samples of the split `dev`."""

# mypy: allow-untyped-decorators
from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.ids import digest
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.checkpoint.validation import DevResult, Measure, Validation, best_of
from voxmill.models.data.batch import Batch
from voxmill.models.data.held_out import HeldOut
from voxmill.models.data.loader import Loader
from voxmill.models.data.sampler import NothingToLearn
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.shard_roots import ShardRoots
from voxmill.models.inference.metrics import text_metrics
from voxmill.models.inference.recognizer import Recognizer
from voxmill.models.inference.recognizer_config import RecognizerConfig
from voxmill.models.network.budget import Budget
from voxmill.models.network.layers import ElasticConfig
from voxmill.models.network.route import ExpertLoad
from voxmill.models.training.forward import conditions_of, forward
from voxmill.models.training.loss import LossConfig, speech_loss
from voxmill.sharding.index import NoShards
from voxmill.sharding.sidecar import Member


class ValidationConfig(Settings):
    """Validation on the split `dev` of the same shards while training, with loss and word error rate by language, under the smallest and the
    largest budget. The model is the one that would be kept, with averaged parameters if there are any. It changes no step of the training. Null: none."""

    every: int = Field(default=1000, ge=1)
    """Steps between validations; a checkpoint is written after each. The last step is validated too."""
    utterances: int = Field(default=500, ge=1)
    """Most utterances, chosen by a hash of their keys."""
    minutes: float = Field(default=30.0, gt=0)
    """Most audio (min)."""
    measure: Measure = "wer"
    """What makes a model the best, averaged over budgets: `wer` (of greedy decoding; for scripts without spaces by character; of equal ones the one
    of less loss) or `loss`."""
    patience: int | None = Field(default=None, ge=1)
    """Validations in a row without a better one after which the training ends; null: it never ends early."""


class DevJudge:
    """Judges models on the dev samples, which are read once and stay in memory."""

    def __init__(self, held_out: HeldOut, loader: Loader, loss: LossConfig) -> None:
        self._held_out, self._reader, self._loss = held_out, loader.plain_reader(), loss
        self.held_out = digest(sorted(sample.key for sample in held_out.samples))
        """Of the keys of the samples: results on others cannot be compared."""
        self._words = "asr" in loader.config.example.targets.tasks
        text_metrics([])  # so that a package that is missing is told before the first step

    @cached_property
    def _batches(self) -> list[Batch]:
        return self._held_out.batches(self._reader)

    @cached_property
    def _references(self) -> Mapping[str, Member]:
        return self._held_out.references()

    @torch.no_grad()
    def __call__(self, bundle: Bundle) -> Validation:
        """The results of a model."""
        budgets = budgets_judged(bundle.model.config.emoe)
        results = {str(budget or "whole"): self._result(bundle, budget) for budget in budgets}
        return Validation(bundle.step, sum(map(len, self._batches)), results)

    def _result(self, bundle: Bundle, budget: Budget | None) -> DevResult:
        sums, pairs = defaultdict[str, float](float), defaultdict[str, list[tuple[str, str]]](list)
        recognizer = self._recognizer(bundle, budget)
        for on_cpu in self._batches:
            batch = on_cpu.to(bundle.model.device)
            loads: list[ExpertLoad] = []
            conditions = conditions_of(batch, bundle.model.config, budget, loads=loads)
            losses = speech_loss(forward(bundle.model, batch, conditions), batch, loads, self._loss)
            for name, part in {_ALL: losses.total, **losses.parts}.items():
                sums[name] += float(part)
            if recognizer:
                heard = recognizer.of_features(batch.feature_BTM, batch.length_B, batch.bandwidth_B, batch.frames)
                for key, one in zip(batch.keys, heard, strict=True):
                    row = self._references.get(key)  # a sidecar may be damaged since the samples were chosen
                    if row is not None and row.text is not None:
                        pairs[row.language or "unknown"].append((row.text, one.text))
        count = sum(map(len, self._batches))
        means = {name: total / count if math.isfinite(total) else None for name, total in sums.items()}
        return DevResult(
            loss=means.pop(_ALL, None),
            parts=means,
            wer=text_metrics([pair for language in sorted(pairs) for pair in pairs[language]]).wer,
            by_language={language: text_metrics(one).wer for language, one in sorted(pairs.items())},
        )

    def _recognizer(self, bundle: Bundle, budget: Budget | None) -> Recognizer | None:
        """Decodes greedily, by CTC where there is one. An untrained decoder does not end: it says no more than the longest reference has."""
        if not self._words:
            return None
        most = max((batch.said_BU.shape[1] for batch in self._batches), default=1)
        config = RecognizerConfig(method="attention" if bundle.model.ctc is None else "greedy", tasks=("asr",), max_tokens=most)
        return Recognizer(replace(bundle, trained=()), config, budget)  # without `trained` no budget is warned of


_ALL = "all"


def budgets_judged(emoe: ElasticConfig | None) -> tuple[Budget | None, ...]:
    """The smallest and the largest budget of a schedule; None for a model of one size."""
    if emoe is None:
        return (None,)
    budgets = [budget.within(emoe.full) for budget in emoe.schedule.budgets()]
    return tuple(dict.fromkeys([budgets[0], budgets[-1]]))


def dev_judge(loader: Loader, config: ValidationConfig | None, loss: LossConfig) -> DevJudge | None:
    """What judges a training on the shards that its loader reads; None if validation is off, or no sample of `dev` can be used."""
    if config is None:
        return None
    try:
        return DevJudge(HeldOut(loader.shards, loader.config.plan, config.utterances, config.minutes), loader, loss)
    except (NoShards, NothingToLearn):
        return None


def validation_plan(
    shards: ShardRoots, plan: SamplerConfig, emoe: ElasticConfig | None, config: ValidationConfig | None
) -> tuple[str, bool]:
    """(what a training on these shards validates and how often, in words; False if the shards have nothing for it)."""
    if config is None:
        return "", True
    try:
        held = HeldOut(shards, plan, config.utterances, config.minutes)
    except (NoShards, NothingToLearn) as error:
        return f"nothing is validated: {error}; `select.dev_share` of a run keeps utterances for it", False
    budgets = " and ".join(str(budget or "whole") for budget in budgets_judged(emoe))
    early = f", ends after {config.patience} without a better one" if config.patience else ""
    return (
        f"validation every {config.every} steps on {len(held.samples)} of {held.there} utterances of dev "
        f"({held.seconds / 3600:.3f} h), budgets: {budgets}; the best by {config.measure}{early}"
    ), True


def why_ended(validations: Sequence[Validation], config: ValidationConfig | None) -> str:
    """Why a training ended early; empty while it may go on."""
    if config is None or config.patience is None or (best := best_of(validations, config.measure)) is None:
        return ""
    since = sum(one.step > best.step for one in validations)
    if since < config.patience:
        return ""
    measure = "WER" if config.measure == "wer" else config.measure
    return f"no better dev {measure} in {since} validation{'s' if since > 1 else ''} since step {best.step}"
