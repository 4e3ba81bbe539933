"""Where a recording lies among the shards, and what a shard is known by: as they were, for ever."""

from __future__ import annotations

import pytest

from voxmill.manifests.ids import segment_id
from voxmill.sharding import layout
from voxmill.sharding.layout import ShardPlan, bucket_of, bucket_of_key, estimated_bytes, plan_shards, slug
from voxmill.sharding.sample import Entry

IDS = tuple(digits * 4 for digits in ("0123456789abcdef", "fedcba9876543210", "00ff00ff00ff00ff", "5a5a5a5a5a5a5a5a"))


def test_golden_buckets() -> None:
    assert [bucket_of(one, 64) for one in IDS] == [51, 61, 4, 13]
    assert [bucket_of(one, 100_000) for one in IDS] == [60659, 36509, 93668, 64589]
    assert [bucket_of_key(segment_id(one, 0, 16_000), 64) for one in IDS] == [51, 61, 4, 13]
    assert bucket_of_key("a-b-0000000000-0000016000", 100_000) == bucket_of("a-b", 100_000) == 51701


def test_golden_names() -> None:
    assert [slug(licence) for licence in ("CC-BY-4.0", "cc0-1.0", "public domain", "")] == [
        "cc-by-4_0",
        "cc0-1_0",
        "public_domain",
        "_",
    ]
    assert ShardPlan("train", "CC-BY-4.0", 7, 3, 1, 64, ()).name == "train-cc-by-4_0-00007-003"


def test_golden_plan_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "PACKER", "3")
    monkeypatch.setattr(layout, "SCHEMA_VERSION", 7)
    entries = tuple(Entry(segment_id(one, 5, 9), one, 5, 4, "train", "cc0-1.0", 1, 2, 3) for one in IDS)
    plan = ShardPlan("train", "cc0-1.0", 7, 3, 1, 64, entries, "upstream")
    assert plan.digest == "18340c493c117f1a0f2258dda856e2c63ddd98c01a2fb1f67ae88f57b60b0c4d"
    assert (
        ShardPlan("dev", "unknown", 0, 0, 0, 1, ()).digest == "f0697e1687908df4c00c68de056fb00632704d9e89117a9ace568b03a93b48e1"
    )


def test_golden_parts() -> None:
    """Boundaries lie where the estimated sizes put them: another estimate would move every sample."""
    assert estimated_bytes(Entry("k", IDS[0], 0, 60_000, "train", "cc0-1.0", 0, 0, 0)) == 64096
    entries = [
        Entry(segment_id(IDS[0], start, start + 60_000), IDS[0], start, 60_000, "train", "cc0-1.0", 0, 0, generation)
        for generation in (0, 1)
        for start in range(generation * 600_000, generation * 600_000 + 600_000, 60_000)
    ]
    assert [(plan.name, len(plan.entries)) for plan in plan_shards(entries, 64, 200_000)] == [
        ("train-cc0-1_0-00051-000", 3),
        ("train-cc0-1_0-00051-001", 3),
        ("train-cc0-1_0-00051-002", 3),
        ("train-cc0-1_0-00051-003", 1),
        ("train-cc0-1_0-00051-004", 3),
        ("train-cc0-1_0-00051-005", 3),
        ("train-cc0-1_0-00051-006", 3),
        ("train-cc0-1_0-00051-007", 1),
    ]
