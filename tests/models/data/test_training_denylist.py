"""What is revoked is not learnt from, though a copy of its shard is still about."""

from __future__ import annotations

from pathlib import Path

import pytest

from samples import read_audio, several
from voxmill.manifests.parquet import records_bytes
from voxmill.manifests.tombstones import Tombstone, mark
from voxmill.models.data.sampler import BucketingSampler
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.training_denylist import DenyListError
from voxmill.sharding.index import write_index
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.writer import pack_shard


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("denied") / "shards"
    samples = several()
    for plan in plan_shards((s.entry for s in samples), 2, 150_000):
        pack_shard(plan, samples, read_audio, str(root))
    write_index(str(root))
    return root


def keys(root: Path, deny: Path) -> tuple[set[str], int]:
    planned = list(BucketingSampler(str(root), SamplerConfig(deny=(str(deny),), shuffle=False)).epoch(0))
    return {sample.key for one in planned for sample in one.samples}, sum(one.skipped.get("denied", 0) for one in planned)


def test_a_tombstone_keeps_its_recording_out(shards: Path, tmp_path: Path) -> None:
    samples = several()
    gone = samples[0].recording.id
    stone = Tombstone("salt", "", (), (mark("salt", "hash", gone),), 1, 0)
    (tmp_path / "tombstones").mkdir()
    (tmp_path / "tombstones" / "a.parquet").write_bytes(records_bytes([stone], Tombstone))
    left, count = keys(shards, tmp_path / "tombstones")
    assert left == {s.key for s in samples if s.recording.id != gone}
    assert count == 4


def test_so_does_a_list_of_ids(shards: Path, tmp_path: Path) -> None:
    samples = several()
    listed = tmp_path / "deny.txt"
    listed.write_text(f"# why\nsha256:{samples[0].recording.id}  # all of it\n{samples[5].key}\n")
    left, count = keys(shards, listed)
    assert left == {s.key for s in samples[4:]} - {samples[5].key}
    assert count == 5


def test_a_list_that_cannot_be_read_stops_training(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(DenyListError, match="no deny-list"):
        BucketingSampler(str(shards), SamplerConfig(deny=(str(tmp_path / "absent"),)))
    (tmp_path / "deny.txt").write_text("https://example.org/a.mp3\n")
    with pytest.raises(DenyListError, match="revoke addresses"):
        BucketingSampler(str(shards), SamplerConfig(deny=(str(tmp_path / "deny.txt"),)))
