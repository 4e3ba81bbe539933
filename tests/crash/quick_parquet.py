"""Parquet that is encoded and decoded once for equal content: thousands of simulated runs hold the same few rows."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq

from voxmill.manifests.storage import locate, read_bytes
from voxmill.pipeline.state import chunks, fragment

_write = chunks._write
_written: dict[bytes, tuple[bytes, int]] = {}


class Decoded:
    """As much of `pq.ParquetFile` as tables are read with."""

    def __init__(self, blob: bytes) -> None:
        self._file = pq.ParquetFile(pa.BufferReader(blob))
        self.schema_arrow, self.metadata = self._file.schema_arrow, self._file.metadata
        self._groups: dict[int, pa.Table] = {}

    def read_row_group(self, group: int, use_threads: bool) -> pa.Table:
        if group not in self._groups:
            self._groups[group] = self._file.read_row_group(group, use_threads=use_threads)
        return self._groups[group]

    def read(self, columns: Sequence[str] | None = None, use_threads: bool = False) -> pa.Table:
        groups = [self.read_row_group(n, False) for n in range(self.metadata.num_row_groups)]
        table = pa.concat_tables(groups).combine_chunks() if groups else self.schema_arrow.empty_table()
        return table.select(list(columns)) if columns else table


decoded: Callable[[bytes], Decoded] = cache(Decoded)


def _same_write(sink: Any, schema: pa.Schema, tables: Any) -> int:
    held = list(tables)
    message = io.BytesIO()
    with pa.ipc.new_stream(message, schema) as stream:
        for table in held:
            stream.write_table(table)
    key = f"{chunks.ROWS} {[len(table) for table in held]} ".encode() + message.getvalue()
    if key not in _written:
        blob = io.BytesIO()
        count = _write(blob, schema, held)
        _written[key] = blob.getvalue(), count
    data, count = _written[key]
    sink.write(data)
    return count


def _open(uri: str) -> Any:
    _, path = locate(uri)
    blob = read_bytes(uri)
    try:
        return decoded(blob)
    except (pa.ArrowException, OSError) as error:
        raise chunks.damaged(path, error) from error


@contextmanager
def quick_parquet() -> Iterator[None]:
    """While the block runs, tables of runs are written and read so."""
    with (
        patch.object(chunks, "_write", _same_write),
        patch.object(chunks, "_open", _open),
        patch.object(fragment, "_parquet", lambda blob: decoded(blob).read()),
    ):
        yield
