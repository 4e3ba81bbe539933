"""Shards of packer 2: sidecars beside the tars, nested JSON. They are read, verified, packed anew and removed like others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from samples import read_audio, several
from voxmill.manifests.storage import locate
from voxmill.sharding.index import INDEX, OLD_INDEX, SampleFinder, read_index, write_index
from voxmill.sharding.layout import ShardPlan, plan_shards
from voxmill.sharding.reader import SampleReader, read_run
from voxmill.sharding.sample import Sample, document
from voxmill.sharding.shard_files import METADATA, commit_of, remove_shard, sidecar_of
from voxmill.sharding.sidecar import ShardSummary, commit_document, committed, read_commit
from voxmill.sharding.verify_shards import verify_shards
from voxmill.sharding.writer import pack_shard, prune


def nested(sample: Sample) -> bytes:
    return json.dumps(document(sample) | {"packer": "2"}, sort_keys=True).encode()


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Sample], list[ShardPlan]]:
    """A pack as packer 2 left it."""
    root, samples = tmp_path / "shards", several()
    plans = plan_shards((s.entry for s in samples), 2, 150_000)
    with monkeypatch.context() as patch:
        patch.setattr("voxmill.sharding.writer.document_bytes", nested)
        for plan in plans:
            made = pack_shard(plan, samples, read_audio, str(root)).summary
            (root / sidecar_of(plan.name)).rename(root / f"{plan.name}.parquet")
            (root / commit_of(plan.name)).unlink()
            summary = replace(made, parquet=f"{plan.name}.parquet", packer="2", input_digest="of packer 2")
            (root / f"{plan.name}.json").write_bytes(commit_document(summary))
    write_index(str(root))
    (root / OLD_INDEX).parent.mkdir()
    (root / INDEX).rename(root / OLD_INDEX)
    (root / INDEX).parent.rmdir()
    (root / METADATA).rmdir()
    return root, samples, plans


def names(root: Path) -> set[str]:
    return {path.name for path in root.rglob("*") if path.is_file()}


def test_they_are_read_and_verified(older: tuple[Path, list[Sample], list[ShardPlan]]) -> None:
    root, samples, plans = older
    assert verify_shards(str(root)).problems == []
    assert [shard.name for shard in read_index(str(root))] == [plan.name for plan in plans]
    documents = {one.key: one.document for one in read_run(str(root))}
    assert documents == {one.key: document(one) | {"packer": "2"} for one in samples}
    assert SampleReader(str(root))[samples[3].key].document == documents[samples[3].key]


def test_a_run_packs_them_anew_and_nothing_of_the_old_is_left(older: tuple[Path, list[Sample], list[ShardPlan]]) -> None:
    root, samples, plans = older
    assert [pack_shard(plan, samples, read_audio, str(root)).fresh for plan in plans] == [True] * len(plans)
    assert prune(str(root), plans) == [f"{plan.name}.parquet" for plan in plans], "the old commits went first, when packing"
    write_index(str(root))
    assert [path.name for path in root.iterdir() if path.suffix != ".tar" and path.is_file()] == []
    assert not (root / OLD_INDEX).exists()
    assert verify_shards(str(root)).problems == []


def test_half_way_each_shard_is_read_where_it_is(older: tuple[Path, list[Sample], list[ShardPlan]]) -> None:
    root, samples, plans = older
    pack_shard(plans[0], samples, read_audio, str(root))
    shards = list(committed(str(root)))
    assert [shard.packer for shard in shards] == ["3"] + ["2"] * (len(plans) - 1)
    write_index(str(root))
    assert [SampleFinder(str(root)).find(one.key)[1].key for one in samples] == [one.key for one in samples]
    assert verify_shards(str(root)).problems == []
    assert prune(str(root), plans) == [f"{plans[0].name}.parquet"], "the others still need theirs"


def test_they_are_taken_away_whole_with_their_commit_first(older: tuple[Path, list[Sample], list[ShardPlan]]) -> None:
    root, _, plans = older
    name = plans[0].name
    assert remove_shard(str(root), name) == [f"{name}.json", f"{name}.tar", f"{name}.parquet"]
    assert read_commit(str(root), name) is None
    assert prune(str(root), plans[2:]) == [f"{plans[1].name}.{suffix}" for suffix in ("json", "tar", "parquet")]
    assert not [file for file in names(root) if file.startswith((name, plans[1].name))]


def test_a_store_holds_them_as_well(older: tuple[Path, list[Sample], list[ShardPlan]], tmp_path: Path) -> None:
    root, samples, _ = older
    uri = f"memory://{tmp_path.name}-older/shards"
    fs, path = locate(uri)
    fs.put(str(root), path, recursive=True)
    assert sorted(one.key for one in read_run(uri)) == sorted(one.key for one in samples)
    assert all(isinstance(shard, ShardSummary) for shard in committed(uri))
