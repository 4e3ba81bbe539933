"""Brings a run that an earlier voxmill wrote, with a file for each unit of each stage, to the journal and tables of this one.

Nothing is made again: the rows are the same, in other files. Everything is prepared before one entry of the journal makes it valid, and the old
files go after that; killed anywhere, the command does it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from voxmill.manifests.duplicate_records import Fingerprint
from voxmill.manifests.errors import DamagedError
from voxmill.manifests.parquet import read_records, read_table
from voxmill.manifests.records import Item, Recording, Unit
from voxmill.manifests.storage import commit_bytes, locate
from voxmill.manifests.tables import RECORDS
from voxmill.manifests.user_input import json_object
from voxmill.pipeline.state import chunks
from voxmill.pipeline.state.fragment import Cost, FragmentRows, costs_table, keyed, rows_table
from voxmill.pipeline.state.journal import Chunk, StageState, chunks_entry
from voxmill.pipeline.state.listing import OUTCOMES, group_id
from voxmill.pipeline.state.positions import Positions, position_of
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import exists, names_in, read_bytes
from voxmill.sharding.index import INDEX

_OWN = ("journal", "fragments", "suspects", "unpacked", "plans", "list")
_RECORDS = {record.__name__: record for record in (*RECORDS.values(), Fingerprint)}
_FIX = "restore it, or start a new run"


def migrate_run(run: Run) -> int:
    """Migrates; returns how many files of units were brought over. Raises DamagedError for what cannot be read."""
    run.ledger.begin_migration()
    groups = _groups(run)
    if run.ledger.state.number >= 0:  # it was, and killed before the old files were gone
        _tidy(run, groups)
        return 0
    generations = _generations(run, groups)
    files: dict[str, list[Chunk]] = {}
    done: dict[str, Positions] = {}
    moved = 0
    for folder in sorted(names_in(run.uri("ledger")) - set(_OWN) - {"generations", "pack"}):
        for fingerprint in sorted(names_in(run.uri("ledger", folder))):
            key = f"{folder}/{fingerprint}"
            positions = _positions(run, key, groups)
            files[key], done[key] = _chunks(run, key, positions), Positions.of(positions)
            moved += len(positions)
    outcomes = OUTCOMES.key
    files[outcomes], done[outcomes] = _outcomes(run, groups, generations)
    for old, new in groups.items():
        if addresses := run.private.read(f"items/{old}"):
            run.private.write(f"items/{new}", addresses)
    _unpacked(run)
    units = max((g["units"][1] for g in generations if g["units"]), default=0)
    known = {"tabled": units if exists(run.uri("catalog.sql")) else 0}
    known["packed_units"] = units if exists(run.uri("shards", *INDEX.split("/"))) else 0
    run.ledger.append({"chunks": chunks_entry(files, done), "generations": generations, **known})
    _tidy(run, groups)
    return moved


def _groups(run: Run) -> dict[str, str]:
    """New ids of the groups of items by their old ones (generation and number), in order."""
    names = sorted(n.removesuffix(".parquet") for n in names_in(run.uri("ledger", "items", "v1")) if n.endswith(".parquet"))
    return {name: group_id(position) for position, name in enumerate(names)}


def _generations(run: Run, groups: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    first = unit = 0
    for name in sorted(n for n in names_in(run.uri("ledger", "generations")) if n.endswith(".json")):
        uri = run.uri("ledger", "generations", name)
        told = json_object(read_bytes(uri), uri, _FIX, DamagedError)
        end = first + sum(old.startswith(f"g{name[:4]}-") for old in groups)
        units = run.uri("ledger", "generations", f"{name[:4]}.units.parquet")
        count = (
            len(read_records(units, Unit))
            if f"{name[:4]}.units.parquet" in names_in(run.uri("ledger", "generations"))
            else None
        )
        span = None if count is None else [unit, unit + count]
        found.append({"sources": told["sources"], "facts": told["facts"], "groups": [first, end], "units": span})
        first, unit = end, unit + (count or 0)
    return found


def _positions(run: Run, key: str, groups: dict[str, str]) -> dict[int, str]:
    """File names of units by their positions."""
    names = sorted(n.removesuffix(".parquet") for n in names_in(run.uri("ledger", key)) if n.endswith(".parquet"))
    found = {position_of(groups.get(name, name)): name for name in names}
    return dict(sorted(found.items()))


def _chunks(run: Run, key: str, positions: dict[int, str]) -> list[Chunk]:
    files: list[Chunk] = []
    for number, one in chunks.by_chunk((position, _rows(run, key, position, name)) for position, name in positions.items()):
        costs = [cost for position in one.units if (cost := _cost(run, key, positions[position], position))]
        whole = FragmentRows(one.rows, costs_table(costs) if costs else None, one.units)
        files += chunks.merged(run, key, number, StageState(), [whole])[0]
    return files


def _rows(run: Run, key: str, position: int, name: str) -> pa.Table:
    uri = run.uri("ledger", key, f"{name}.parquet")
    fs, path = locate(uri)
    with fs.open(path, "rb") as source:
        metadata = pq.read_schema(source).metadata or {}
    record = _RECORDS.get(metadata.get(b"voxmill.record", b"").decode())
    table = read_table(uri, record) if record else pq.read_table(pa.BufferReader(read_bytes(uri)))
    of_run = record in (Item, Recording, Unit)
    if not of_run and "unit" not in table.column_names:
        table = table.append_column("unit", pa.array([name] * len(table), pa.string()))
    return keyed(table, position)


def _cost(run: Run, key: str, name: str, position: int) -> Cost | None:
    uri = run.uri("ledger", key, f"{name}.cost.json")
    try:
        told = json_object(read_bytes(uri), uri, "delete it: it says only what a unit cost", DamagedError)
    except FileNotFoundError:
        return None
    stage, _, engine = key.partition("/")[0].partition("-")
    return Cost(name if name.startswith("u") else group_id(position), stage, engine or None, **told)


def _outcomes(run: Run, groups: dict[str, str], generations: list[dict[str, Any]]) -> tuple[list[Chunk], Positions]:
    """The verdicts of each generation, by group."""
    done = Positions()

    def rows() -> Iterator[tuple[int, list[Recording]]]:
        for number, generation in enumerate(generations):
            if generation["units"] is None:
                continue
            listed = read_records(run.uri("ledger", "generations", f"{number:04d}.recordings.parquet"), Recording)
            by_item = {recording.item_id: recording for recording in listed}
            mine = [old for old, new in groups.items() if generation["groups"][0] <= position_of(new) < generation["groups"][1]]
            for old in mine:
                items = read_records(run.uri("ledger", "items", "v1", f"{old}.parquet"), Item)
                yield position_of(groups[old]), [by_item[item.id] for item in items if item.id in by_item]

    files: list[Chunk] = []
    for number, one in chunks.by_chunk((n, rows_table(OUTCOMES, group_id(n), n, mine)) for n, mine in rows()):
        files += chunks.merged(run, OUTCOMES.key, number, StageState(), [one])[0]
        done.update(one.units.runs)
    return files, done


def _unpacked(run: Run) -> None:
    for fingerprint in sorted(n for n in names_in(run.uri("ledger", "pack")) if not n.endswith(".parquet")):
        for name in sorted(names_in(run.uri("ledger", "pack", fingerprint))):
            if name.endswith(".parquet"):
                commit_bytes(
                    run.uri("ledger", "unpacked", fingerprint, name), read_bytes(run.uri("ledger", "pack", fingerprint, name))
                )


def _tidy(run: Run, groups: dict[str, str]) -> None:
    """Removes what nothing reads any more."""
    fs, root = locate(run.uri("ledger"))
    for folder in sorted(names_in(run.uri("ledger")) - set(_OWN)):
        fs.rm(f"{root}/{folder}", recursive=True)
    for old in groups:
        run.private.write(f"items/{old}", {})
