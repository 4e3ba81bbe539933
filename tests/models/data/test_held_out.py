from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.data.held_out import HeldOut
from voxmill.models.data.loader import DataConfig, Loader
from voxmill.models.data.sampler import NothingToLearn
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.network.model import ModelConfig
from voxmill.sharding.index import NoShards


def keys(held: HeldOut) -> list[str]:
    return [sample.key for sample in held.samples]


def test_the_choice_depends_on_keys_alone(dev_shards: Path) -> None:
    every = HeldOut(str(dev_shards), SamplerConfig(), 99, 99)
    few = HeldOut(str(dev_shards), SamplerConfig(seed=7, window=1), 5, 99)
    assert (len(every.samples), every.there, few.there) == (12, 12, 12)
    assert keys(few) == keys(every)[:5] != sorted(keys(few))
    assert keys(HeldOut(str(dev_shards), SamplerConfig(), 99, 4 / 60)) == keys(every)[:2], "4 s of audio, of 1 to 2.5 s each"
    assert set(every.references()) == set(keys(every))
    assert {row.split for row in every.references().values()} == {"dev"}


def test_conditions_of_the_training_hold(dev_shards: Path) -> None:
    assert len(HeldOut(str(dev_shards), SamplerConfig(where="seconds < 1.2"), 99, 99).samples) == 3
    with pytest.raises(NothingToLearn, match=r"no sample of split 'dev' in .* where tier = 'weak'"):
        HeldOut(str(dev_shards), SamplerConfig(where="tier = 'weak'"), 99, 99)


def test_shards_without_dev_say_so(shards: Path) -> None:
    with pytest.raises(NoShards, match="no committed shard of split 'dev'; there is train"):
        HeldOut(str(shards), SamplerConfig(), 99, 99)


def test_samples_are_read_from_the_root_that_has_them(
    shards: Path, dev_shards: Path, tokens: Tokenizer, tmp_path: Path
) -> None:
    copy = tmp_path / "again"
    shutil.copytree(dev_shards, copy)
    roots = [str(shards), str(dev_shards), str(copy)]  # the first has no dev, the last what the one before has
    held = HeldOut(roots, SamplerConfig(), 99, 99)
    assert (len(held.samples), {sample.root for sample in held.samples}) == (12, {1})
    assert set(held.references()) == set(keys(held))
    loader = Loader(roots, tokens, ModelConfig().features, DataConfig())
    assert sum(map(len, held.batches(loader.plain_reader()))) == 12
    assert {sample.root for sample in HeldOut(roots, SamplerConfig(where="root = 3"), 99, 99).samples} == {2}
