"""The rows of a stage as files of a fixed number of units each: what workers, reports and DuckDB read.

    manifests/<stage>/<fingerprint>/<chunk>-<hash>.parquet            rows, in the order of units
    manifests/<stage>/<fingerprint>/<chunk>-<place>-<hash>.parquet    those of a part of a chunk that does not begin it
    manifests/<stage>/<fingerprint>/….costs.parquet                   what they cost

Which units share a file follows from the units alone (`chunk_ranges.py`), not from who made what when: a run that was killed has the same
files as one that was not. More units change the last few files and add new ones. The hash is that of the rows, so a file is never
overwritten: the journal names the ones that count.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from voxmill.manifests.errors import DamagedError
from voxmill.manifests.schema import UNIT_INDEX
from voxmill.manifests.storage import commit_bytes, commit_file, file_sha256, locate, open_file, staged
from voxmill.pipeline.state import chunk_ranges
from voxmill.pipeline.state.fragment import FragmentRows, in_order
from voxmill.pipeline.state.journal import Chunk, StageState
from voxmill.pipeline.state.older_rows import newest_schema, to_schema
from voxmill.pipeline.state.positions import Positions
from voxmill.pipeline.state.run_dir import RunDir

FOLDER = "manifests"
OF_LISTING = ("items", "outcomes", "recordings", "units")
"""Stages whose rows are made once, from a listing that may not be had again: where their file is gone, it is gone."""
ROWS = 2048
"""Rows in one row group of a file: what is read at least for one unit."""

_AT_ONCE = 64
"""Units whose rows are in memory together while a chunk is written."""


def write_chunk(
    run: RunDir, key: str, units: range, schema: pa.Schema, rows: Iterable[pa.Table], costs: pa.Table | None
) -> Chunk:
    """Commits the files of a range of units of the stage `key`, of tables that come in the order of units. The same rows make the same file."""
    folder, place = run.uri(FOLDER, key), place_of(units)
    with staged(f"{folder}/{place}") as temp:
        num_rows = _write(temp, schema, rows)
        temp.flush()
        name = f"{FOLDER}/{key}/{place}-{file_sha256(temp.name)[:12]}"
        num_bytes = temp.tell()
        commit_file(temp, run.uri(f"{name}.parquet"))
    if costs is not None and len(costs):
        # measured anew each time it is made: the name is that of the rows, and the last one stays
        commit_bytes(run.uri(f"{name}.costs.parquet"), _parquet_bytes(costs), replace=True)
    return Chunk(
        units.start,
        len(units),
        f"{name}.parquet",
        num_rows,
        num_bytes,
        f"{name}.costs.parquet" if costs is not None and len(costs) else None,
    )


def place_of(units: range) -> str:
    """How the name of a file for this range of units begins: with the number of its chunk, and its place in there unless it begins it."""
    number, place = divmod(units.start, chunk_ranges.UNITS)
    return f"{number:05d}-{place:04d}" if place else f"{number:05d}"


def merged(run: RunDir, key: str, number: int, old: StageState, added: Sequence[FragmentRows]) -> tuple[list[Chunk], list[str]]:
    """The files of one chunk that are others with rows added, and notes on what was not. Those that hold nothing new stay."""
    first, end = number * chunk_ranges.UNITS, (number + 1) * chunk_ranges.UNITS
    here = [old.chunks[at] for at in range(first, end, chunk_ranges.LEAST) if at in old.chunks]
    before = {(chunk.first, chunk.end) for chunk in here}
    units = old.folded.within(first, end)
    for one in added:
        units.update(one.units.within(first, end).runs)
    files, notes = list[Chunk](), list[str]()
    for mine in chunk_ranges.ranges(units, number):
        new = [one for one in added if one.units.meets(mine.start, mine.stop)]
        if new or (mine.start, mine.stop) not in before:
            met = [chunk for chunk in here if chunk.first < mine.stop and mine.start < chunk.end]
            chunk, said = merge(run, key, mine, met, old.folded, new)
            files.append(chunk)
            notes += said
    return files, notes


def merge(
    run: RunDir, key: str, units: range, old: Sequence[Chunk], held: Positions, added: Sequence[FragmentRows]
) -> tuple[Chunk, list[str]]:
    """One file for a range of units, with rows added in the order of their commitment, and notes on what was not.

    `old`: the files that hold rows of the range so far; `held`: whose they are. A unit that is there already stays as it is. Where the same
    unit was made again with other rows, a note says so.
    """
    readers = [(chunk, ChunkReader(run, chunk)) for chunk in old]
    held = Positions(held.runs)
    schema = newest_schema([*(reader.schema for _, reader in readers), *(one.rows.schema for one in added)])
    added = [replace(one, rows=to_schema(one.rows, schema)) for one in added]
    fresh: list[tuple[FragmentRows, Positions]] = []
    notes: list[str] = []

    def there(first: int, end: int) -> list[pa.Table]:
        met = [reader for chunk, reader in readers if chunk.first < end and first < chunk.end]
        return [to_schema(reader.span(first, end), schema) for reader in met]

    for one in added:
        mine = list(one.units.within(units.start, units.stop))
        notes += [note for n in mine if n in held and (note := _difference(key, n, one, there(n, n + 1), fresh))]
        new = Positions.of(n for n in mine if n not in held)
        held.update(new.runs)
        fresh.append((one, new))

    def rows() -> Iterator[pa.Table]:
        for at in range(units.start, units.stop, _AT_ONCE):
            end = min(at + _AT_ONCE, units.stop)
            window = Positions([(at, end)])
            several = there(at, end) + [only(only(one.rows, window), new) for one, new in fresh]
            if table := _concat([table for table in several if len(table)]):
                yield in_order(table)

    inside = Positions([(units.start, units.stop)])
    costs = [only(read_costs(run, chunk), inside) for chunk in old if chunk.costs]
    costs += [only(one.costs, new) for one, new in fresh if one.costs is not None]
    whole = _concat(costs)
    return write_chunk(run, key, units, schema, rows(), in_order(whole) if whole else None), notes


def read_rows(run: RunDir, chunk: Chunk, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of a chunk, or some columns of them. Raises FileNotFoundError, DamagedError."""
    return _read(run, chunk.rows, columns)


