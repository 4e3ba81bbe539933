"""The index: one row per committed shard. Opening a run of 100,000 shards is then reading one file.

It is built from the JSON sidecars alone and can always be built again. There is no list of samples: the key of a sample
tells its bucket, the index tells the few shards of that bucket, and their Parquet sidecars tell the byte offsets.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

from voxmill.manifests.commit import commit_bytes, remove
from voxmill.manifests.parquet import read_records, records_bytes
from voxmill.sharding.files import METADATA, beside
from voxmill.sharding.layout import bucket_of_key
from voxmill.sharding.sidecar import Member, ShardError, ShardSummary, committed, read_members

INDEX = f"{METADATA}/index/shards.parquet"
"""In a folder of its own, so that `*.parquet` over the sidecars does not meet it."""
OLD_INDEX = "index/shards.parquet"
"""Where it lay before packer 3."""


def write_index(root: str) -> list[ShardSummary]:
    """Writes the index of what is committed now, and returns it."""
    shards = list(committed(root))
    commit_bytes(beside(root, INDEX), records_bytes(shards, ShardSummary), replace=True)
    remove(beside(root, OLD_INDEX))
    return shards


def read_index(root: str) -> list[ShardSummary]:
    """The shards as the index has them; from the sidecars where there is no index."""
    for index in (INDEX, OLD_INDEX):
        try:
            return read_records(beside(root, index), ShardSummary)
        except FileNotFoundError:
            continue
    return list(committed(root))


class SampleFinder:
    """From a key to its shard and row, reading only the sidecars of one bucket; the last few stay in memory."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._by_bucket: dict[int, list[ShardSummary]] = defaultdict(list)
        shards = read_index(root)
        for shard in shards:
            self._by_bucket[shard.bucket].append(shard)
        if len(sizes := {shard.buckets for shard in shards}) > 1:
            raise ValueError(f"{root} mixes shards of several bucket counts {sorted(sizes)}: they belong to different runs")
        self._buckets = shards[0].buckets if shards else 1
        self._rows = lru_cache(maxsize=64)(self._read_rows)

    def find(self, key: str) -> tuple[ShardSummary, Member]:
        """Raises KeyError where no committed shard holds the sample, ShardError where only a damaged sidecar might."""
        damage: ShardError | None = None
        for shard in self._by_bucket.get(bucket_of_key(key, self._buckets), ()):
            try:
                row = self._rows(shard).get(key)
            except ShardError as error:
                damage = error
                continue
            if row:
                return shard, row
        raise damage or KeyError(f"no committed shard of {self.root} holds {key}")

    def _read_rows(self, shard: ShardSummary) -> dict[str, Member]:
        return {row.key: row for row in read_members(self.root, shard)}
