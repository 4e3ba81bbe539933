"""Shards back to samples, each checked against the digests in the sidecar before it is decoded.

`webdataset` reads the tars as well; this reader adds random access and says exactly what is damaged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from voxmill.manifests.storage import locate
from voxmill.sharding import flac
from voxmill.sharding.index import SampleFinder, read_index
from voxmill.sharding.sample import read_document
from voxmill.sharding.shard_files import beside, commit_of
from voxmill.sharding.sidecar import Member, ShardError, ShardSummary, read_commit, read_members

OnDamage = Callable[[ShardError], None]


@dataclass(frozen=True, slots=True, eq=False)
class StoredSample:
    """A sample read from a shard."""

    key: str
    audio: flac.Audio
    """16 kHz mono, shape (num_samples,)."""
    document: dict[str, Any]
    """Everything that is known of it; see `sample.document`."""
    pictures: tuple[bytes, ...] = ()
    """Video frames as JPEGs, in order of time."""


def read_run(root: str, on_damage: OnDamage | None = None) -> Iterator[StoredSample]:
    """Every sample below a folder or prefix of shards, in the order of the index.

    Damage raises ShardError; with `on_damage` it is reported there and the sample, or the shard, is skipped.
    """
    for shard in read_index(root):
        yield from _samples(root, shard, on_damage)


def read_shard(root: str, name: str, on_damage: OnDamage | None = None) -> Iterator[StoredSample]:
    """The samples of one shard, in the order of its tar. Raises ShardError where it is not committed, or as `read_run`."""
    shard = read_commit(root, name)
    if shard is None:
        raise ShardError(beside(root, commit_of(name)), "missing: the shard is not committed", "run `voxmill run` to its end")
    yield from _samples(root, shard, on_damage)


class SampleReader:
    """Random access by key: two sidecars and two byte ranges are read, never a whole tar."""

    def __init__(self, root: str, *, pictures: bool = True) -> None:
        """`root` is a folder or prefix of shards; with `pictures=False` video frames are not read. Raises NoShards."""
        self._finder, self._pictures = SampleFinder(root), pictures

    def __getitem__(self, key: str) -> StoredSample:
        """Raises KeyError, ShardError."""
        shard, row = self._finder.find(key)
        file = beside(self._finder.root, shard.tar)
        fs, path = locate(file)
        try:
            flac_bytes = fs.cat_file(path, start=row.flac_offset, end=row.flac_offset + row.flac_size)
            json_bytes = fs.cat_file(path, start=row.json_offset, end=row.json_offset + row.json_size)
            wanted = row.pictures if self._pictures else ()
            jpegs = [fs.cat_file(path, start=place.offset, end=place.offset + place.size) for place in wanted]
        except FileNotFoundError:
            raise ShardError(file, "missing, though the shard is committed") from None
        _check(file, row, flac_bytes, json_bytes, jpegs)
        return StoredSample(row.key, flac.decode(flac_bytes), read_document(json_bytes), tuple(jpegs))


def raw_samples(
    root: str, shard: ShardSummary, choose: Callable[[list[Member]], list[Member]] | None = None
) -> Iterator[tuple[Member, bytes, bytes]]:
    """(row, FLAC bytes, JSON bytes) of the samples of a shard, checked and not decoded. Raises ShardError.

    `choose` is given all rows and returns those that are read; without it, all are.
    """
    for row, flac_bytes, json_bytes, _ in _raw(root, shard, None, pictures=False, choose=choose):
        yield row, flac_bytes, json_bytes


def _raw(
    root: str,
    shard: ShardSummary,
    on_damage: OnDamage | None,
    *,
    pictures: bool,
    choose: Callable[[list[Member]], list[Member]] | None = None,
) -> Iterator[tuple[Member, bytes, bytes, list[bytes]]]:
    file = beside(root, shard.tar)
    try:
        rows = read_members(root, shard)
        fs, path = locate(file)
        try:
            source = fs.open(path, "rb")
        except FileNotFoundError:
            raise ShardError(file, "missing, though the shard is committed") from None
    except ShardError as error:
        _tell(error, on_damage)
        return
    with source:
        for row in choose(rows) if choose else rows:
            flac_bytes = _span(source, row.flac_offset, row.flac_size)
            json_bytes = _span(source, row.json_offset, row.json_size)
            jpegs = [_span(source, place.offset, place.size) for place in row.pictures if pictures]
            try:
                _check(file, row, flac_bytes, json_bytes, jpegs)
            except ShardError as error:
                _tell(error, on_damage)
            else:
                yield row, flac_bytes, json_bytes, jpegs


def _samples(root: str, shard: ShardSummary, on_damage: OnDamage | None) -> Iterator[StoredSample]:
    for row, flac_bytes, json_bytes, jpegs in _raw(root, shard, on_damage, pictures=True):
        yield StoredSample(row.key, flac.decode(flac_bytes), read_document(json_bytes), tuple(jpegs))


def _span(source: Any, offset: int, size: int) -> bytes:
    source.seek(offset)
    blob: bytes = source.read(size)
    return blob


def _check(file: str, row: Member, flac_bytes: bytes, json_bytes: bytes, jpegs: Sequence[bytes]) -> None:
    """`jpegs` are the pictures that were read: all of them, or none."""
    pictures = [
        (blob, place.size, place.sha256, f"picture {i} of {row.key}")
        for i, (blob, place) in enumerate(zip(jpegs, row.pictures, strict=False))
    ]
    for blob, size, sha256, name in (
        (flac_bytes, row.flac_size, row.audio_sha256, f"{row.key}.flac"),
        (json_bytes, row.json_size, row.json_sha256, f"{row.key}.json"),
        *pictures,
    ):
        if len(blob) != size:
            raise ShardError(file, f"cut short: {name} has {len(blob)} of {size} bytes")
        if hashlib.sha256(blob).hexdigest() != sha256:
            raise ShardError(file, f"damaged: {name} differs from its digest in the sidecar")


def _tell(error: ShardError, on_damage: OnDamage | None) -> None:
    if on_damage is None:
        raise error
    on_damage(error)