def read_costs(run: RunDir, chunk: Chunk) -> pa.Table:
    """What the units of a chunk cost. Raises FileNotFoundError, DamagedError."""
    assert chunk.costs
    return _read(run, chunk.costs)


class ChunkReader:
    """Rows of some units of one chunk; the row group that was read last is kept, so units asked for in order are read once."""

    def __init__(self, run: RunDir, chunk: Chunk) -> None:
        self._uri = run.uri(chunk.rows)
        self._file = _open(self._uri)
        self.schema: pa.Schema = self._file.schema_arrow
        meta = self._file.metadata
        groups = [meta.row_group(n) for n in range(meta.num_row_groups) if meta.num_rows]
        stats: list[Any] = [
            group.column(group.num_columns - 1).statistics for group in groups
        ]  # of `unit_index`, the last column
        self._first, self._last = [int(s.min) for s in stats], [int(s.max) for s in stats]
        self._held: tuple[int, pa.Table] | None = None

    def read(self, position: int) -> pa.Table:
        """The rows of one unit, without the column of its position. Raises DamagedError."""
        return self.span(position, position + 1).drop_columns([UNIT_INDEX])

    def span(self, first: int, end: int) -> pa.Table:
        """The rows of the units `[first, end)`. Raises DamagedError."""
        found = [self.schema.empty_table()]
        for group in range(int(np.searchsorted(self._last, first)), len(self._first)):
            if self._first[group] >= end:
                break
            found.append(only(self._group(group), Positions([(first, end)])))
        return pa.concat_tables(found)

    def _group(self, group: int) -> pa.Table:
        if self._held is None or self._held[0] != group:
            try:
                self._held = group, self._file.read_row_group(group, use_threads=False)
            except (pa.ArrowException, OSError) as error:
                raise damaged(self._uri, error) from error
        return self._held[1]


