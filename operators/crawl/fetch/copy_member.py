"""Copies one recording out of the tar file or table that holds it. Nothing is ever unpacked to a path that an archive names."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate
from threading import Lock
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from voxmill.manifests.storage import open_file
from voxmill.operators.crawl.facts.crawl_errors import NotFound, TooLarge, Unsupported
from voxmill.operators.crawl.facts.member_address import ArchiveMember, parse_member
from voxmill.operators.crawl.facts.urls import file_path

_BLOCK = 1 << 20
_ONE_AT_A_TIME = Lock()
"""Tables are kept open, and a reader serves one thread."""


def copy_member(address: str, target: BinaryIO, limit: int) -> int:
    """Writes the bytes of a member to `target`; returns how many. Raises NotFound, TooLarge, Unsupported."""
    member = parse_member(address)
    if member is None:
        raise Unsupported(f"no member of an archive: {address}")
    try:
        return _of_table(member, target, limit) if member.row is not None else _of_tar(member, target, limit)
    except FileNotFoundError as error:
        raise NotFound(str(error)) from error
    except (OSError, pa.ArrowException, IndexError, KeyError) as error:
        raise Unsupported(f"{member.container} cannot be read: {error}") from error


def _of_tar(member: ArchiveMember, target: BinaryIO, limit: int) -> int:
    start, left = member.start or 0, (member.end or 0) - (member.start or 0)
    if left > limit:
        raise TooLarge(f"{left} bytes, the limit is {limit}")
    written = 0
    with open_file(file_path(member.container)) as file:
        file.seek(start)
        while left > written and (block := file.read(min(_BLOCK, left - written))):
            written += target.write(block)
    target.flush()
    if written < left:
        raise Unsupported(f"{member.container} ends inside of {member.name}")
    return written


def _of_table(member: ArchiveMember, target: BinaryIO, limit: int) -> int:
    with _ONE_AT_A_TIME:
        cell = _table(file_path(member.container)).cell(member.name, member.row or 0)
    blob, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    if blob is None and isinstance(path, str) and _inside(path):
        with open_file(f"{file_path(member.container).rpartition('/')[0]}/{path}") as file:
            blob = file.read(limit + 1)
    if not isinstance(blob, bytes):
        raise Unsupported(f"row {member.row} of {member.container} holds no audio")
    if len(blob) > limit:
        raise TooLarge(f"more than {limit} bytes")
    target.write(blob)
    target.flush()
    return len(blob)


def _inside(path: str) -> bool:
    """Whether a path of a table stays in the table's folder: a table from elsewhere must not point into this machine."""
    return not path.startswith("/") and "::" not in path and "://" not in path and ".." not in path.split("/")


class _Table:
    """A Parquet or Arrow file of which single rows are read; the group of rows that was read last is kept."""

    def __init__(self, path: str) -> None:
        self._source = open_file(path)
        self._read: Callable[[int, str], Any]
        if path.endswith(".parquet"):
            self._file: Any = pq.ParquetFile(self._source)
            sizes = [self._file.metadata.row_group(n).num_rows for n in range(self._file.num_row_groups)]
            self._read = lambda group, column: self._file.read_row_group(group, columns=[column]).column(column)
        else:
            batches = arrow_batches(path, self._source)
            sizes = [batch.num_rows for batch in batches]
            self._read = lambda group, column: batches[group].column(column)
        self._ends = list(accumulate(sizes))
        self._kept: tuple[int, str] | None = None
        self._rows: Any = None

    def cell(self, column: str, row: int) -> Any:
        """One value. Raises IndexError where there is no such row, KeyError where there is no such column."""
        group = bisect_right(self._ends, row)
        if group == len(self._ends):
            raise IndexError(f"no row {row}")
        if self._kept != (group, column):
            self._rows, self._kept = self._read(group, column), (group, column)
        first = self._ends[group - 1] if group else 0
        return self._rows[row - first].as_py()


def arrow_batches(path: str, source: Any) -> list[pa.RecordBatch]:
    """The batches of an Arrow stream, as Hugging Face's `datasets` keeps them: on a disk they are mapped, not read."""
    arrow: Any = pa  # whose readers have no types
    reader = arrow.ipc.open_stream(arrow.memory_map(path) if "://" not in path else source)
    return list(reader)


@lru_cache(maxsize=2)
def _table(path: str) -> _Table:
    return _Table(path)
