"""The tables that are computed from the others (`manifests/timeline.py`): a file for each range of units, made again only where it would differ.

    manifests/<table>-<chunk>-<hash>.parquet, or <table>-<chunk>-<place>-<hash>.parquet

Ranges are those of the stages' own files (`chunk_ranges.py`). The hash is that of everything that a file is made of: the names of the stages'
files, which have hashes in them, and the packed samples of the range. Where the last catalog names such files, and they are there, nothing is
read and nothing is computed: what new units cost does not grow with what is old.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from voxmill.manifests.catalog import catalog_files, connect, table_sources
from voxmill.manifests.derived_records import DERIVED, Violation
from voxmill.manifests.ids import digest
from voxmill.manifests.parquet import table_bytes
from voxmill.manifests.schema import to_table
from voxmill.manifests.storage import commit_bytes
from voxmill.manifests.timeline import INPUTS, RULES, derive, derived_batches
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state import chunk_ranges
from voxmill.pipeline.state.chunks import place_of
from voxmill.pipeline.state.journal import Chunk
from voxmill.pipeline.state.positions import Positions
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import names_in

_PLACED = """
SELECT p.segment_id, p.num_samples, try_cast(regexp_extract(s.unit, '^[a-z](\\d+)', 1) AS BIGINT) AS position
FROM {samples} AS p LEFT JOIN {segments} AS s ON s.id = p.segment_id
"""
"""Packed samples, with the positions of the units that their segments are in: NULL where there is no such segment."""

_MARKS = """
SELECT position // {length} AS block, count(*) AS n, bit_xor(md5_number_lower(segment_id || ' ' || num_samples)) AS mark
FROM ({placed}) GROUP BY block ORDER BY block
"""


@dataclass(frozen=True, slots=True)
class _Part:
    """A range of units, with the files of the stages by table."""

    units: range
    files: Mapping[str, tuple[str, ...]]


def write_derived(
    run: Run, stages: Sequence[Stage], files: Mapping[str, Sequence[str]], own: Mapping[str, pa.Schema]
) -> dict[str, list[str]]:
    """Writes what is not there, and returns the files of each derived table, relative to the run.

    `files`: those of the tables of the whole run, `samples` and `unpacked` among them; `own`: schemas of the tables of the user's own stages.
    """
    con = connect()
    named, there = catalog_files(run.root), names_in(run.uri("manifests"))
    parts = _parts(run, stages, own) or [_Part(range(0), {})]
    marks = _marks(con, run, files)
    rules = digest([RULES, *(f"{name} {schema}" for name, schema in sorted(own.items())), *_unpacked(con, run, files)])
    wanted = [(part, f"{place_of(part.units)}-{_hash(rules, part, marks)}") for part in parts]
    stale = [(part, end) for part, end in wanted if not _is_there(end, named, there)]
    made = dict(_make(con, run, stale, files, own))
    found: dict[str, list[str]] = {name: [] for name in DERIVED}
    for _, end in wanted:
        for name in DERIVED:
            path = _path(name, end)
            if path in (made.get(end, named)):
                found[name].append(path)
    found["violations"] += _strays(con, run, files) if None in marks else []
    return found


def _parts(run: Run, stages: Sequence[Stage], own: Mapping[str, pa.Schema]) -> list[_Part]:
    """The ranges of all units that there are. A chunk whose files are divided otherwise, as an earlier version wrote it, is one range."""
    mine = [(name, stage) for stage in stages if (name := _table_of(stage)) and name in INPUTS | own.keys()]
    units = Positions([(0, run.listing.num_units)])
    parts = []
    for number in chunk_ranges.chunks_of(units):
        divided = chunk_ranges.ranges(units, number)
        chunks = {one: [(name, chunk) for name, stage in mine for chunk in _chunks(run, stage, one)] for one in divided}
        if any(chunk.first < one.start or chunk.end > one.stop for one, several in chunks.items() for _, chunk in several):
            first = number * chunk_ranges.UNITS
            whole = range(first, first + chunk_ranges.UNITS)
            chunks = {whole: [(name, chunk) for name, stage in mine for chunk in _chunks(run, stage, whole)]}
        for one, several in chunks.items():
            files: dict[str, tuple[str, ...]] = {}
            for name, chunk in several:
                files[name] = (*files.get(name, ()), chunk.rows)
            parts.append(_Part(one, files))
    return parts


def _table_of(stage: Stage) -> str | None:
    """The name under which `derive` wants a stage's rows: of recordings those that lie with their units, not with the listing."""
    if stage.name == "recordings":
        return "recordings"
    return None if stage.of.table == "recordings" else stage.of.table


