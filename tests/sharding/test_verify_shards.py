from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from voxmill.sharding.layout import ShardPlan, bucket_of_key
from voxmill.sharding.sample import Sample
from voxmill.sharding.shard_files import METADATA, commit_of
from voxmill.sharding.sidecar import committed
from voxmill.sharding.verify_shards import ExpectedSample, verify_shards


@pytest.fixture
def copy(once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(once, tmp_path / "shards"))


@pytest.fixture
def ledger(made: list[Sample]) -> dict[str, ExpectedSample]:
    return {
        s.key: ExpectedSample(s.key, s.recording.id, s.segment.start, s.segment.num_samples, "train", "cc-by-4.0", "high")
        for s in made
    }


def in_buckets(root: Path, ledger: dict[str, ExpectedSample] | None) -> Iterator[tuple[int, list[ExpectedSample]]] | None:
    """What the ledger expects, bucket after bucket."""
    if ledger is None:
        return None
    buckets = next(committed(str(root))).buckets
    piles: dict[int, list[ExpectedSample]] = {}
    for one in ledger.values():
        piles.setdefault(bucket_of_key(one.key, buckets), []).append(one)
    return iter(sorted(piles.items()))


def found(root: Path, ledger: dict[str, ExpectedSample] | None = None) -> set[tuple[str, str]]:
    return {(p.what, p.where.removeprefix(f"{root}/")) for p in verify_shards(str(root), in_buckets(root, ledger)).problems}


def test_a_whole_pack_has_no_problems(once: Path, made: list[Sample], ledger: dict[str, ExpectedSample]) -> None:
    verdict = verify_shards(str(once), in_buckets(once, ledger))
    assert verdict.ok, verdict.problems
    assert (verdict.samples, verdict.members) == (len(made), 2 * len(made))
    assert verdict.seconds == pytest.approx(sum(s.segment.seconds for s in made))
    assert verdict.tar_bytes == sum(p.stat().st_size for p in once.glob("*.tar"))


def test_the_ledger_and_the_shards_must_agree(copy: Path, made: list[Sample], ledger: dict[str, ExpectedSample]) -> None:
    first, second, third = (s.key for s in made[:3])
    stranger = "0" * 24 + "-0000000000-0000000001"
    ledger[stranger] = replace(ledger.pop(first), key=stranger)
    ledger[second] = replace(ledger[second], tier="weak")
    ledger[third] = replace(ledger[third], num_samples=1)
    assert found(copy, ledger) == {
        ("missing", "0" * 24 + "-0000000000-0000000001"), ("extra", first), ("differs", second), ("differs", third),
    }  # fmt: skip


def test_a_shard_without_commit_is_named_and_its_samples_are_missing(copy: Path, ledger: dict[str, ExpectedSample]) -> None:
    shard = next(committed(str(copy)))
    (copy / commit_of(shard.name)).unlink()
    problems = verify_shards(str(copy), in_buckets(copy, ledger)).problems
    assert [p.what for p in problems].count("missing") == shard.num_shard_samples
    assert ("uncommitted", f"{copy}/{shard.name}") in {(p.what, p.where) for p in problems}


@pytest.mark.parametrize("offset", [0, 100, 600, -1])
def test_any_flipped_bit_of_a_tar_is_found(copy: Path, offset: int) -> None:
    shard = next(committed(str(copy)))
    blob = bytearray((copy / shard.tar).read_bytes())
    blob[offset] ^= 4
    (copy / shard.tar).write_bytes(blob)
    assert ("damaged", shard.tar) in found(copy)


def test_lost_and_cut_files_are_found(copy: Path) -> None:
    first, second, third, *_ = committed(str(copy))
    (copy / first.tar).unlink()
    os.truncate(copy / second.tar, second.tar_bytes // 2)
    (copy / third.parquet).unlink()
    assert found(copy) >= {("missing", first.tar), ("damaged", second.tar), ("damaged", third.parquet)}


def test_members_too_many_too_few_and_twice_are_named(copy: Path) -> None:
    shard = next(committed(str(copy)))
    with tarfile.open(copy / shard.tar) as tar:
        members = [(info, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]
    names = [info.name for info, _ in members]
    with tarfile.open(copy / shard.tar, "w") as tar:
        for info, blob in [*members[1:], members[1], (tarfile.TarInfo("stray.txt"), b"")]:
            tar.addfile(info, io.BytesIO(blob))
    details = [p.detail for p in verify_shards(str(copy)).problems]
    assert f"member {names[0]} of the sidecar is not in the tar" in details
    assert f"member {names[1]} is there 2 times" in details
    assert "member stray.txt has no row in the sidecar" in details


def test_a_commit_that_counts_wrongly_is_found(copy: Path) -> None:
    path = copy / commit_of(next(committed(str(copy))).name)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_shard_samples": 99, "bucket": 1234}))
    assert {("differs", str(path.relative_to(copy)))} < found(copy), "and every sample lies in the wrong bucket"


def test_a_sample_in_two_shards_is_found(copy: Path, made: list[Sample], pack: Callable[..., list[ShardPlan]]) -> None:
    """As a change of bucket count without pruning would leave it."""
    plan = pack(made, copy)[0]
    for suffix in ("tar", "parquet", "json"):
        folder = copy if suffix == "tar" else copy / METADATA
        shutil.copy(folder / f"{plan.name}.{suffix}", folder / f"train-cc-by-4_0-00000-999.{suffix}")
    assert {p for p in found(copy) if p[0] == "twice"} == {("twice", e.key) for e in plan.entries}
