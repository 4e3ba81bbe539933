"""The index: one row per committed shard. Opening a run of 100,000 shards is then reading one file.

It is built from the JSON sidecars alone and can always be built again. There is no list of samples: the key of a sample
tells its bucket, the index tells the few shards of that bucket, and their Parquet sidecars tell the byte offsets.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

from voxmill.manifests.errors import UserError
from voxmill.manifests.parquet import read_records, records_bytes
from voxmill.manifests.storage import commit_bytes, locate, read_bytes, remove
from voxmill.sharding.layout import bucket_of_key
from voxmill.sharding.shard_files import CARDS, METADATA, beside, commit_of
from voxmill.sharding.sidecar import Member, ShardError, ShardSummary, committed, read_members

INDEX = f"{METADATA}/index/shards.parquet"
"""In a folder of its own, so that `*.parquet` over the sidecars does not meet it."""
OLD_INDEX = "index/shards.parquet"
"""Where it lay before packer 3."""


class NoShards(UserError, ValueError):
    """A folder that holds no shards, or none of those asked for; the message says what is there."""

    def __init__(self, root: str, cause: str = "") -> None:
        super().__init__(f"{root} {cause}" if cause else f"{root} {_instead(root)}")
        self.root, self.cause = root, cause

    def __reduce__(self) -> tuple[type[NoShards], tuple[str, str]]:
        return type(self), (self.root, self.cause)


def write_index(root: str) -> list[ShardSummary]:
    """Writes the index of what is committed now, and returns it. Cards of other shards than these go first: they would not be true."""
    shards = list(committed(root))
    blob = records_bytes(shards, ShardSummary)
    if not _is_there(beside(root, INDEX), blob):
        for card in CARDS:
            remove(beside(root, card))
    commit_bytes(beside(root, INDEX), blob, replace=True)
    remove(beside(root, OLD_INDEX))
    return shards


def _is_there(uri: str, blob: bytes) -> bool:
    try:
        return read_bytes(uri) == blob
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_intact(root: str) -> bool:
    """Whether, beside cards, exactly the files of the index are there, with its sizes: told by two listings, without reading a shard."""
    try:
        shards = read_records(beside(root, INDEX), ShardSummary)
    except (FileNotFoundError, NotADirectoryError):
        return False
    wanted = {file: size for one in shards for file, size in ((one.tar, one.tar_bytes), (one.parquet, one.parquet_bytes))}
    commits = {commit_of(one.name) for one in shards}
    found = {**_sizes(root, ""), **_sizes(root, f"{METADATA}/")}
    return {file: found.get(file) for file in wanted} == wanted and found.keys() - CARDS == wanted.keys() | commits


def _sizes(root: str, folder: str) -> dict[str, int]:
    """Sizes of the files in one folder of shards, by their path below it."""
    fs, path = locate(beside(root, folder).rstrip("/"))
    try:
        entries = fs.ls(path, detail=True)
    except FileNotFoundError:
        return {}
    return {f"{folder}{e['name'].rsplit('/', 1)[-1]}": e["size"] for e in entries if e["type"] == "file"}


def read_index(root: str) -> list[ShardSummary]:
    """The shards as the index has them; from the sidecars where there is no index. Raises NoShards where there is neither."""
    for index in (INDEX, OLD_INDEX):
        try:
            return read_records(beside(root, index), ShardSummary)
        except (FileNotFoundError, NotADirectoryError):
            continue
    found = list(committed(root))
    if not found:
        raise NoShards(root)
    return found


def shards_of(root: str, split: str) -> list[ShardSummary]:
    """Those of one split. Raises NoShards, naming the splits there are."""
    shards = read_index(root)
    mine = [shard for shard in shards if shard.split == split]
    if not mine:
        there = ", ".join(sorted({shard.split for shard in shards})) or "none at all: its run kept nothing"
        raise NoShards(root, f"holds no committed shard of split {split!r}; there is {there}")
    return mine


def _instead(root: str) -> str:
    fs, path = locate(root)
    fix = "give the folder `shards` of a finished run"
    if not (fs.exists(path) or fs.isdir(path)):
        return f"is not there: {fix}"
    if not fs.isdir(path):
        return f"is a file, no folder of shards: {fix}"
    if any(fs.exists(f"{path}/shards/{index}") for index in (INDEX, OLD_INDEX)):
        return f"is a run, no folder of shards: give {beside(root, 'shards')}"
    names = sorted(str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in fs.ls(path, detail=False))
    holds = ", ".join(names[:5]) + (", …" if len(names) > 5 else "") if names else "nothing"
    return f"holds no shards (it holds {holds}): {fix}"


class SampleFinder:
    """From a key to its shard and row, reading only the sidecars of one bucket; the last few stay in memory."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._by_bucket: dict[int, list[ShardSummary]] = defaultdict(list)
        shards = read_index(root)
        for shard in shards:
            self._by_bucket[shard.bucket].append(shard)
        if len(sizes := {shard.buckets for shard in shards}) > 1:
            raise NoShards(
                root,
                f"mixes shards of several bucket counts {sorted(sizes)}: they belong to different runs; give the shards of one",
            )
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
