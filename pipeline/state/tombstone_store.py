"""The tombstones of a run, where they lie: `RUN/tombstones/<hash of its bytes>.parquet`, appended and never changed."""

from __future__ import annotations

import hashlib

from voxmill.manifests.parquet import read_records, records_bytes
from voxmill.manifests.storage import commit_bytes
from voxmill.manifests.tombstones import Tombstone
from voxmill.pipeline.state.run_dir import RunDir, names_in

FOLDER = "tombstones"


def stones_of(run: RunDir) -> list[Tombstone]:
    """By name."""
    names = sorted(n for n in names_in(run.uri(FOLDER)) if n.endswith(".parquet"))
    return [stone for name in names for stone in read_records(run.uri(FOLDER, name), Tombstone)]


def name_of(stone: Tombstone) -> str:
    """A tombstone's name: the beginning of the hash of its bytes."""
    return hashlib.sha256(records_bytes([stone], Tombstone)).hexdigest()[:20]


def commit_stone(run: RunDir, stone: Tombstone) -> None:
    """Writes a tombstone; one that is there already stays as it is."""
    commit_bytes(run.uri(FOLDER, f"{name_of(stone)}.parquet"), records_bytes([stone], Tombstone))
