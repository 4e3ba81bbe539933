"""A fragment: what one worker made of many units, in many stages, as one file that is written once.

It is a ZIP archive (stored, not compressed: what is in it is), with one Parquet file for each stage and one for what the units cost:

    <stage>/<fingerprint>.parquet         rows of the stage's record, with the column `unit_index`
    <stage>/<fingerprint>.costs.parquet   one `Cost` for each unit, with the column `unit_index`
    index.json                            which units of which stage it holds: a unit may well have no rows

A fragment counts when the journal names it (`journal.py`), and lives until its rows are in the stage's table (`chunks.py`).
"""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from voxmill.manifests.errors import DamagedError
from voxmill.manifests.parquet import table_bytes
from voxmill.manifests.schema import UNIT_INDEX, from_table, to_table
from voxmill.manifests.storage import commit_bytes
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.positions import Positions, position_of
from voxmill.pipeline.state.run_dir import RunDir, read_bytes

FOLDER = ("ledger", "fragments")
_DATE = (1980, 1, 1, 0, 0, 0)
_EXPANDS = 4
"""Rows in memory for the size of their file, roughly."""


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


@dataclass(frozen=True, slots=True)
class FragmentInfo:
    """What the journal says of one fragment."""

    name: str
    stages: Mapping[str, Positions]
    """Positions of the units by stage key."""
    row_bytes: int = 0
    """Size of its rows in memory: the file is several times smaller."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in the journal."""
        return {"name": self.name, "row_bytes": self.row_bytes, "stages": {key: held.runs for key, held in self.stages.items()}}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> FragmentInfo:
        """The inverse of `to_json`. A journal of before this was kept has the size of the file."""
        size = told["row_bytes"] if "row_bytes" in told else told["num_bytes"] * _EXPANDS
        return cls(told["name"], {key: Positions(runs) for key, runs in told["stages"].items()}, size)


@dataclass(slots=True)
class FragmentRows:
    """Rows of one stage on their way to its table."""

    rows: pa.Table
    costs: pa.Table | None
    units: Positions


@dataclass(slots=True)
class _Held:
    keys: dict[int, None] = field(default_factory=dict)
    tables: list[pa.Table] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)


class FragmentWriter:
    """What a worker has made and not committed yet: the `Buffer` of its steps (`execution/executor.py`).

    >>> writer = FragmentWriter(run)  # doctest: +SKIP
    >>> writer.add(stage, "u0000012-5f3a", rows, cost); infos = writer.flush()  # doctest: +SKIP
    """

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._held: dict[str, _Held] = {}

    def add(self, stage: Stage, key: str, rows: Sequence[Any], cost: Cost | None = None) -> list[Any]:
        """Holds the rows of one unit, and returns them as whoever reads them later will get them.

        What an operator returns may be of other types that mean the same. Raises SchemaError where the rows do not fit the stage's record.
        """
        position, table = position_of(key), to_table(rows, stage.writes)
        held = self._held.get(stage.key)
        if held is None or position not in held.keys:  # else it is asked for again, and the first answer stays
            self.hold(stage, [position], keyed(with_unit(stage, key, table), position), [cost] if cost else [])
        return from_table(table, stage.writes)

    def hold(self, stage: Stage, positions: Iterable[int], table: pa.Table, costs: Sequence[Cost] = ()) -> None:
        """Holds the rows of units that are not held yet, as they lie in the table of the stage (see `keyed`)."""
        held = self._held.setdefault(stage.key, _Held())
        held.tables.append(table)
        held.costs += costs
        held.keys.update(dict.fromkeys(positions))  # last: a SIGTERM may come between, and what has a key is done

    def __len__(self) -> int:
        return sum(len(held.keys) for held in self._held.values())

    def flush(self) -> list[FragmentInfo]:
        """Writes one fragment of all that is held and lets it go; nothing where that is nothing. The journal must then be told of it."""
        if not self._held:
            return []
        info = FragmentInfo(uuid.uuid4().hex, {key: Positions.of(one.keys) for key, one in self._held.items()})
        commit_bytes(fragment_uri(self._run, info.name), _archive(info, self._held))
        size = sum(table.nbytes for one in self._held.values() for table in one.tables)
        self._held = {}
        return [replace(info, row_bytes=size)]


