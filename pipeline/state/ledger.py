"""The ledger: which stage has done which unit, and the rows that it made of it.

What is done stands in the journal (`journal.py`); rows lie in the fragments of workers (`fragment.py`) until they are folded into the chunks of
their stage (`chunks.py`). Anybody may read; only the driver that holds the run's lease writes to the journal and folds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from voxmill.manifests.schema import UNIT_INDEX, from_table, migrate
from voxmill.manifests.storage import remove
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state import chunk_ranges, chunks
from voxmill.pipeline.state.chunks import ChunkReader
from voxmill.pipeline.state.fragment import (
    FOLDER,
    Fragment,
    FragmentInfo,
    FragmentRows,
    fragment_uri,
    in_order,
    read_fragment,
    rows_table,
)
from voxmill.pipeline.state.journal import Chunk, Journal, RunState, chunks_entry
from voxmill.pipeline.state.positions import Positions, position_of
from voxmill.pipeline.state.run_dir import RunDir, RunError, names_in

FOLDED_BYTES = 64 * 2**20
"""Size in memory of the rows of fragments that are folded together."""

AT_ONCE = 32
"""Units whose rows are in memory together while a stage is read."""

READERS = 24
"""Chunks that are kept open for single units; each holds its file and one row group."""


class Ledger:
    """The state of a run. Read when it is first asked for, and kept: `refresh` reads it again."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._journal: Journal | None = None
        self._readers: dict[str, ChunkReader] = {}
        self._fragment: tuple[str, dict[str, FragmentRows]] = ("", {})
        self._spent: set[str] = set()
        """Fragments that were folded here and not removed yet."""
        self._folded_before: set[str] = set()
        """Those of them that were folded before the last time."""

    @property
    def journal(self) -> Journal:
        """The run's journal, as this process read or wrote it last. Raises RunError where the run must be migrated first."""
        if self._journal is None:
            journal = Journal(self.run)
            if journal.state.number < 0 and names_in(self.run.uri("ledger", "generations")):
                raise RunError(
                    f"{self.run.root} was written by an earlier voxmill, in another form: bring it over with "
                    f"`voxmill migrate {self.run.root}` (nothing is heard again)"
                )
            self._journal = journal
        return self._journal

    def begin_migration(self) -> None:
        """Opens the journal of a run that has none yet, whatever else lies there. For `migrate_run.py`."""
        self._journal = Journal(self.run)

    @property
    def state(self) -> RunState:
        """What the journal says."""
        return self.journal.state

    def refresh(self) -> None:
        """Forgets what was read: another process may have written meanwhile."""
        self._journal, self._readers = None, {}

    def clear_readers(self) -> None:
        """Lets go of files that have been replaced."""
        self._readers = {}

    def done(self, stage: Stage) -> Positions:
        """The units of a stage that are done."""
        return self.state.done(stage.key)

    def is_done(self, stage: Stage, unit: str) -> bool:
        """Whether a unit is done."""
        return unit in self.done(stage)

    def read(self, stage: Stage, unit: str | int) -> list[Any]:
        """A unit's rows, as records of the type that the stage writes.

        Raises FileNotFoundError where it is not done or its file is gone, DamagedError or SchemaError where that cannot be read.
        """
        position = position_of(unit) if isinstance(unit, str) else unit
        return self._records(stage, self.table(stage, position))

    def table(self, stage: Stage, position: int) -> pa.Table:
        """A unit's rows as they lie in the table of the stage, without their position. Raises like `read`."""
        mine = self.state.stages.get(stage.key)
        if mine is None or position not in mine.done:
            raise FileNotFoundError(f"{stage.name} is not done for unit {position} of {self.run.root}")
        if position in mine.folded:
            (chunk,) = mine.chunks_in(position, position + 1)
            return self._reader(chunk).read(position)
        (name,) = [f.name for f in self.state.fragments.values() if position in f.stages.get(stage.key, ())][:1]
        return chunks.only(self._rows_of(name)[stage.key].rows, Positions.of([position])).drop_columns([UNIT_INDEX])

    def scan(self, stage: Stage, first: int = 0, end: int | None = None) -> Iterator[tuple[int, list[Any]]]:
        """(position, rows) of every unit that is done, in order; a few units in memory at a time."""
        for held, table in self.scan_tables(stage, first, end):
            rows, numbers = self._records(stage, table), table[UNIT_INDEX].to_numpy()
            for position in held:
                begin, after = numbers.searchsorted((position, position + 1))
                yield position, rows[begin:after]

    def scan_tables(
        self, stage: Stage, first: int = 0, end: int | None = None, at_once: int = AT_ONCE
    ) -> Iterator[tuple[Positions, pa.Table]]:
        """Which units are done, and their rows as they lie in the table of the stage: `at_once` positions at a time, in order."""
        done = self.done(stage)
        for at in range(first - first % at_once, done.end if end is None else min(end, done.end), at_once):
            held = done.within(max(at, first), at + at_once if end is None else min(at + at_once, end))
            if held.end:
                yield held, self._rows(stage, held)

    def _rows(self, stage: Stage, held: Positions) -> pa.Table:
        """The rows of units that are done."""
        mine, rest = self.state.stages[stage.key], Positions(held.runs)
        tables = list[pa.Table]()
        for first, end in (run for a, b in held.runs for run in mine.folded.within(a, b).runs):
            tables += (self._reader(chunk).span(first, end) for chunk in mine.chunks_in(first, end))
            rest.discard(first, end)
        for info in list(self.state.fragments.values()) if rest.end else ():
            units = Positions(run for a, b in rest.runs for run in info.stages.get(stage.key, Positions()).within(a, b).runs)
            if units.end:
                tables.append(chunks.only(self._rows_of(info.name)[stage.key].rows, units))
                for run in units.runs:
                    rest.discard(*run)
        return tables[0] if len(tables) == 1 else in_order(pa.concat_tables(tables))

    def ids(self, stage: Stage, runs: Iterable[Sequence[int]]) -> Iterator[str]:
        """The column `id` of the rows of these ranges of units, one chunk in memory at a time: ids of units, say."""
        for first, end in runs:
            for chunk in self.state.stages[stage.key].chunks_in(first, end):
                table = chunks.read_rows(self.run, chunk, ["id", UNIT_INDEX])
                yield from chunks.only(table, Positions([(first, end)]))["id"].to_pylist()  # type: ignore[misc]

    def chunk_files(self, stage: Stage) -> list[Chunk]:
        """The chunks of a stage in order."""
        mine = self.state.stages.get(stage.key)
        return [mine.chunks[first] for first in sorted(mine.chunks)] if mine else []

    def write(self, stage: Stage, rows: Iterable[tuple[str | int, Sequence[Any]]]) -> int:
        """Writes units' rows into the chunks of a stage and commits them. Returns how many units are done now that were not.

        For the driver's own stages: units (by id or position) come in the order of their positions, and their rows are never all in memory.
        """
        before = len(self.done(stage))
        self.append({"chunks": self.prepare(stage, rows)})
        return len(self.done(stage)) - before

    def prepare(self, stage: Stage, rows: Iterable[tuple[str | int, Sequence[Any]]]) -> dict[str, Any]:
        """Like `write`, without committing: what the key `chunks` of an entry must say to do so."""
        numbered = ((key, key if isinstance(key, int) else position_of(key), mine) for key, mine in rows)
        tables = ((position, rows_table(stage, str(key), position, mine)) for key, position, mine in numbered)
        added = Positions()
        files: list[Chunk] = []
        old = self.state.stage(stage.key)
        for number, one in chunks.by_chunk(tables):
            files += chunks.merged(self.run, stage.key, number, old, [one])[0]
            added.update(one.units.runs)
        return chunks_entry({stage.key: files}, {stage.key: added})

    def append(self, entry: Mapping[str, Any]) -> None:
        """Appends one entry to the journal. Raises RunError where another driver has written meanwhile."""
        self.journal.append(entry)

    def begin(self) -> None:
        """A driver's first entry. Nobody who was there before writes any more: what nobody names is this driver's to take or remove.

        Raises RunError where somebody writes at the same time. What a driver sent that is no more may still arrive once.
        """
        self.refresh()
        try:
            self.journal.begin()
        except RunError:
            self.refresh()
            self.journal.begin()

    def adopt(self, refuses: Callable[[pa.Table], bool] = lambda rows: False) -> None:
        """Takes what workers of an earlier driver committed and nobody journalled, and removes what is of no use.

        A fragment is of use where it holds a unit that is not done, and no rows that are refused.
        """
        found = list[FragmentInfo]()
        for name in self._unnamed():
            info, held = read_fragment(self.run, name)
            if self._is_of_use(info) and not any(refuses(one.rows) for one in held.values()):
                found.append(info)
            else:
                remove(fragment_uri(self.run, name))
        if found:
            self.append({"fragments": [info.to_json() for info in found]})

    def _unnamed(self) -> list[str]:
        """Fragments that lie in the run and that the journal does not name (any more)."""
        names = sorted(name.removesuffix(".zip") for name in names_in(self.run.uri(*FOLDER)) if name.endswith(".zip"))
        return [name for name in names if name not in self.state.fragments]

    def _is_of_use(self, info: FragmentInfo) -> bool:
        return any(not self.state.done(key).holds(*run) for key, units in info.stages.items() for run in units.runs)

    def fold(self) -> None:
        """Brings all fragments into the chunks of their stages, and removes those that the fold before this one has brought there: by now no
        worker reads them.

        Costs what is new: only chunks with new units are written. Killed anywhere, the next one does the rest.
        """
        while fragments := self._batch():
            self._fold(fragments)
        self.journal.fold()
        self._readers = {}
        if older := self._spent & self._folded_before:
            self.journal.confirm()
            for name in sorted(older):
                remove(fragment_uri(self.run, name))
            self._spent -= older
        self._folded_before = set(self._spent)

    def _batch(self) -> list[str]:
        """Fragments that are folded together: what is in memory at once is bounded."""
        total, names = 0, list[str]()
        for info in self.state.fragments.values():
            names.append(info.name)
            total += info.row_bytes
            if total >= FOLDED_BYTES:
                break
        return names

    def _fold(self, fragments: Sequence[str]) -> None:
        files: dict[str, list[Chunk]] = {}
        done: dict[str, Positions] = {}
        notes: list[str] = []
        opened = [Fragment(self.run, name) for name in fragments]
        for key in dict.fromkeys(key for one in opened for key in one.info.stages):  # the rows of one stage in memory
            added: dict[int, list[FragmentRows]] = {}
            for rows in (one.rows(key) for one in opened if key in one.info.stages):
                done.setdefault(key, Positions()).update(rows.units.runs)
                for number in chunk_ranges.chunks_of(rows.units):
                    added.setdefault(number, []).append(rows)
            for number, several in added.items():
                merged, said = chunks.merged(self.run, key, number, self.state.stage(key), several)
                files.setdefault(key, []).extend(merged)
                notes += said
        self.append({"chunks": chunks_entry(files, done), "folded": list(fragments), "notes": notes})
        self._spent.update(fragments)

    def sweep(self, keep: Collection[str] = ()) -> int:
        """Removes fragments of which nothing is needed, and files of tables that neither the journal names nor `keep` (paths in the run).

        Returns how many. A fragment with a unit that is not done stays: if this driver was overtaken, the next one may have taken it.
        """
        live = set(keep) | {name for one in self.state.stages.values() for chunk in one.chunks.values() for name in chunk.files}
        fragments = [
            fragment_uri(self.run, name)
            for name in self._unnamed()
            if name in self._spent or not self._is_of_use(Fragment(self.run, name).info)
        ]
        files = [
            self.run.uri(path)
            for key in sorted(self.state.stages)
            for name in sorted(names_in(self.run.uri(chunks.FOLDER, key)))
            if (path := f"{chunks.FOLDER}/{key}/{name}") not in live
        ]
        if fragments or files:
            self.journal.confirm()  # after looking: what was there before the next driver began is not its own
        self._spent.clear()
        return sum(map(remove, [*fragments, *files]))

    def lost(self) -> dict[str, list[Chunk]]:
        """Chunks that the journal names and whose file is gone, by stage key: somebody deleted them, and they are to be made anew."""
        found: dict[str, list[Chunk]] = {}
        for key, one in self.state.stages.items():
            there = (
                {f"{chunks.FOLDER}/{key}/{name}" for name in names_in(self.run.uri(chunks.FOLDER, key))}
                if one.chunks
                else set()
            )
            if gone := [chunk for _, chunk in sorted(one.chunks.items()) if chunk.rows not in there]:
                found[key] = gone
        return found

    def forget_costs(self) -> None:
        """Takes costs whose file is gone out of the books: they were measured, and nothing is heard again for them."""
        bare: dict[str, list[Chunk]] = {}
        for key, one in self.state.stages.items():
            if one.chunks:
                there = {f"{chunks.FOLDER}/{key}/{name}" for name in names_in(self.run.uri(chunks.FOLDER, key))}
                gone = [c for c in one.chunks.values() if c.rows in there and c.costs and c.costs not in there]
                bare |= {key: [replace(chunk, costs=None) for chunk in gone]} if gone else {}
        if bare:
            self.append({"chunks": chunks_entry(bare, {})})

    def lost_fragments(self) -> list[str]:
        """Fragments that the journal names and that are gone."""
        if not self.state.fragments:
            return []
        there = {name.removesuffix(".zip") for name in names_in(self.run.uri(*FOLDER))}
        return [name for name in self.state.fragments if name not in there]

    def forget(self, gone: Mapping[str, Sequence[Chunk]], fragments: Sequence[str] = ()) -> None:
        """Takes the units of chunks, and those of fragments that are nowhere else, out of the books, so that they are made again."""
        if not (gone or fragments):
            return
        lost, kept = _runs(gone), self.state.fragments.keys() - set(fragments)
        for name in fragments:
            for key, units in self.state.fragments[name].stages.items():
                rest = Positions(units.runs)
                for other in (self.state.stage(key).folded, *(self.state.fragments[one].stages.get(key) for one in kept)):
                    for run in other.runs if other else ():
                        rest.discard(*run)
                lost.setdefault(key, []).extend(rest.runs)
        self.append({"lost": lost, "folded": list(fragments)})

    def overlook(self, gone: Mapping[str, Sequence[Chunk]]) -> None:
        """Like `forget`, for this process alone: what is gone is not done to whoever only reads."""
        self.state.apply({"lost": _runs(gone)})

    def strikes(self, stage: Stage, unit: str) -> int:
        """How many workers a unit has cost a stage.

        What was in hand when a driver died may have been its end: a quarter of those counts, so that an input that takes its whole
        machine down is found in the end.
        """
        name = f"{stage.key} {unit}"
        return self.state.strikes.get(name, 0) + self.state.suspected.get(name, 0) // 4

    def _rows_of(self, fragment: str) -> dict[str, FragmentRows]:
        """What a fragment holds by stage key; the one that was read last is kept."""
        if self._fragment[0] != fragment:
            self._fragment = fragment, read_fragment(self.run, fragment)[1]
        return self._fragment[1]

    def _reader(self, chunk: Chunk) -> ChunkReader:
        reader = self._readers.pop(chunk.rows, None) or ChunkReader(self.run, chunk)
        self._readers[chunk.rows] = reader  # the last used at the end
        if len(self._readers) > READERS:
            del self._readers[next(iter(self._readers))]
        return reader

    def _records(self, stage: Stage, table: pa.Table) -> list[Any]:
        where = f"{stage.name} of {self.run.root}"
        if "unit" in table.column_names and "unit" not in stage.writes.__dataclass_fields__:  # type: ignore[attr-defined]
            table = table.drop_columns(["unit"])
        return from_table(migrate(table, stage.writes, where), stage.writes, where)


def _runs(gone: Mapping[str, Sequence[Chunk]]) -> dict[str, list[list[int]]]:
    return {key: [[chunk.first, chunk.end] for chunk in several] for key, several in gone.items()}
