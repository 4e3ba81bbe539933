"""The two files that go with every tar: `<name>.parquet`, one row per sample, and `<name>.json`, the commit. See `shard_files.py`.

A tar without its JSON does not exist: the JSON is written last and holds the digests of the other two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from voxmill.manifests.errors import UserError
from voxmill.manifests.parquet import SMALL, table_bytes
from voxmill.manifests.records import SAMPLE_RATE, Labels
from voxmill.manifests.schema import (
    MIGRATIONS,
    SCHEMA_VERSION,
    SchemaError,
    check_schema,
    check_version,
    from_plain,
    from_table,
    migrate,
    plain,
    schema_of,
    to_table,
    with_defaults,
)
from voxmill.manifests.storage import locate
from voxmill.sharding.sample import PACKER
from voxmill.sharding.shard_files import METADATA, beside, commits_of, shard_files

PACK_AGAIN = f"delete the shard's .json in {METADATA} and run the same `voxmill run` again: it rebuilds this shard and leaves the others alone"


@dataclass(frozen=True, slots=True)
class Place:
    """A file in a tar."""

    offset: int
    """Of its first byte, from the start of the tar."""
    size: int
    """Bytes."""
    sha256: str
    """Of its bytes."""


@dataclass(frozen=True, slots=True)
class Member:
    """One row of the Parquet sidecar: a sample, where it lies in the tar, and what one wants to filter by."""

    key: str
    """Name of the sample in the tar: the id of its segment."""
    segment_id: str
    """The segment."""
    recording_id: str
    """The recording."""
    start: int
    """First sample in the recording (16 kHz)."""
    num_samples: int
    """Length in samples."""
    split: str
    """`train`, `dev` or `test`."""
    licence: str
    """Licence of the recording."""
    tier: str
    """`high`, `weak`, `unlabelled` or `event`."""
    weight: float
    """Loss weight suggested to a trainer."""
    text: str | None
    """The label; null for the tier `unlabelled`."""
    language: str | None
    """Language of the text; null where not known."""
    agreement: float | None
    """Agreement of the engines; null where there was one."""
    flac_offset: int
    """Of the first byte of the FLAC file, from the start of the tar."""
    flac_size: int
    """Bytes of the FLAC file."""
    json_offset: int
    """Of the first byte of the JSON, from the start of the tar."""
    json_size: int
    """Bytes of the JSON."""
    audio_sha256: str
    """Of the FLAC bytes."""
    json_sha256: str
    """Of the JSON bytes."""
    num_pictures: int | None = None
    """Video frames; null where nobody looked, or where there is no video."""
    pictures: tuple[Place, ...] = ()
    """Where they lie, in order."""
    labels: Labels | None = None
    """What is labelled beside the words, as in the JSON; null where no labeller was asked."""


MIGRATIONS["Member", 1] = with_defaults(Member)


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """The commit of one shard, and its line in the index."""

    name: str
    split: str
    licence: str
    bucket: int
    buckets: int
    part: int
    generation: int
    num_shard_samples: int
    num_recordings: int
    num_samples: int
    """Audio samples at 16 kHz."""
    seconds: float
    tar: str
    """Below the folder of the shards, like `parquet`."""
    tar_bytes: int
    tar_sha256: str
    parquet: str
    parquet_bytes: int
    parquet_sha256: str
    input_digest: str
    packer: str = PACKER
    schema_version: int = SCHEMA_VERSION
    sampling_rate: int = SAMPLE_RATE


class ShardError(UserError):
    """A shard that cannot be read: which file, why, and what to do."""

    def __init__(self, file: str, cause: str, fix: str = PACK_AGAIN) -> None:
        super().__init__(f"{file}: {cause}; {fix}")
        self.file, self.cause, self.fix = file, cause, fix

    def __reduce__(self) -> tuple[type[ShardError], tuple[str, str, str]]:
        return type(self), (self.file, self.cause, self.fix)


def commit_document(summary: ShardSummary) -> bytes:
    """The commit as JSON: keys sorted, one on a line."""
    return (json.dumps(plain(summary), sort_keys=True, indent=1) + "\n").encode()


def members_document(members: Sequence[Member]) -> bytes:
    """The Parquet sidecar."""
    return table_bytes(to_table(members, Member))


def read_commit(root: str, name: str) -> ShardSummary | None:
    """The commit of a shard, None where it was not committed. Raises ShardError, SchemaError."""
    for file in (beside(root, commit) for commit in commits_of(name)):
        fs, path = locate(file)
        try:
            return parse_commit(fs.cat_file(path), file)
        except FileNotFoundError:
            continue
    return None


def parse_commit(blob: bytes, file: str) -> ShardSummary:
    """The inverse of `commit_document`. Raises ShardError, or SchemaError where a newer voxmill wrote it. `file` is for the message."""
    try:
        row: dict[str, Any] = json.loads(blob)
        check_version(row["schema_version"], file)
        return from_plain(row, ShardSummary)
    except (ValueError, KeyError, TypeError) as error:
        raise ShardError(file, f"not the commit of a shard ({error!r})") from error


def read_members(root: str, shard: ShardSummary) -> list[Member]:
    """The rows of a committed shard, checked against the commit. Raises ShardError."""
    return from_table(read_members_table(root, shard), Member)


def read_members_table(root: str, shard: ShardSummary, columns: Collection[str] = ()) -> pa.Table:
    """Like `read_members`, as a table of `Member` records. `columns`: the ones that are wanted, () for all."""
    file = beside(root, shard.parquet)
    fs, path = locate(file)
    try:
        blob: bytes = fs.cat_file(path)
    except FileNotFoundError:
        raise ShardError(file, "missing, though the shard is committed") from None
    if hashlib.sha256(blob).hexdigest() != shard.parquet_sha256:
        raise ShardError(file, f"damaged: {len(blob)} bytes that differ from the {shard.parquet_bytes} committed ones")
    try:
        source = pq.ParquetFile(pa.BufferReader(blob))
        of_now = source.schema_arrow.equals(schema_of(Member), check_metadata=True)  # others are brought to it as a whole
        wanted = [name for name in schema_of(Member).names if not columns or name in columns]
        table = source.read(wanted if of_now else None, use_threads=len(blob) > SMALL)
        if not of_now:
            table = migrate(table, Member, file)
            check_schema(table.schema, Member, file)
    except (pa.ArrowInvalid, SchemaError) as error:
        raise ShardError(file, str(error)) from error
    return table.select(wanted)


def committed(root: str) -> Iterator[ShardSummary]:
    """Every committed shard in a folder or bucket prefix, by name. Only the JSON sidecars are asked."""
    for name in sorted({shard for shard, suffix, _ in shard_files(root) if suffix == "json"}):
        if summary := read_commit(root, name):
            yield summary
