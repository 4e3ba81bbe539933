from __future__ import annotations

import pickle
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.manifests.ids import digest, segment_id
from voxmill.sharding.layout import (
    SHARD_NAME,
    ShardPlan,
    bucket_of,
    bucket_of_key,
    estimated_bytes,
    plan_shards,
    slug,
)  # fmt: skip
from voxmill.sharding.sample import Entry

TARGET = 400_000


def entry(
    name: int, piece: int = 0, generation: int = 0, split: str = "train", licence: str = "cc0-1.0", size: int = 50_000
) -> Entry:
    ident, start = digest([str(name)]), piece * 1_000_000
    return Entry(segment_id(ident, start, start + size), ident, start, size, split, licence, name // 2, name % 2, generation)


@st.composite
def runs(draw: st.DrawFn) -> list[Entry]:
    """The selected segments of a run of up to three generations; units of later generations come later."""
    entries = []
    generations = sorted(draw(st.lists(st.integers(0, 2), min_size=1, max_size=12)))
    for name, generation in enumerate(generations):
        licence, split = draw(st.sampled_from(["cc0-1.0", "unknown"])), draw(st.sampled_from(["train", "dev"]))
        for piece in range(draw(st.integers(0, 5))):
            entries.append(entry(name, piece, generation, split, licence, draw(st.integers(1, 300_000))))
    return entries


def planned(plans: list[ShardPlan]) -> list[Entry]:
    return [e for plan in plans for e in plan.entries]


@given(runs(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_the_plan_is_a_function_of_the_set_of_samples(entries: list[Entry], random: Random, buckets: int) -> None:
    shuffled = random.sample(entries, len(entries))
    assert plan_shards(shuffled, buckets, TARGET) == plan_shards(entries, buckets, TARGET)


@given(runs(), st.integers(1, 5), st.integers(1, 2_000_000))
def test_every_sample_is_in_one_shard_of_its_kind(entries: list[Entry], buckets: int, target: int) -> None:
    plans = plan_shards(entries, buckets, target)
    assert sorted(planned(plans), key=lambda e: e.key) == sorted(entries, key=lambda e: e.key)
    assert len({plan.name for plan in plans}) == len(plans)
    for plan in plans:
        assert plan.entries, "no shard is empty"
        assert SHARD_NAME.fullmatch(plan.name)
        for e in plan.entries:
            assert (e.split, e.licence, e.generation) == (plan.split, plan.licence, plan.generation)
            assert bucket_of_key(e.key, buckets) == bucket_of(e.recording_id, buckets) == plan.bucket
        assert len(plan.entries) == 1 or sum(map(estimated_bytes, plan.entries)) <= target
        assert all((a.unit, a.order, a.start) < (b.unit, b.order, b.start) for a, b in pairwise(plan.entries))


@given(runs(), st.integers(1, 5))
def test_a_later_generation_only_appends(entries: list[Entry], buckets: int) -> None:
    before = {p.name: p for p in plan_shards((e for e in entries if e.generation < 2), buckets, TARGET)}
    after = {p.name: p for p in plan_shards(entries, buckets, TARGET)}
    assert before.items() <= after.items()
    assert all(after[name].generation == 2 for name in after.keys() - before.keys())


@given(runs(), st.integers(1, 5), st.data())
def test_a_revoked_recording_moves_no_boundary(entries: list[Entry], buckets: int, data: st.DataObject) -> None:
    recordings = sorted({e.recording_id for e in entries})
    revoked = data.draw(st.sets(st.sampled_from(recordings))) if recordings else set()
    before = {p.name: p.entries for p in plan_shards(entries, buckets, TARGET)}
    after = {p.name: p.entries for p in plan_shards(entries, buckets, TARGET, revoked=revoked)}
    left = {name: tuple(e for e in members if e.recording_id not in revoked) for name, members in before.items()}
    assert after == {name: members for name, members in left.items() if members}


def test_a_part_is_cut_where_the_estimate_passes_the_target() -> None:
    plans = plan_shards([entry(0, piece) for piece in range(15)], 1, TARGET)
    assert [(plan.name, len(plan.entries)) for plan in plans] == [
        ("train-cc0-1_0-00000-000", 7), ("train-cc0-1_0-00000-001", 7), ("train-cc0-1_0-00000-002", 1),
    ]  # fmt: skip


def test_a_sample_larger_than_the_target_gets_a_shard_of_its_own() -> None:
    assert [len(p.entries) for p in plan_shards([entry(0, 0), entry(0, 1, size=10**7), entry(0, 2)], 1, TARGET)] == [1, 1, 1]


def test_nothing_gives_no_shards() -> None:
    assert plan_shards([], 4, TARGET) == []


def test_a_key_is_used_once() -> None:
    with pytest.raises(ValueError, match="is there twice"):
        plan_shards([entry(0), entry(0)], 4, TARGET)


def test_licences_never_share_a_shard() -> None:
    with pytest.raises(ValueError, match="would share shards"):
        plan_shards([entry(0, licence="cc-by-4.0"), entry(1, licence="CC-BY-4.0")], 4, TARGET)


@given(st.text())
def test_any_licence_makes_a_safe_file_name(licence: str) -> None:
    assert SHARD_NAME.fullmatch(f"train-{slug(licence)}-00000-000")


def test_the_digest_tells_what_bytes_depend_on() -> None:
    (plan,) = plan_shards([entry(0)], 4, TARGET, upstream="a")
    others = [
        *plan_shards([entry(0)], 4, TARGET, upstream="b"),
        *plan_shards([entry(0, size=1)], 4, TARGET, upstream="a"),
        *plan_shards([entry(0), entry(0, 1)], 4, TARGET, upstream="a"),
    ]
    assert plan.digest not in {other.digest for other in others}
    assert pickle.loads(pickle.dumps(plan)).digest == plan.digest


def test_buckets_are_even() -> None:
    counts = [0] * 8
    for name in range(4000):
        counts[bucket_of(digest([str(name)]), 8)] += 1
    assert min(counts) > 420
    assert max(counts) < 580
