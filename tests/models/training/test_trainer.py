from __future__ import annotations

import math
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from networks import SWITCHES
from voxmill.manifests.errors import UserError
from voxmill.models.checkpoint.checkpoint import load, step_folder
from voxmill.models.checkpoint.manifest import CheckpointError
from voxmill.models.common.features import FbankConfig
from voxmill.models.common.tokenizer import TokenizerConfig
from voxmill.models.data.batch import Batch, collate
from voxmill.models.data.examples import ExampleConfig
from voxmill.models.data.loader import DataConfig, Loader
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.targets import TargetsConfig
from voxmill.models.network.budget import BudgetSchedule
from voxmill.models.network.conformer import EncoderConfig
from voxmill.models.network.decoder import DecoderConfig
from voxmill.models.network.model import ModelConfig
from voxmill.models.training.forward import conditions_of
from voxmill.models.training.recipe import Recipe, prepare
from voxmill.models.training.schedule import RateConfig, learning_rate
from voxmill.models.training.train_config import TrainConfig
from voxmill.models.training.trainer import Step, Trainer


def recipe(*on: str, **train: Any) -> Recipe:
    model = ModelConfig(
        fbank=FbankConfig(num_mels=20),
        encoder=EncoderConfig(layers=2, dim=16, heads=2, hidden=32, kernel=5),
        decoder=DecoderConfig(layers=1, backward_layers=1, heads=2, hidden=32),
        **{name: SWITCHES[name] for name in on},
    )
    style = TargetsConfig(style="activated", tasks=model.tasks.tasks) if model.tasks else TargetsConfig()
    return Recipe(
        tokens=TokenizerConfig(num_subwords=280),
        model=model,
        data=DataConfig(plan=SamplerConfig(batch_seconds=8.0), example=ExampleConfig(targets=style)),
        train=TrainConfig(**{"steps": 6, "rate": RateConfig(peak=3e-3, warmup=2), "save_every": 6, **train}),
        normaliser_batches=2,
    )


def repeatable(step: Step) -> dict[str, Any]:
    return {f.name: getattr(step, f.name) for f in fields(step) if f.name not in ("seconds", "waiting")}


def trained(trainer: Trainer, out: Path) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    trainer.run(str(out), lambda step: steps.append(repeatable(step)))
    return steps


@pytest.mark.parametrize("changes", [{}, {"average": 0.9, "accumulate": 2}], ids=["plain", "averaged"])
def test_going_on_is_the_same_training_to_the_bit(shards: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    settings = recipe("emoe", "tasks", steps=4, save_every=2, **changes)
    first = prepare(str(shards), settings)
    undisturbed = trained(first, tmp_path / "a")
    middle = step_folder(str(tmp_path / "a"), 2)
    loader = Loader(str(shards), first.tokens, settings.model.fbank, settings.data)
    resumed = Trainer.resumed(middle, loader, settings.train)
    assert trained(resumed, tmp_path / "b") == undisturbed[2:]
    end_a, end_b = (load(step_folder(str(tmp_path / name), 4)).model.state_dict() for name in ("a", "b"))
    assert all(torch.equal(end_a[name], end_b[name]) for name in end_a)


def test_a_batch_can_be_learnt_by_heart(shards: Path) -> None:
    trainer = prepare(str(shards), recipe(steps=25, rate=RateConfig(peak=1e-2, warmup=5), dynamic_chunk=False))
    losses = [trainer.advance().loss for _ in range(25)]
    assert losses[-1] < 0.5 * losses[0]


def test_budgets_are_drawn_and_remembered_and_outside_experts_stay(shards: Path, tmp_path: Path) -> None:
    trainer = prepare(str(shards), recipe("emoe"))
    steps = trained(trainer, tmp_path)
    assert len({step["budget"] for step in steps}) > 1
    assert all(step["expert_peak"] >= 0 for step in steps)
    bundle = load(step_folder(str(tmp_path), 6))
    assert {str(budget) for budget in bundle.trained} == {step["budget"] for step in steps}


def with_emoe(**changes: Any) -> Recipe:
    made = recipe("emoe")
    return made.model_copy(
        update={"model": made.model.model_copy(update={"emoe": SWITCHES["emoe"].model_copy(update=changes)})}
    )


def test_a_step_leaves_experts_outside_its_budget_as_they_were(shards: Path) -> None:
    trainer = prepare(str(shards), with_emoe(schedule=BudgetSchedule(experts=(3,), top_k=(2,), width=(8,))))
    experts = trainer.model.encoder.layers[0].feed_forward.experts
    before = [expert.up.weight.clone() for expert in experts]
    trainer.advance()
    moved = [not torch.equal(expert.up.weight, old) for expert, old in zip(experts, before, strict=True)]
    assert moved == [True, True, True, False, False]


def test_a_sandwich_learns_the_mean_of_its_two_budgets(shards: Path) -> None:
    small = BudgetSchedule(experts=(2,), top_k=(2,), width=(4,))
    whole = BudgetSchedule(experts=(5,), top_k=(2,), width=(8,))
    both = BudgetSchedule(experts=(2, 5), top_k=(2,), width=(4, 8), only=("2:2:4",), passes="sandwich")
    losses, gradients = [], []
    for schedule in (small, whole, both):
        made = with_emoe(schedule=schedule, dropout=0)
        trainer = prepare(str(shards), made.model_copy(update={"train": made.train.model_copy(update={"clip": 1e9})}))
        losses.append(trainer.advance().loss)
        gradients.append([torch.zeros_like(p) if p.grad is None else p.grad for _, p in trainer.learnt])
        assert len(trainer.visited) == len(list(schedule.budgets()))
    assert losses[2] == pytest.approx((losses[0] + losses[1]) / 2, rel=1e-5)
    for of_small, of_whole, of_both in zip(*gradients, strict=True):
        torch.testing.assert_close(of_both, (of_small + of_whole) / 2, rtol=1e-3, atol=1e-5)


def test_experts_are_in_use_after_a_training_and_the_loss_alone_does_not_bring_it_about(shards: Path) -> None:
    peaks, batches = {}, list[Batch]()
    for balance, steps in (("bias", 25), ("loss", 15)):  # with the loss the same two experts get everything after ten
        made = with_emoe(
            experts=10, balance=balance, schedule=BudgetSchedule(experts=(5, 10), top_k=(2,), width=(8,), passes="every")
        )
        data = made.data.model_copy(update={"plan": SamplerConfig(batch_seconds=30.0)})  # of four utterances no peak says much
        trainer = prepare(str(shards), made.model_copy(update={"data": data, "normaliser_batches": 50}))
        batches = batches or list(islice(trainer.loader, steps))  # the same for both
        trainer._batches = iter(batches)
        found = [trainer.advance() for _ in range(steps)]
        peaks[balance] = sum(step.expert_peak or math.inf for step in found[-10:]) / 10
    assert peaks["bias"] <= 2 < peaks["loss"]


def test_a_gradient_that_is_not_finite_changes_nothing(shards: Path) -> None:
    trainer = prepare(str(shards), recipe())
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.model.frontend.std_M[0] = 0.0
    step = trainer.advance()
    assert (step.updated, math.isfinite(step.gradient_norm)) == (False, False)
    assert all(torch.equal(p, before[name]) for name, p in trainer.model.named_parameters())


def test_half_precision_trains(shards: Path) -> None:
    trainer = prepare(str(shards), recipe("emoe", "smoe", precision="bfloat16"))
    assert all(math.isfinite(trainer.advance().loss) for _ in range(2))
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}


