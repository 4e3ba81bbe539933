from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from networks import SWITCHES
from voxmill.manifests.errors import UserError
from voxmill.models.common.features import FbankConfig
from voxmill.models.common.tokenizer import TokenizerConfig
from voxmill.models.data.loader import DataConfig, Loader
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.network.conformer import EncoderConfig
from voxmill.models.network.decoder import DecoderConfig
from voxmill.models.network.model import ModelConfig
from voxmill.models.training import ray_train as distributed
from voxmill.models.training import session as training
from voxmill.models.training.data_parallel import RankGroup
from voxmill.models.training.dev_judge import ValidationConfig
from voxmill.models.training.ray_train import WorkersConfig, for_workers
from voxmill.models.training.recipe import Recipe, prepare
from voxmill.models.training.schedule import RateConfig
from voxmill.models.training.train_config import TrainConfig
from voxmill.models.training.trainer import Step, Trainer


def recipe(**train: Any) -> Recipe:
    return Recipe(
        tokens=TokenizerConfig(num_subwords=280),
        model=ModelConfig(
            fbank=FbankConfig(num_mels=20),
            encoder=EncoderConfig(layers=1, dim=16, heads=2, hidden=32, kernel=5),
            decoder=DecoderConfig(layers=1, backward_layers=0, heads=2, hidden=32),
            emoe=SWITCHES["emoe"],
        ),
        data=DataConfig(plan=SamplerConfig(batch_seconds=8.0)),
        train=TrainConfig(**{"steps": 4, "accumulate": 3, "rate": RateConfig(peak=3e-3, warmup=2), **train}),
        normaliser_batches=2,
    )


def test_a_step_has_a_batch_for_every_worker() -> None:
    assert for_workers(recipe(), 2).train.accumulate == 3
    assert for_workers(recipe(), 8).train.accumulate == 8


def test_a_rank_without_a_batch_is_refused(shards: Path) -> None:
    one = prepare(str(shards), recipe(accumulate=1))
    loader = Loader(str(shards), one.tokens, one.model.config.fbank, recipe().data, rank=0, world=2)
    with pytest.raises(ValueError, match=r"set train\.accumulate to 2 or more"):
        Trainer(one.model, one.tokens, loader, recipe(accumulate=1).train, RankGroup(0, 2))


def test_turns_of_a_step_are_shared_out() -> None:
    assert [list(RankGroup(rank, 3).share(7)) for rank in range(3)] == [[0, 3, 6], [1, 4], [2, 5]]


def test_a_team_of_one_changes_nothing() -> None:
    alone, p = RankGroup(), torch.nn.Parameter(torch.ones(2))
    alone.sum_gradients([p])
    alone.wait()
    assert p.grad is None
    assert alone.sums([1.0, 2.0]) == [1.0, 2.0]


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
@pytest.mark.usefixtures("local_ray")
def test_two_workers_begin_what_one_would_have_done_and_one_goes_on(shards: Path, tmp_path: Path) -> None:
    parted: list[Step] = []

    def interrupt(step: Step) -> None:
        if step.step == 2:
            signal.raise_signal(signal.SIGINT)

    out, two = str(tmp_path / "parted"), WorkersConfig(workers=2)
    half = distributed.train(str(shards), out, recipe(steps=2000), two, device="cpu", listeners=[parted.append, interrupt])
    assert not half.finished
    assert half.step == parted[-1].step
    training.train(str(shards), out, recipe(steps=half.step + 2), "cpu", [parted.append])

    alone: list[Step] = []
    training.train(str(shards), str(tmp_path / "alone"), recipe(steps=half.step + 2), "cpu", [alone.append])
    for one, both in zip(alone, parted, strict=True):
        assert (both.step, both.budget, both.utterances, both.skipped) == (one.step, one.budget, one.utterances, one.skipped)
    for one, both in zip(alone[:8], parted[:8], strict=True):  # later, rounding may have grown
        assert both.loss == pytest.approx(one.loss, rel=1e-3)
        assert both.parts == pytest.approx(one.parts, rel=1e-3)
        assert both.expert_peak == pytest.approx(one.expert_peak, rel=1e-3)
    with pytest.raises(UserError, match="join a cluster with --address"):
        distributed.train(str(shards), str(tmp_path / "many"), recipe(accumulate=99), WorkersConfig(workers=99), device="cpu")


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
@pytest.mark.usefixtures("local_ray")
def test_one_of_two_workers_validates_and_all_end_early_together(dev_shards: Path, tmp_path: Path) -> None:
    steps: list[Step] = []
    patient = recipe(steps=9, validation=ValidationConfig(every=2, patience=1), rate=RateConfig(peak=1e-30, warmup=1))
    two = WorkersConfig(workers=2)
    done = distributed.train(str(dev_shards), str(tmp_path), patient, two, device="cpu", listeners=[steps.append])
    assert (done.finished, done.step, done.best and done.best.step) == (True, 4, 2)
    assert done.ended.startswith("no better dev WER in 1 validation since step 2")
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert [step.validation.step for step in steps if step.validation] == [2, 4]
