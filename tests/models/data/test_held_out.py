from __future__ import annotations

from pathlib import Path

import pytest

from voxmill.models.data.held_out import HeldOut
from voxmill.models.data.sampler import NothingToLearn
from voxmill.models.data.sampler_config import SamplerConfig
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
