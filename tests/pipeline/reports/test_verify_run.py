"""The parts of the proof that nothing was lost; `test_line.py` takes things away from a whole run."""

from __future__ import annotations

from pathlib import Path

from voxmill.manifests.storage import commit_bytes
from voxmill.pipeline.reports.verify_run import _check_index
from voxmill.pipeline.state.run import Run
from voxmill.sharding.index import INDEX, write_index
from voxmill.sharding.shard_files import beside, commit_of
from voxmill.sharding.sidecar import ShardSummary, commit_document


def test_the_index_is_part_of_the_proof(tmp_path: Path) -> None:
    run = Run(str(tmp_path))
    shard = ShardSummary(
        "train-cc0-00000-000", "train", "cc0", 0, 1, 0, 0, 1, 1, 16000, 1.0, "a.tar", 1, "x", "a.parquet", 1, "y", "z"
    )
    commit_bytes(beside(run.shards_dir, commit_of(shard.name)), commit_document(shard))
    assert [p.split(":")[0] for p in _check_index(run, packed=True)] == ["missing"]
    write_index(run.shards_dir)
    assert list(_check_index(run, packed=True)) == []
    Path(run.shards_dir, commit_of(shard.name)).unlink()
    assert [p.split(":")[0] for p in _check_index(run, packed=True)] == ["extra"]
    Path(run.shards_dir, INDEX).write_bytes(b"no Parquet")
    assert [p.split(":")[0] for p in _check_index(run, packed=True)] == ["damaged"]
