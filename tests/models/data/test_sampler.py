from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samples import several
from sidecar_shards import member, write_sidecars
from voxmill.manifests.errors import UserError
from voxmill.manifests.matching_rows import ConditionError
from voxmill.models.data.sampler import BucketingSampler, PlannedBatch
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.sharding.sidecar import Member, committed

SMALL: dict[str, Any] = {"batch_seconds": 8.0, "window": 2}


def keys(batches: list[PlannedBatch]) -> list[str]:
    return [sample.key for planned in batches for sample in planned.samples]


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


@pytest.fixture(scope="module")
def undisturbed(shards: Path) -> list[PlannedBatch]:
    """Three epochs and a part of the fourth."""
    return list(islice(BucketingSampler(str(shards), SamplerConfig(**SMALL)).stream(), 36))


@pytest.mark.parametrize("skip", [0, 1, 5, 17, 29])
def test_the_stream_goes_on_from_any_place(shards: Path, undisturbed: list[PlannedBatch], skip: int) -> None:
    sampler = BucketingSampler(str(shards), SamplerConfig(**SMALL))
    assert list(islice(sampler.stream(0, skip), 36 - skip)) == undisturbed[skip:]
    later = undisturbed[skip]
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


def written(tmp_path: Path, **roots: list[Member]) -> list[str]:
    return [write_sidecars(tmp_path / name, rows) for name, rows in roots.items()]


@settings(max_examples=12)
@given(st.lists(st.floats(0.5, 12.0), min_size=1, max_size=90), st.integers(1, 4), st.integers(0, 3), st.integers(0, 25))
def test_every_order_is_whole_bounded_the_same_for_all_and_goes_on_anywhere(
    seconds: list[float], window: int, epoch: int, skip: int
) -> None:
    rows = [member(str(i), length) for i, length in enumerate(seconds)]
    with tempfile.TemporaryDirectory() as folder:
        roots = written(Path(folder), one=rows[: len(rows) // 2 + 1], two=rows[len(rows) // 3 :])
        config = SamplerConfig(batch_seconds=30, batch_size=16, window=window)
        sampler, on_another_rank = (BucketingSampler(roots, config) for _ in range(2))
        batches = list(sampler.epoch(epoch))
        assert batches == list(on_another_rank.epoch(epoch))
        assert sorted(keys(batches)) == sorted(row.key for row in rows)  # each once, though some are in both roots
        whole = list(islice(sampler.stream(epoch), 30))
        assert list(islice(on_another_rank.stream(epoch, skip), 30 - skip)) == whole[skip:]
    assert all(len(b.samples) <= 16 and max(s.seconds for s in b.samples) * len(b.samples) <= 30 for b in batches if b.samples)


def test_a_key_in_two_roots_is_read_from_the_first_that_may_be_read(tmp_path: Path) -> None:
    both, one, two = member("both", 2), member("one", 3), member("two", 4)
    roots = written(tmp_path, a=[both, one], b=[two, both])
    (batch,) = BucketingSampler(roots, SamplerConfig()).epoch(0)
    assert {sample.key: sample.root for sample in batch.samples} == {both.key: 0, one.key: 0, two.key: 1}
    assert batch.skipped == {"twice": 1}
    (batch,) = BucketingSampler(roots, SamplerConfig(where="root = 2 or seconds > 2.5")).epoch(0)
    assert {sample.key: sample.root for sample in batch.samples} == {both.key: 1, one.key: 0, two.key: 1}
    with pytest.raises(UserError, match="named twice"):
        BucketingSampler([roots[0], f"{roots[0]}/"], SamplerConfig())


def test_weights_of_roots_repeat_one_and_thin_the_other(tmp_path: Path) -> None:
    a, b = ([member(f"{name}{i}", 2) for i in range(count)] for name, count in (("a", 60), ("b", 20)))
    sampler = BucketingSampler(written(tmp_path, a=a, b=b), SamplerConfig(batch_seconds=20, root_weights=(1, 1), window=3))
    epochs = [Counter(keys(list(sampler.epoch(epoch)))) for epoch in range(6)]
    for read in epochs:
        assert sum(read[row.key] for row in a) == pytest.approx(40, abs=12)
        assert all(read[row.key] == 2 for row in b)
    assert epochs[0] != epochs[1]
    whole = sum(epochs, Counter())
    assert all(whole[row.key] == 4 for row in a)  # two thirds of six epochs
    assert [(one.name[-1], round(one.share, 6), round(one.rate, 6)) for one in sampler.roots()] == [
        ("a", 0.5, 0.666667),
        ("b", 0.5, 2),
    ]
    whole_stream = list(islice(sampler.stream(), 40))
    assert list(islice(sampler.stream(0, 17), 23)) == whole_stream[17:]


def test_groups_by_columns_are_read_by_temperature(tmp_path: Path) -> None:
    rows = [member(f"en{i}", 2, gender="male") for i in range(64)] + [
        member(f"cy{i}", 2, None, gender="female") for i in range(4)
    ]
    (root,) = written(tmp_path, one=rows)
    for by in ("language", "labels.gender"):
        sampler = BucketingSampler(root, SamplerConfig(sample={"by": (by,), "temperature": 0.5}))  # type: ignore[arg-type]
        big, small = sampler.groups()
        assert (small.name, round(small.share, 3)) == ({"language": "null", "labels.gender": "female"}[by], 0.2)
        read = Counter(key for epoch in range(5) for key in keys(list(sampler.epoch(epoch))))
        assert sum(read[row.key] for row in rows[64:]) == pytest.approx(5 * 68 * 0.2, abs=4)
        assert (big.samples, sampler.roots()) == (64, ())
    texts = list(BucketingSampler(root, SamplerConfig(sample={"by": ("language",), "temperature": 0})).texts())  # type: ignore[arg-type]
    assert sum("None" in text for text in texts) == pytest.approx(34, abs=4)  # as often as the first epoch reads them
    with pytest.raises(UserError, match=r"no column 'langage'; did you mean `language`"):
        BucketingSampler(root, SamplerConfig(sample={"by": ("langage",)}))  # type: ignore[arg-type]


def test_the_first_epochs_go_from_short_to_long_where_that_is_asked_for(tmp_path: Path) -> None:
    (root,) = written(tmp_path, one=[member(str(i), 1 + i / 10) for i in range(60)])
    sampler = BucketingSampler(root, SamplerConfig(batch_seconds=10, window=2, sortagrad=1))
    stream = sampler.stream()
    count = len(list(sampler.epoch(0, ascending=True)))
    longest = [max(sample.seconds for sample in batch.samples) for batch in islice(stream, count)]
    assert longest == sorted(longest)
    assert list(islice(stream, 5)) == list(islice(sampler.epoch(1), 5))
