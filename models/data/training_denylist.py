"""Deny-lists for training: samples that must not be used although a copy of the shards still holds them.

A deny-list is a run's `tombstones` folder (or a Parquet file of it), or a text file with an id or `sha256:<hex>` on each line,
of a recording, a segment or a FLAC file. Addresses cannot be denied here, since shards do not hold them: revoke those in the
run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

from voxmill.manifests.errors import UserError
from voxmill.manifests.parquet import read_records
from voxmill.manifests.storage import locate
from voxmill.manifests.tombstones import Tombstone, Tombstones
from voxmill.manifests.user_input import text

_ENTRY = re.compile(r"(?:sha256:)?([0-9a-f]{64}|[0-9a-f]{24})(?:-\d{10}-\d{10})?")


IDS = ("recording_id", "segment_id", "audio_sha256")
"""Columns of a sidecar that a deny-list may name."""


class DenyListError(UserError, ValueError):
    """A deny-list that is missing or cannot be read. Training does not start without it."""


class TrainingDenylist:
    """All deny-lists together. False if they are empty.

    Raises DenyListError if a list is missing or has a line that is neither id nor hash.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        stones: list[Tombstone] = []
        self._ids: set[str] = set()
        for source in sources:
            for file in _files(source):
                if file.endswith(".parquet"):
                    stones += read_records(file, Tombstone)
                else:
                    self._ids |= _entries(file)
        self._stones = Tombstones(stones)

    def __bool__(self) -> bool:
        return bool(self._ids) or bool(self._stones)

    def of(self, rows: pa.Table) -> list[bool]:
        """Which rows of a shard's sidecar are denied."""
        return [any(map(self._denies, row.values())) for row in rows.select(IDS).to_pylist()]

    def _denies(self, name: str) -> bool:
        return any(one in self._ids or self._stones.hash(one) for one in (name, name.partition("-")[0]))


def _files(source: str) -> list[str]:
    fs, path = locate(source)
    if fs.isdir(path):
        return [fs.unstrip_protocol(f) for f in sorted(fs.ls(path, detail=False)) if f.endswith(".parquet")]
    if not fs.exists(path):
        raise DenyListError(f"no deny-list at {source}: give a run's `tombstones` folder, or a text file of ids and hashes")
    return [source]


def _entries(file: str) -> set[str]:
    found = set()
    for number, line in enumerate(text(file, "deny-list", "give a text file of ids and hashes", DenyListError).splitlines(), 1):
        entry = line.partition("#")[0].strip().lower()
        if entry:
            match = _ENTRY.fullmatch(entry)
            if match is None:
                raise DenyListError(f"{file}, line {number}: `{entry}` is no id and no sha256; revoke addresses in the run")
            found.add(entry.removeprefix("sha256:") if "-" in entry else match[1])
    return found
