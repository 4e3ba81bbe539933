"""Records to Parquet bytes and back: deterministic on the way out, strict on the way in."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from voxmill.manifests.schema import SchemaError, from_table, migrate, schema_of, to_table
from voxmill.manifests.storage import read_bytes

Record = TypeVar("Record")

GROUP = 10_000
"""Records that are in memory at once while many are written."""

SMALL = 2**20
"""Files up to this size (bytes) are read with one thread: starting more would take longer than reading."""


def table_bytes(table: pa.Table) -> bytes:
    """A table as Parquet. The same table gives the same bytes (for one version of pyarrow)."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", version="2.6", store_schema=True)
    return sink.getvalue()


def records_bytes(rows: Iterable[Any], record: type) -> bytes:
    """Records as a Parquet file. Raises SchemaError where a value does not fit its type."""
    return table_bytes(to_table(rows, record))


def write_records(file: BinaryIO, rows: Iterable[Any], record: type) -> None:
    """Records into an open file, `GROUP` at a time: for more of them than fit into memory. Fewer than that give `records_bytes`."""
    left = iter(rows)
    with pq.ParquetWriter(file, schema_of(record), compression="zstd", version="2.6", store_schema=True) as writer:
        first = to_table(islice(left, GROUP), record)
        writer.write_table(first)
        while first.num_rows == GROUP and (more := to_table(islice(left, GROUP), record)).num_rows:
            writer.write_table(more)


def read_table(uri: str, record: type) -> pa.Table:
    """The table at a path or fsspec URL, migrated to this schema version. Raises SchemaError, FileNotFoundError."""
    blob = read_bytes(uri)
    try:
        table = pq.ParquetFile(pa.BufferReader(blob)).read(use_threads=len(blob) > SMALL)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(uri, error) from error
    return migrate(table, record, uri)


def read_records(uri: str, record: type[Record]) -> list[Record]:
    """The records at a path or fsspec URL. Raises SchemaError where the file holds something else."""
    return from_table(read_table(uri, record), record, uri)


def read_batches(uri: str, record: type[Record], rows: int = 10_000) -> Iterator[list[Record]]:
    """Like `read_records`, at most `rows` records at a time: for files that grow with the run."""
    blob = read_bytes(uri)
    try:
        for batch in pq.ParquetFile(io.BytesIO(blob)).iter_batches(rows):
            yield from_table(migrate(pa.Table.from_batches([batch]), record, uri), record, uri)
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(uri, error) from error


def _unreadable(uri: str, error: Exception) -> SchemaError:
    return SchemaError(f"{uri} is no readable Parquet file ({error}): delete it and run again to rebuild it")
