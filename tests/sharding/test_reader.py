from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from samples import read_audio
from voxmill.manifests.storage import locate
from voxmill.sharding.index import NoShards, SampleFinder, read_index, shards_of, write_index
from voxmill.sharding.reader import SampleReader, read_run, read_shard
from voxmill.sharding.sample import Sample
from voxmill.sharding.shard_files import commit_of
from voxmill.sharding.sidecar import ShardError, committed


@pytest.fixture
def copy(once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(once, tmp_path / "shards"))


def flip(path: Path, offset: int) -> None:
    blob = bytearray(path.read_bytes())
    blob[offset] ^= 1
    path.write_bytes(blob)


def test_samples_come_back_as_they_went_in(once: Path, made: list[Sample]) -> None:
    read = {s.key: s for s in read_run(str(once))}
    assert read.keys() == {s.key for s in made}
    for one in made:
        wanted = read_audio(one.recording, one.segment.start, one.segment.num_samples)
        assert np.abs(read[one.key].audio - wanted).max() <= 0.5 / 32768
        assert read[one.key].document["text"] == one.text


def test_the_index_equals_the_sidecars_and_needs_no_other_file(copy: Path) -> None:
    shards = write_index(str(copy))
    assert shards == list(committed(str(copy))) == read_index(str(copy))
    for sidecar in copy.rglob("*.json"):
        sidecar.unlink()
    assert read_index(str(copy)) == shards


def test_random_access_reads_one_bucket(copy: Path, made: list[Sample]) -> None:
    shards, one = write_index(str(copy)), made[7]
    bucket = SampleFinder(str(copy)).find(one.key)[0].bucket
    for shard in shards:
        if shard.bucket != bucket:
            (copy / shard.parquet).unlink()
    sample = SampleReader(str(copy))[one.key]
    assert (sample.key, len(sample.audio)) == (one.key, one.segment.num_samples)


def test_an_unknown_key_is_a_key_error(once: Path) -> None:
    with pytest.raises(KeyError, match="no committed shard"):
        SampleFinder(str(once)).find("0" * 24 + "-0000000000-0000000001")


def test_object_stores_are_read_alike(once: Path, made: list[Sample], tmp_path: Path) -> None:
    root = f"memory://{tmp_path.name}/shards"
    fs, path = locate(root)
    fs.put(str(once), path, recursive=True)
    assert sorted(s.key for s in read_run(root)) == sorted(s.key for s in made)
    assert SampleReader(root)[made[3].key].document["key"] == made[3].key


def test_damage_names_the_file_the_cause_and_the_fix(copy: Path) -> None:
    shard = next(committed(str(copy)))
    flip(copy / shard.tar, 700)
    with pytest.raises(ShardError, match=r"\.tar: damaged: .*\.flac differs from its digest .*; delete the shard's \.json"):
        list(read_shard(str(copy), shard.name))
    error = pickle.loads(pickle.dumps(ShardError("a", "b")))
    assert (error.file, error.cause) == ("a", "b")


def test_a_damaged_sample_or_shard_can_be_stepped_over(copy: Path, made: list[Sample]) -> None:
    first, second, *_ = committed(str(copy))
    flip(copy / first.tar, 700)
    flip(copy / second.parquet, 50)
    told: list[ShardError] = []
    read = list(read_run(str(copy), told.append))
    assert len(read) == len(made) - 1 - second.num_shard_samples
    assert [e.file for e in told] == [str(copy / first.tar), str(copy / second.parquet)]


def test_a_cut_tar_is_said_to_be_cut(copy: Path) -> None:
    shard = next(committed(str(copy)))
    os.truncate(copy / shard.tar, shard.tar_bytes // 2)
    told: list[ShardError] = []
    list(read_shard(str(copy), shard.name, told.append))
    assert all("cut short" in e.cause for e in told)
    (copy / shard.tar).unlink()
    with pytest.raises(ShardError, match="missing, though the shard is committed"):
        list(read_shard(str(copy), shard.name))


def test_a_shard_without_commit_does_not_exist(copy: Path) -> None:
    name = next(committed(str(copy))).name
    (copy / commit_of(name)).unlink()
    assert name not in [s.name for s in committed(str(copy))]
    with pytest.raises(ShardError, match="not committed"):
        list(read_shard(str(copy), name))


def test_a_wrong_place_is_refused_with_what_is_there(copy: Path, tmp_path: Path) -> None:
    """An empty answer would look as if a run had kept nothing."""
    run, other = copy.parent, tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("x")
    write_index(str(copy))
    for root, said in (
        (tmp_path / "none", "none is not there"),
        (other / "notes.txt", "is a file"),
        (other, "holds no shards .it holds .*notes.txt"),
        (run, f"is a run, no folder of shards: give {run}/shards"),
    ):
        with pytest.raises(NoShards, match=said):
            list(read_run(str(root)))
        with pytest.raises(NoShards, match=said):
            SampleReader(str(root))
    with pytest.raises(NoShards, match=r"holds no committed shard of split 'tset'; there is .*train"):
        shards_of(str(copy), "tset")


def test_a_run_that_kept_nothing_holds_no_samples(tmp_path: Path) -> None:
    write_index(str(tmp_path))
    assert list(read_run(str(tmp_path))) == []
    with pytest.raises(KeyError):
        SampleReader(str(tmp_path))["0" * 24 + "-0000000000-0000000001"]
    with pytest.raises(NoShards, match="there is none at all"):
        shards_of(str(tmp_path), "train")