def _chunks(run: Run, stage: Stage, units: range) -> Iterator[Chunk]:
    state = run.ledger.state.stage(stage.key)
    runs = state.folded.within(units.start, units.stop).runs
    found = {chunk.first: chunk for first, end in runs for chunk in state.chunks_in(first, end)}
    yield from found.values()


def _placed(con: Any, run: Run, files: Mapping[str, Sequence[str]]) -> str:
    sources = table_sources(con, run.root, {name: files.get(name, ()) for name in ("samples", "segments")})
    nothing = "(SELECT NULL::VARCHAR AS id, NULL::VARCHAR AS unit WHERE false)"
    return _PLACED.format(samples=sources["samples"], segments=sources.get("segments", nothing))


def _marks(con: Any, run: Run, files: Mapping[str, Sequence[str]]) -> dict[int | None, str]:
    """What is packed, by block of units: how many samples, and which. None: of units that are not there."""
    if not files.get("samples"):
        return {}
    rows = con.execute(_MARKS.format(length=chunk_ranges.LEAST, placed=_placed(con, run, files))).fetchall()
    return {block: f"{count} {mark}" for block, count, mark in rows}


def _unpacked(con: Any, run: Run, files: Mapping[str, Sequence[str]]) -> list[str]:
    """All that is known of samples that could not be packed: nothing, or a few rows."""
    if not files.get("unpacked"):
        return []
    source = table_sources(con, run.root, {"unpacked": files["unpacked"]})["unpacked"]
    return [repr(row) for row in con.execute(f"SELECT segment_id, reason FROM {source} ORDER BY ALL").fetchall()]


def _hash(rules: str, part: _Part, marks: Mapping[int | None, str]) -> str:
    blocks = range(part.units.start // chunk_ranges.LEAST, -(-part.units.stop // chunk_ranges.LEAST))
    packed = (f"{block} {marks[block]}" for block in blocks if block in marks)
    read = (f"{name} {path}" for name, paths in sorted(part.files.items()) for path in paths)
    return digest([rules, *read, *packed])[:12]


def _is_there(end: str, named: set[str], there: set[str]) -> bool:
    """Whether the last catalog names the files of a range, and all of those are there."""
    mine = [path for name in DERIVED if (path := _path(name, end)) in named]
    return _path("spans", end) in mine and all(path.rpartition("/")[2] in there for path in mine)


def _make(
    con: Any,
    run: Run,
    stale: Sequence[tuple[_Part, str]],
    files: Mapping[str, Sequence[str]],
    own: Mapping[str, pa.Schema],
) -> Iterator[tuple[str, set[str]]]:
    """Makes the files of ranges, one after the other: (how their names end, the files that there are)."""
    samples, unpacked = files.get("samples", ()), files.get("unpacked", ())
    if stale and samples:
        runs = Positions((part.units.start, part.units.stop) for part, _ in stale).runs
        asked = " OR ".join(_inside(*run) for run in runs) or "false"
        con.execute(f"CREATE TEMP TABLE placed AS FROM ({_placed(con, run, files)}) WHERE {asked} ORDER BY position")
    for part, end in stale:
        found = table_sources(con, run.root, {**part.files, "unpacked": unpacked})
        sources = {name: con.sql(_once(name, source)) for name, source in found.items()}
        if samples:
            mine = _inside(part.units.start, part.units.stop)
            sources["samples"] = con.sql(f"SELECT segment_id, num_samples FROM placed WHERE {mine}")
        made = set()
        for name, relation in derive(con, sources, own).items():
            table = pa.concat_tables(derived_batches(name, relation)).combine_chunks()
            if len(table) or name == "spans":
                commit_bytes(run.uri(_path(name, end)), table_bytes(table), replace=True)
                made.add(_path(name, end))
        yield end, made


def _inside(first: int, end: int) -> str:
    return f"position BETWEEN {first} AND {end - 1}"


def _once(name: str, source: str) -> str:
    """A recording lies with each of its units."""
    return f"SELECT DISTINCT ON (id) * FROM {source} ORDER BY id" if name == "recordings" else f"FROM {source}"


def _strays(con: Any, run: Run, files: Mapping[str, Sequence[str]]) -> list[str]:
    """Samples in shards of which no unit has the segment: of no range, and never in a sound run."""
    rows = con.execute(
        f"SELECT DISTINCT segment_id FROM ({_placed(con, run, files)}) WHERE position IS NULL ORDER BY ALL"
    ).fetchall()
    found = [Violation("pack", segment, "kept segments of a packed sample", 1, 0) for (segment,) in rows]
    path = "manifests/violations-00000.parquet"
    commit_bytes(run.uri(path), table_bytes(to_table(found, Violation)), replace=True)
    return [path]


def _path(name: str, end: str) -> str:
    return f"manifests/{name}-{end}.parquet"
