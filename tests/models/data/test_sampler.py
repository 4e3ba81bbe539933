from __future__ import annotations

import shutil
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples import several
from voxmill.manifests.matching_rows import ConditionError
from voxmill.models.data.batch_cutter import BatchCutter, PlannedSample, cut_batches
from voxmill.models.data.sampler import BucketingSampler, PlannedBatch
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.sharding.sidecar import committed

SMALL: dict[str, Any] = {"batch_seconds": 8.0, "window": 2}


def keys(batches: list[PlannedBatch]) -> list[str]:
    return [sample.key for planned in batches for sample in planned.samples]


@given(st.lists(st.integers(1, 480_000), max_size=60), st.integers(1, 10))
def test_batches_lose_nothing_and_stay_within_their_bounds(lengths: list[int], size: int) -> None:
    config = SamplerConfig(batch_seconds=20, batch_size=size)
    samples = [PlannedSample(str(i), length, 1.0, "high") for i, length in enumerate(lengths)]
    batches = list(cut_batches(samples, config))
    assert Counter(p.key for batch in batches for p in batch) == Counter(p.key for p in samples)
    for batch in batches:
        longest = max(p.num_samples for p in batch)
        assert len(batch) <= size
        assert len(batch) == 1 or longest / 16_000 * len(batch) <= 20
    for batch in BatchCutter(config).add(samples):
        assert max(p.num_samples for p in batch) <= min(p.num_samples for p in batch) * config.bucket_ratio + 1


def test_an_epoch_is_every_sample_once_in_an_order_of_its_own(shards: Path) -> None:
    sampler = BucketingSampler(str(shards), SamplerConfig(**SMALL))
    first, again, second = (list(sampler.epoch(epoch)) for epoch in (0, 0, 1))
    assert sorted(keys(first)) == sorted(keys(second)) == sorted(s.key for s in several(recordings=10))
    assert first == again
    assert keys(first) != keys(second)
    assert [planned.index for planned in first] == list(range(len(first)))


def test_another_seed_is_another_order_and_no_shuffle_is_none(shards: Path) -> None:
    plans = [keys(list(BucketingSampler(str(shards), SamplerConfig(**SMALL, seed=seed)).epoch(0))) for seed in (0, 1)]
    assert plans[0] != plans[1]
    still = BucketingSampler(str(shards), SamplerConfig(**SMALL, shuffle=False))
    assert keys(list(still.epoch(0))) == keys(list(still.epoch(1)))


@pytest.mark.parametrize("skip", [0, 1, 5, 29, 60])
def test_the_stream_goes_on_from_any_place(shards: Path, skip: int) -> None:
    sampler = BucketingSampler(str(shards), SamplerConfig(**SMALL))
    whole = list(islice(sampler.stream(), 80))
    assert list(islice(sampler.stream(0, skip), 80 - skip)) == whole[skip:]
    later = whole[skip]
    assert next(sampler.stream(later.epoch, later.index)) == later


def test_a_condition_chooses_and_bounds_count(shards: Path) -> None:
    sampler = BucketingSampler(
        str(shards), SamplerConfig(where="seconds < 2 and tier = 'high' and language = 'zh'", max_seconds=1.2)
    )
    batches = list(sampler.epoch(0))
    assert {sample.seconds for planned in batches for sample in planned.samples} == {1.0}
    assert sum((Counter(planned.skipped) for planned in batches), Counter()) == {"too_long": 10}


def test_what_is_left_out_after_the_last_batch_is_counted_too(shards: Path) -> None:
    (only,) = BucketingSampler(str(shards), SamplerConfig(max_seconds=0.5)).epoch(0)
    assert (only.samples, only.skipped) == ((), {"too_long": 40})


def test_a_damaged_sidecar_costs_its_shard_and_is_counted(shards: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(shards, tmp_path / "shards"))
    broken = next(committed(str(root)))
    (root / broken.parquet).write_bytes(b"rubbish")
    batches = list(BucketingSampler(str(root), SamplerConfig()).epoch(0))
    assert len(keys(batches)) == 40 - broken.num_shard_samples
    assert sum(planned.skipped.get("shard", 0) for planned in batches) == broken.num_shard_samples


def test_nothing_to_plan_is_said_at_once(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no shards"):
        BucketingSampler(str(tmp_path), SamplerConfig())
    with pytest.raises(ValueError, match=r"no sample of split 'train'.*where tier = 'weak'"):
        next(BucketingSampler(str(shards), SamplerConfig(where="tier = 'weak'")).stream())
    with pytest.raises(ConditionError, match="did you mean 'tier'"):
        BucketingSampler(str(shards), SamplerConfig(where="teir = 'weak'"))
