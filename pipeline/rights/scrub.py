"""Takes what tombstones refuse out of a run's ledger and folders. Done twice it does nothing the second time.

Every table of the ledger is a fragment of known shape: items and recordings keep a line under a pseudonym, a unit keeps its
part, the segments of a revoked part become one rejected tile, and every other row about it goes. That is what the stages
themselves make of a revoked recording, so nothing has to be done again, and what is done again gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from voxmill.manifests.duplicate_records import Duplicate
from voxmill.manifests.parquet import records_bytes, table_bytes
from voxmill.manifests.records import Item, Recording, Segment, Unit
from voxmill.manifests.schema import from_table, migrate
from voxmill.manifests.storage import commit_bytes, locate, remove, sweep
from voxmill.manifests.tombstones import Tombstones, pseudonym, revoked_tile, scrubbed_item, scrubbed_recording
from voxmill.pipeline.state.run_dir import Run, read_bytes
from voxmill.sharding.layout import bucket_of

KEYS = ("segment_id", "recording_id", "key")
"""Columns that say what a row is about."""


class Scrub:
    """`Scrub(run, stones, salt, buckets)()` returns how many files it changed or removed."""

    def __init__(self, run: Run, stones: Tombstones, salt: str, buckets: int) -> None:
        self._run, self._stones, self._salt, self._buckets = run, stones, salt, buckets
        self._typed: dict[str, tuple[type, Callable[[Sequence[Any]], list[Any]]]] = {
            "Item": (Item, self._items),
            "Recording": (Recording, self._recordings),
            "Unit": (Unit, self._units),
            "Segment": (Segment, self._segments),
            "Duplicate": (Duplicate, self._duplicates),
        }

    def __call__(self) -> int:
        changed = self._leftovers()
        for path in files_of(self._run, "ledger"):
            if self._stones.hash(path):
                changed += remove(self._run.uri(path))
            elif path.endswith(".parquet"):
                changed += self._rewrite(path)
        return changed + self._private() + self._named()

    def pseudonym(self, recording_id: str) -> str:
        """Falls into the recording's bucket, so that its place among the shards stays what it was."""
        bucket, attempt = bucket_of(recording_id, self._buckets), 0
        while bucket_of(found := pseudonym(self._salt, recording_id, attempt), self._buckets) != bucket:
            attempt += 1
        return found

    def _rewrite(self, path: str) -> bool:
        uri = self._run.uri(path)
        blob = read_bytes(uri)
        table = pq.read_table(io.BytesIO(blob))
        name = (table.schema.metadata or {}).get(b"voxmill.record", b"").decode()
        if name in self._typed:
            record, scrubbed = self._typed[name]
            rows: list[Any] = from_table(migrate(table, record, uri), record, uri)
            kept = scrubbed(rows)
            if kept == rows:
                return False
            return commit_bytes(uri, records_bytes(kept, record), replace=True)
        keep = self._keep(table)
        if all(keep):
            return False
        if "file" in table.column_names:  # pictures: one file for a stretch of one recording
            gone = {file for file, kept in zip(table.column("file").to_pylist(), keep, strict=True) if file and not kept}
            for file in sorted(gone):
                remove(self._run.uri(file))
        return commit_bytes(uri, table_bytes(table.filter(pa.array(keep)).combine_chunks()), replace=True)

    def _keep(self, table: pa.Table) -> list[bool]:
        columns = [table.column(name).to_pylist() for name in KEYS if name in table.column_names]
        return [not any(map(self._stones.hash, row)) for row in zip(*columns, strict=True)] if columns else []

    def _items(self, rows: Sequence[Item]) -> list[Item]:
        return [scrubbed_item(row, self._salt) if self._stones.item(row) else row for row in rows]

    def _recordings(self, rows: Sequence[Recording]) -> list[Recording]:
        revoked = self._stones.recording
        return [scrubbed_recording(r, self._salt, self.pseudonym(r.id)) if revoked(r) else r for r in rows]

    def _units(self, rows: Sequence[Unit]) -> list[Unit]:
        def named(ident: str) -> str:
            return self.pseudonym(ident) if self._stones.hash(ident) else ident

        return [replace(u, parts=tuple(replace(p, recording_id=named(p.recording_id)) for p in u.parts)) for u in rows]

    def _segments(self, rows: Sequence[Segment]) -> list[Segment]:
        kept: list[Segment] = []
        for recording, mine in groupby(rows, key=lambda row: row.recording_id):
            segments = list(mine)
            if self._stones.hash(recording):
                ident, start = self.pseudonym(recording), segments[0].start
                kept.append(revoked_tile(ident, start, sum(s.num_samples for s in segments)))
            else:
                kept += segments
        return kept

    def _duplicates(self, rows: Sequence[Duplicate]) -> list[Duplicate]:
        """A copy of what is revoked stays a copy, of nobody known."""
        others = [row for row in rows if not self._stones.hash(row.recording_id)]
        revoked = self._stones.hash
        return [replace(row, partner=self.pseudonym(row.partner)) if revoked(row.partner) else row for row in others]

    def _private(self) -> int:
        """Whole addresses of what is revoked: of an item, or wherever one stands."""
        changed, private = 0, self._run.private
        for name in [name for kind in ("list", "items") for name in private.names(kind)]:
            kept = {
                ident: url
                for ident, url in private.read(name).items()
                if not (self._stones.hash(ident) or self._stones.address(url))
            }
            changed += private.write(name, kept)
        return changed

    def _leftovers(self) -> int:
        """What killed writers left behind may hold anything."""
        folders = {path.rpartition("/")[0] for path in files_of(self._run)}
        return sum(sweep(self._run.uri(folder)) for folder in sorted(folders))

    def _named(self) -> int:
        """Removes whatever carries a revoked id in its name: originals, receipts, evidence, pictures, unfinished transfers."""
        elsewhere = ("ledger/", "shards/", "manifests/", "tombstones/")
        paths = [p for p in files_of(self._run) if not p.startswith(elsewhere) and self._stones.hash(p)]
        return sum(remove(self._run.uri(path)) for path in paths)


def files_of(run: Run, *folder: str) -> list[str]:
    """Every file in the run, or in one folder of it: paths relative to the run, sorted. Hidden folders included."""
    fs, root = locate(run.root)
    root = root.rstrip("/")
    found = fs.find("/".join([root, *folder]))
    return sorted(path[len(root) + 1 :] for path in found)
