"""Fragments compacted into the run's tables: what DuckDB reads, under `RUN/manifests/`, with `RUN/catalog.sql` beside it.

The ledger stays the truth; tables are rebuilt from it in unit order, in files of bounded size, with deterministic bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from voxmill.manifests.catalog import connect, table_sources
from voxmill.manifests.catalog_script import catalog_sql
from voxmill.manifests.parquet import table_bytes
from voxmill.manifests.public_form import public_item, public_recording
from voxmill.manifests.records import (
    Item,
    Recording,
)
from voxmill.manifests.schema import schema_of, to_table
from voxmill.manifests.storage import commit_bytes, remove
from voxmill.manifests.tables import TABLE_OF, TABLES
from voxmill.manifests.timeline import derive, derived_batches
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.listing import Listing
from voxmill.pipeline.state.metadata_overrides import Amendments, amend
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import names_in

FILE_BYTES = 128 * 2**20
"""Size (of Arrow data in memory) at which a table goes on in its next file: a few large files, never a file per unit."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one stage spent on one unit. Measured, so the one table that differs between two equal runs."""

    unit: str
    """The unit; for `crawl` and `decode` a group of listed items."""
    stage: str
    """Kind of the stage."""
    engine: str | None
    """Name of the engine or labeller, if it has one."""
    wall_s: float
    """Seconds on the clock."""
    cpu_s: float
    """Seconds of CPU time."""
    max_rss_bytes: int
    """Largest memory of the worker so far."""
    host: str
    """Name of the machine."""
    device: str
    """`cpu` or `cuda`."""
    attempts: int
    """How many attempts it took."""
    cpu: str | None = None
    """Name of the CPU it was made on; None in runs of before this was kept."""
    isa: str | None = None
    """Instruction set that the worker could use."""


def write_tables(
    run: Run, stages: Sequence[Stage], amendments: Amendments, packed: Mapping[str, Iterable[pa.Table]]
) -> dict[str, list[str]]:
    """Writes every table of the run and its catalog; returns the files of each table, relative to the run."""
    listing, ledger = run.listing, run.ledger
    units = [unit.id for unit in listing.units()]
    files = {t.name: _write(run, t.name, _listed(listing, t.record, amendments)) for t in TABLES if t.of_run}
    by_table: dict[str, list[Stage]] = {}
    for stage in stages:
        if stage.of.table:
            by_table.setdefault(stage.of.table, []).append(stage)
    for name, group in by_table.items():
        files[name] = _write(run, name, _fragments(ledger, group, units))
    files |= {name: _write(run, name, parts) for name, parts in packed.items()}
    files["costs"] = _write(run, "costs", _costs(run, stages, units))
    own = {stage.of.table: schema_of(stage.writes) for stage in stages if stage.of.table and stage.writes not in TABLE_OF}
    files |= _derived(run, files, own)
    commit_bytes(run.uri("catalog.sql"), catalog_sql(files, own, run.root).encode(), replace=True)
    _remove_stale(run, files)
    return files


def _derived(run: Run, files: Mapping[str, Sequence[str]], own: Mapping[str, pa.Schema]) -> dict[str, list[str]]:
    """The tables that are computed from the others."""
    con = connect()
    sources = {name: con.sql(f"FROM {source}") for name, source in table_sources(con, run.root, files).items()}
    return {name: _write(run, name, derived_batches(name, table)) for name, table in derive(con, sources, own).items()}


def _listed(listing: Listing, record: type, amendments: Amendments) -> Iterator[pa.Table]:
    yield to_table((), record)  # a table of no rows is a file all the same
    batches: Iterator[list[Any]] = listing.batches(record)
    for batch in batches:
        rows = [public_item(row) for row in batch] if record is Item else batch  # an older version may have listed them
        yield to_table([public_recording(amend(row, amendments)) for row in batch] if record is Recording else rows, record)


def _fragments(ledger: Ledger, stages: Sequence[Stage], units: Sequence[str]) -> Iterator[pa.Table]:
    for unit in units:
        for stage in stages:
            table = to_table(ledger.read(stage, unit), stage.writes)
            if "unit" not in table.column_names:  # a consensus has a `unit` of its own: what its words are
                table = table.append_column("unit", pa.array([unit] * len(table), pa.string()))
            yield table


def _write(run: Run, name: str, tables: Iterable[pa.Table]) -> list[str]:
    """One table as numbered files."""
    written: list[str] = []
    pending: list[pa.Table] = []
    size = 0

    def flush() -> None:
        path = f"manifests/{name}-{len(written):05d}.parquet"
        commit_bytes(run.uri(path), table_bytes(pa.concat_tables(pending).combine_chunks()), replace=True)
        written.append(path)
        pending.clear()

    for table in tables:
        pending.append(table)
        size += table.nbytes
        if size >= FILE_BYTES:
            flush()
            size = 0
    if pending:
        flush()
    return written


def _remove_stale(run: Run, files: Mapping[str, Sequence[str]]) -> None:
    """Files that an earlier, longer version of a table had. The catalog must have been committed: it may not name them still."""
    wanted = {path for paths in files.values() for path in paths}
    for name in sorted(names_in(run.uri("manifests"))):
        if _NUMBERED.fullmatch(name) and f"manifests/{name}" not in wanted:
            remove(run.uri("manifests", name))


_NUMBERED = re.compile(r"[a-z][a-z0-9_]*-\d{5,}\.parquet")


def _costs(run: Run, stages: Sequence[Stage], units: Sequence[str]) -> Iterator[pa.Table]:
    """One table per stage."""
    ledger, listing = run.ledger, run.listing
    groups = [g for n in range(listing.num_generations()) for g in listing.groups(n)]
    for stage in stages:
        engine = stage.name.partition(":")[2] or None
        keys = groups if stage.of.of_items else units
        costs = ((key, ledger.cost(stage, key)) for key in keys)
        yield to_table((Cost(key, stage.kind, engine, **cost) for key, cost in costs if cost), Cost)
