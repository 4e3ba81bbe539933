"""The run's tables: what DuckDB reads. `RUN/catalog.sql` names their files and has the views over them.

The tables of stages are the ledger's own chunks (`chunks.py`). What became of the selected samples is written here, from the shards; what is
computed from the others, in `derived_tables.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from voxmill.manifests.catalog_script import catalog_sql
from voxmill.manifests.parquet import table_bytes
from voxmill.manifests.schema import schema_of
from voxmill.manifests.storage import commit_bytes, file_sha256, remove
from voxmill.manifests.tables import TABLE_OF
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.derived_tables import write_derived
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import names_in

FILE_BYTES = 128 * 2**20
"""Size (of Arrow data in memory) at which a table goes on in its next file: a few large files, never a file per shard."""


def write_tables(run: Run, stages: Sequence[Stage], packed: Mapping[str, Iterable[pa.Table]]) -> dict[str, list[str]]:
    """Writes what is not in the ledger's tables, and the catalog of all; returns the files of each table, relative to the run."""
    files: dict[str, list[str]] = {}
    costs: list[str] = []
    for stage in stages:
        chunks = run.ledger.chunk_files(stage)
        costs += (chunk.costs for chunk in chunks if chunk.costs)
        if stage.of.table:
            files.setdefault(stage.of.table, []).extend(chunk.rows for chunk in chunks)
    files |= {name: _write(run, name, tables) for name, tables in packed.items()}
    files["costs"] = costs
    own = {stage.of.table: schema_of(stage.writes) for stage in stages if stage.of.table and stage.writes not in TABLE_OF}
    files |= write_derived(run, stages, files, own)
    commit_bytes(run.uri("catalog.sql"), catalog_sql(files, own, run.root).encode(), replace=True)
    _remove_stale(run, files)
    return files


def is_published(run: Run) -> bool:
    """Whether the catalog is the one that the journal tells of: a driver that was overtaken may have written its own, late."""
    return bool(run.ledger.state.catalog) and run.ledger.state.catalog == catalog_sha256(run)


def catalog_sha256(run: Run) -> str:
    """That of the catalog as it lies there; empty where there is none."""
    try:
        return file_sha256(run.uri("catalog.sql"))
    except FileNotFoundError:
        return ""


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


_NUMBERED = re.compile(r"[a-z][a-z0-9_]*-\d{5,}((-\d{4,})?-[0-9a-f]{12})?\.parquet")