def by_chunk(rows: Iterable[tuple[int, pa.Table]]) -> Iterator[tuple[int, FragmentRows]]:
    """Tables of units in order of their positions, put together by chunk."""
    number, held, units = -1, list[pa.Table](), Positions()
    for position, table in rows:
        if chunk_ranges.chunk_of(position) != number:
            if held:
                yield number, FragmentRows(pa.concat_tables(held).combine_chunks(), None, units)
            number, held, units = chunk_ranges.chunk_of(position), [], Positions()
        held.append(table)
        units.add(position, position + 1)
        if len(held) > 512:  # many small tables cost more than their rows
            held = [pa.concat_tables(held).combine_chunks()]
    if held:
        yield number, FragmentRows(pa.concat_tables(held).combine_chunks(), None, units)


def only(table: pa.Table, units: Positions) -> pa.Table:
    """The rows of these units, of a table in the order of units."""
    numbers = table[UNIT_INDEX].to_numpy()
    spans = [np.searchsorted(numbers, run) for run in units.runs]
    pieces = [table.slice(begin, end - begin) for begin, end in spans if begin < end]
    return pieces[0] if len(pieces) == 1 else pa.concat_tables([table.slice(0, 0), *pieces])


def damaged(uri: str, error: Exception) -> DamagedError:
    """What to say of a file of a table that cannot be read."""
    listed = any(f"/{FOLDER}/{name}/" in uri for name in OF_LISTING)
    cure = "restore it; nothing makes it again" if listed else "delete it and run again; what it holds is made anew"
    return DamagedError(f"{uri} is no readable Parquet file ({error}): {cure}")


def _difference(
    key: str,
    position: int,
    one: FragmentRows,
    there: Sequence[pa.Table],
    fresh: Sequence[tuple[FragmentRows, Positions]],
) -> str | None:
    """A note where a unit was made again with other rows than those that are kept: `there`, or in what was added before."""
    unit = Positions.of([position])
    kept = [only(earlier.rows, unit) for earlier, units in fresh if position in units]
    first = next(iter([*kept, *there]), one.rows.slice(0, 0))
    if first.equals(only(one.rows, unit)):
        return None
    told = only(one.costs, unit).to_pylist() if one.costs is not None else []
    made = f" on {told[0]['cpu']} with {told[0]['isa']}" if told and told[0].get("cpu") else ""
    return f"{key.partition('/')[0]} unit {position}: made twice, and otherwise the second time{made}; the first is kept"


def _concat(tables: Sequence[pa.Table]) -> pa.Table | None:
    return pa.concat_tables(tables).combine_chunks() if tables else None


def _write(sink: Any, schema: pa.Schema, tables: Iterable[pa.Table]) -> int:
    """Row groups of exactly `ROWS` rows, but for the last, wherever the tables begin and end."""
    total, waiting = 0, schema.empty_table()
    with pq.ParquetWriter(sink, schema, compression="zstd", version="2.6", store_schema=True) as writer:
        for table in tables:
            waiting = pa.concat_tables([waiting, table])
            total += len(table)
            while len(waiting) >= ROWS:
                writer.write_table(waiting.slice(0, ROWS).combine_chunks(), row_group_size=ROWS)
                waiting = waiting.slice(ROWS)
        if len(waiting) or not total:
            writer.write_table(waiting.combine_chunks(), row_group_size=ROWS)
    return total


def _parquet_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    _write(sink, table.schema, [table])
    return sink.getvalue()


def _open(uri: str) -> pq.ParquetFile:
    """Reads what is asked for, not the whole file."""
    fs, path = locate(uri)
    try:
        return pq.ParquetFile(path if isinstance(fs, LocalFileSystem) else open_file(uri), pre_buffer=True)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise damaged(uri, error) from error


def _read(run: RunDir, path: str, columns: Sequence[str] | None = None) -> pa.Table:
    uri = run.uri(path)
    try:
        return _open(uri).read(columns=list(columns) if columns else None)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise damaged(uri, error) from error
