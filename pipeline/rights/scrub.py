"""Removes what tombstones name from a run's ledger and folders. Idempotent.

Items and recordings keep a row under a pseudonym, a unit keeps its part, the segments of a revoked part become one rejected segment, and all other
rows about it are deleted. The stages produce the same rows for a revoked recording, so nothing has to run again, and a rerun gives the same bytes.
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
from voxmill.manifests.parquet import table_bytes
from voxmill.manifests.records import Item, Recording, Segment, Unit
from voxmill.manifests.schema import UNIT_INDEX, from_table, migrate, to_table
from voxmill.manifests.storage import commit_bytes, remove, sweep
from voxmill.manifests.tombstones import Tombstones, pseudonym, revoked_tile, scrubbed_item, scrubbed_recording
from voxmill.pipeline.rights.erasure_check import revoked_rows
from voxmill.pipeline.state import chunks
from voxmill.pipeline.state.journal import Chunk, chunks_entry
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import read_bytes
from voxmill.sharding.layout import bucket_of

KEYS = ("segment_id", "recording_id", "key")
"""Columns that name what a row is about."""


class Scrub:
    """`Scrub(run, tombstones, salt, buckets)()` scrubs the run and returns the number of files changed or removed."""

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
        for path in self._run.files("ledger"):
            if self._stones.hash(path):
                changed += remove(self._run.uri(path))
            elif path.endswith(".parquet"):
                changed += self._rewrite(path)
        return changed + self._tables() + self._private() + self._named()

    def _tables(self) -> int:
        """The chunks of all stages, under all fingerprints."""
        ledger = self._run.ledger
        ledger.adopt(revoked_rows(self._stones))
        ledger.forget(ledger.lost(), ledger.lost_fragments())
        ledger.fold()
        files: dict[str, list[Chunk]] = {}
        for key, stage in ledger.state.stages.items():
            for chunk in stage.chunks.values():
                table = chunks.read_rows(self._run, chunk)
                scrubbed = self._scrubbed(table, chunk.rows)
                if scrubbed is not None:
                    costs = chunks.read_costs(self._run, chunk) if chunk.costs else None
                    units = range(chunk.first, chunk.end)
                    files.setdefault(key, []).append(
                        chunks.write_chunk(self._run, key, units, scrubbed.schema, [scrubbed], costs)
                    )
        if files:
            ledger.append({"chunks": chunks_entry(files, {})})
        ledger.journal.fold()
        ledger.clear_readers()
        return sum(map(len, files.values())) + ledger.sweep()

    def pseudonym(self, recording_id: str) -> str:
        """The id that replaces a revoked one. It hashes into the same bucket, so that the boundaries of shards do not move."""
        bucket, attempt = bucket_of(recording_id, self._buckets), 0
        while bucket_of(found := pseudonym(self._salt, recording_id, attempt), self._buckets) != bucket:
            attempt += 1
        return found

    def _rewrite(self, path: str) -> bool:
        """A table of its own: what a source listed, the plan of a shard."""
        uri = self._run.uri(path)
        scrubbed = self._scrubbed(pq.read_table(io.BytesIO(read_bytes(uri))), path)
        return scrubbed is not None and commit_bytes(uri, table_bytes(scrubbed), replace=True)

    def _scrubbed(self, table: pa.Table, path: str) -> pa.Table | None:
        """The table without what is revoked; None where it holds nothing of that."""
        name = (table.schema.metadata or {}).get(b"voxmill.record", b"").decode()
        if name in self._typed:
            return self._typed_rows(table, name, path)
        keep = self._keep(table)
        if all(keep):
            return None
        if "file" in table.column_names:  # frames: one image file for each row
            gone = {file for file, kept in zip(table.column("file").to_pylist(), keep, strict=True) if file and not kept}
            for file in sorted(gone):
                remove(self._run.uri(file))
        return table.filter(pa.array(keep)).combine_chunks()

    def _typed_rows(self, table: pa.Table, name: str, path: str) -> pa.Table | None:
        """Rows that stay in another form. Those of one unit are looked at together, and their columns beside the record's stay as they are."""
        record, scrub = self._typed[name]
        own = [column for column in table.column_names if column not in record.__dataclass_fields__]  # type: ignore[attr-defined]
        rows: list[Any] = from_table(migrate(table.drop_columns(own), record, path), record, path)
        beside = table.select(own).to_pylist()
        kept: list[Any] = []
        kept_beside: list[dict[str, Any]] = []
        for _, group in groupby(zip(rows, beside, strict=True), key=lambda pair: pair[1].get(UNIT_INDEX)):
            pairs = list(group)
            mine = scrub([row for row, _ in pairs])
            kept += mine
            kept_beside += [pairs[0][1]] * len(mine)
        if kept == rows:
            return None
        new = to_table(kept, record)
        for column in own:
            field = table.schema.field(column)
            new = new.append_column(field, pa.array([row[column] for row in kept_beside], field.type))
        return new

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
        """A duplicate of a revoked recording stays a duplicate, of a pseudonym."""
        others = [row for row in rows if not self._stones.hash(row.recording_id)]
        revoked = self._stones.hash
        return [replace(row, partner=self.pseudonym(row.partner)) if revoked(row.partner) else row for row in others]

    def _private(self) -> int:
        """Removes full addresses (with secrets) of what is revoked from the private folder."""
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
        """Removes temporary files of killed writers, which may hold anything."""
        folders = {path.rpartition("/")[0] for path in self._run.files()}
        return sum(sweep(self._run.uri(folder)) for folder in sorted(folders))

    def _named(self) -> int:
        """Removes files with a revoked id in their name: originals, receipts, evidence, frames, unfinished downloads."""
        elsewhere = ("ledger/", "shards/", "manifests/", "tombstones/")
        paths = [p for p in self._run.files() if not p.startswith(elsewhere) and self._stones.hash(p)]
        return sum(remove(self._run.uri(path)) for path in paths)