def test_a_recipe_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match=r"set data\.example\.targets\.style"):
        Recipe(model=ModelConfig(tasks=SWITCHES["tasks"]))
    with pytest.raises(ValueError, match=r"switch model\.tasks on"):
        Recipe(data=DataConfig(example=ExampleConfig(targets=TargetsConfig(style="activated"))))


def test_streaming_is_not_trained_with_a_convolution_that_looks_ahead() -> None:
    with pytest.raises(ValueError, match=r"needs model\.encoder\.causal"):
        Recipe(model=ModelConfig(encoder=EncoderConfig(causal=False)))


def test_a_batch_of_none_is_a_step_that_changes_nothing(shards: Path) -> None:
    trainer = prepare(str(shards), recipe())
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer._batches = iter([collate([], trainer.tokens, {"damaged": 3})])
    step = trainer.advance()
    assert (step.utterances, step.loss, step.step) == (0, 0.0, 1)
    assert all(torch.equal(p, before[name]) for name, p in trainer.model.named_parameters())


def test_the_normaliser_is_that_of_the_data(shards: Path) -> None:
    trainer = prepare(str(shards), recipe().model_copy(update={"normaliser_batches": 50}))
    batch = next(iter(trainer.loader))
    normal = (batch.feature_BTM[0, : int(batch.length_B[0])] - trainer.model.frontend.mean_M) / trainer.model.frontend.std_M
    assert abs(float(normal.mean())) < 1.5
    assert 0.2 < float(normal.std()) < 3


def test_rates_rise_and_fall() -> None:
    cosine = RateConfig(peak=1.0, warmup=10, shape="cosine")
    rates = [learning_rate(cosine, step, 100) for step in range(100)]
    assert rates.index(max(rates)) == 9
    assert max(rates) == 1.0
    assert rates[-1] < 1e-6 + 0.001
    assert learning_rate(RateConfig(peak=1.0, warmup=10), 39, 100) == pytest.approx(0.5)


def test_experts_begin_as_the_layers_of_a_trained_dense_model(shards: Path, tmp_path: Path) -> None:
    dense = prepare(str(shards), recipe(steps=2))
    dense.run(str(tmp_path / "dense"))
    folder = step_folder(str(tmp_path / "dense"), 2)
    trainer = prepare(str(shards), recipe("smoe").model_copy(update={"begin_with": folder}))
    for model in (trainer.model, dense.model):
        model.eval()
    batch = next(trainer.loader.once())
    outputs = [
        model(batch.feature_BTM, batch.length_B, batch.read_BU, conditions_of(batch, model.config), batch.read_backward_BU)
        for model in (trainer.model, dense.model)
    ]
    for ours, theirs in zip(outputs[0][:4], outputs[1][:4], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    assert trainer.tokens.digest == dense.tokens.digest
    assert trainer.advance().updated


def test_a_model_of_other_sizes_or_ears_is_nothing_to_begin_with(shards: Path, tmp_path: Path) -> None:
    dense = prepare(str(shards), recipe(steps=1))
    dense.run(str(tmp_path / "dense"))
    wanted = recipe("smoe").model_copy(update={"begin_with": step_folder(str(tmp_path / "dense"), 1)})
    for part, message in (
        ({"encoder": wanted.model.encoder.model_copy(update={"hidden": 48})}, "other sizes"),
        ({"fbank": FbankConfig(num_mels=40)}, "other features"),
    ):
        with pytest.raises(UserError, match=message):
            prepare(str(shards), wanted.model_copy(update={"model": wanted.model.model_copy(update=part)}))
    with pytest.raises(CheckpointError):
        prepare(str(shards), wanted.model_copy(update={"begin_with": str(tmp_path)}))