def fragment_uri(run: RunDir, name: str) -> str:
    """Where a fragment lies."""
    return run.uri(*FOLDER, f"{name}.zip")


class Fragment:
    """A fragment that was read: its file in memory, whose rows are unpacked one stage at a time. Raises FileNotFoundError, DamagedError."""

    def __init__(self, run: RunDir, name: str) -> None:
        self._uri = fragment_uri(run, name)
        blob = read_bytes(self._uri)
        with self._damaged():
            self._archive = zipfile.ZipFile(io.BytesIO(blob))
            self._names = set(self._archive.namelist())
            told = json.loads(self._archive.read("index.json"))
            self.info = FragmentInfo.from_json({**told, "name": name, "row_bytes": len(blob) * _EXPANDS})

    def rows(self, key: str) -> FragmentRows:
        """What it holds of a stage. Raises DamagedError."""
        costs = f"{key}.costs.parquet"
        with self._damaged():
            costs_table = _parquet(self._archive.read(costs)) if costs in self._names else None
            return FragmentRows(_parquet(self._archive.read(f"{key}.parquet")), costs_table, self.info.stages[key])

    @contextmanager
    def _damaged(self) -> Iterator[None]:
        try:
            yield
        except (zipfile.BadZipFile, KeyError, ValueError, pa.ArrowException) as error:
            raise DamagedError(
                f"{self._uri} is damaged ({error}): delete it and run again; what it holds is made anew"
            ) from error


def read_fragment(run: RunDir, name: str) -> tuple[FragmentInfo, dict[str, FragmentRows]]:
    """A fragment's index, and its rows by stage key. Raises FileNotFoundError, DamagedError."""
    fragment = Fragment(run, name)
    return fragment.info, {key: fragment.rows(key) for key in fragment.info.stages}


def rows_table(stage: Stage, key: str, position: int, rows: Sequence[Any]) -> pa.Table:
    """Records of one unit as they lie in the table of their stage."""
    return keyed(with_unit(stage, key, to_table(rows, stage.writes)), position)


def with_unit(stage: Stage, key: str, table: pa.Table) -> pa.Table:
    """The table with the unit's id in the column `unit`, unless its records have a field of that name, or are the listing's own."""
    if not stage.of.of_run and "unit" not in table.column_names:  # a consensus has a `unit` of its own: what its words are
        table = table.append_column("unit", pa.array([key] * len(table), pa.string()))
    return table


def keyed(table: pa.Table, position: int) -> pa.Table:
    """The table with the unit's position as its last column."""
    return table.append_column(pa.field(UNIT_INDEX, pa.int64(), nullable=False), pa.array([position] * len(table), pa.int64()))


def costs_table(costs: Sequence[Cost]) -> pa.Table:
    """Costs with the positions of their units."""
    positions = pa.array([position_of(cost.unit) for cost in costs], pa.int64())
    return to_table(costs, Cost).append_column(pa.field(UNIT_INDEX, pa.int64(), nullable=False), positions)


def in_order(table: pa.Table) -> pa.Table:
    """Rows by unit; those of one unit keep their order."""
    if pc.all(pc.less_equal(table[UNIT_INDEX][:-1], table[UNIT_INDEX][1:])).as_py() in (True, None):
        return table.combine_chunks()
    return table.take(pc.sort_indices(table, sort_keys=[(UNIT_INDEX, "ascending")])).combine_chunks()


def _archive(info: FragmentInfo, held: Mapping[str, _Held]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:

        def put(name: str, data: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(name, _DATE), data)

        for key, mine in held.items():
            put(f"{key}.parquet", table_bytes(in_order(pa.concat_tables(mine.tables))))
            if mine.costs:
                put(f"{key}.costs.parquet", table_bytes(in_order(costs_table(mine.costs))))
        put("index.json", json.dumps({"stages": info.to_json()["stages"]}).encode())
    return sink.getvalue()


def _parquet(blob: bytes) -> pa.Table:
    return pq.ParquetFile(pa.BufferReader(blob)).read(use_threads=False)
