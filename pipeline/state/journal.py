"""The journal: what of a run is done, as numbered entries that only the driver with the lease appends.

    ledger/journal/00000000000000000042.json    one entry; created, never overwritten: the first to create a number has it
    ledger/journal/state-00000000000000000040.json  all entries up to that number, folded; derived, so that old entries can go

An entry is a JSON object with any of the keys that `RunState.apply` knows. What no entry names is not done, whatever lies in the run: a
fragment of a worker whose driver died is adopted or removed by the next one (`ledger.py`).

A driver that lost its lease finds the number taken that it wants to write, and stops: the next driver's first entry has it. So the first
entries of drivers stay when the others are folded, or a driver that comes back late would find its number free again.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voxmill.manifests.errors import DamagedError
from voxmill.manifests.storage import NondeterministicError, commit_bytes, remove
from voxmill.manifests.user_input import json_object
from voxmill.pipeline.state import chunk_ranges
from voxmill.pipeline.state.fragment import FragmentInfo
from voxmill.pipeline.state.positions import Positions
from voxmill.pipeline.state.run_dir import RunDir, RunError, names_in, read_bytes

FOLDER = ("ledger", "journal")
_NAME = re.compile(r"(state-)?\d{20}\.json")
_BEGINNINGS = 64
"""First entries of drivers that stay: so many drivers may come and go while one of them is away."""
_READS = 3
"""How often a journal is read that is folded meanwhile."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The files that hold the rows of one stage for a range of units (see `chunk_ranges.py`), relative to the run."""

    first: int
    """Position of the first unit of the range."""
    units: int
    """Length of the range. Not all of its units need be done."""
    rows: str
    num_rows: int
    num_bytes: int
    costs: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Both files, or the one that there is."""
        return (self.rows, self.costs) if self.costs else (self.rows,)

    @property
    def end(self) -> int:
        """One more than the position of the last unit of the range."""
        return self.first + self.units


@dataclass(slots=True)
class StageState:
    """What is done of one stage under one fingerprint."""

    done: Positions = field(default_factory=Positions)
    folded: Positions = field(default_factory=Positions)
    """Those of them whose rows are in chunks; the others are in fragments."""
    chunks: dict[int, Chunk] = field(default_factory=dict)
    """By the position of their first unit; no two have a unit in common."""

    def chunk_at(self, position: int) -> Chunk | None:
        """The chunk whose range a unit is in."""
        for length in chunk_ranges.lengths():
            chunk = self.chunks.get(position - position % length)
            if chunk and position < chunk.end:
                return chunk
        return None

    def chunks_in(self, first: int, end: int) -> Iterator[Chunk]:
        """The chunks that hold the units of `[first, end)`, in order. Raises KeyError where there is none for a unit."""
        while first < end:
            if (chunk := self.chunk_at(first)) is None:
                raise KeyError(first)
            yield chunk
            first = chunk.end

    def put(self, chunk: Chunk) -> None:
        """Takes a chunk in. Those that it has units in common with go: whoever divides a range anew puts all of its parts."""
        inside = range(chunk.first, chunk.end, chunk_ranges.LEAST)
        around = (chunk.first - chunk.first % length for length in chunk_ranges.lengths())
        for first in {*inside, *around}:
            if (other := self.chunks.get(first)) and other.first < chunk.end and chunk.first < other.end:
                del self.chunks[first]
        self.chunks[chunk.first] = chunk

    def lose(self, runs: Iterable[Sequence[int]]) -> None:
        """Takes units out, and chunks of which none is left."""
        for first, end in runs:
            self.done.discard(first, end)
            self.folded.discard(first, end)
        for chunk in [chunk for chunk in self.chunks.values() if not self.folded.meets(chunk.first, chunk.end)]:
            del self.chunks[chunk.first]


@dataclass(slots=True)
class Generation:
    """What one listing added to the run."""

    sources: list[str]
    """Keys of the sources that were new in it."""
    facts: dict[str, dict[str, str | None]]
    """What the config stated of them (see `metadata_overrides.py`)."""
    groups: tuple[int, int]
    """Positions of its groups of items, `[first, end)`."""
    units: tuple[int, int] | None = None
    """Positions of its units; None until everything in it is fetched and decoded."""


@dataclass(slots=True)
class RunState:
    """All entries of a journal, folded."""

    number: int = -1
    """That of the last entry."""
    stages: dict[str, StageState] = field(default_factory=dict)
    fragments: dict[str, FragmentInfo] = field(default_factory=dict)
    """Committed, and not folded into tables yet."""
    generations: list[Generation] = field(default_factory=list)
    strikes: dict[str, int] = field(default_factory=dict)
    """By stage key and unit, as in `segment/ab12 u0000007-5f3a`: how many workers it has cost."""
    suspected: dict[str, int] = field(default_factory=dict)
    """Likewise: in how many drivers' last minute it was in work."""
    in_flight: list[str] = field(default_factory=list)
    """What the present driver's workers have in hand."""
    notes: list[str] = field(default_factory=list)
    """What is no fault and should be known: a unit that came out otherwise on another type of CPU."""
    tabled: int = 0
    """Units that were there when the tables were last written."""
    packed_units: int = 0
    """Units that were there when the shards were last written."""
    packed: str = ""
    """What the shards were last made of (see `runner.py`)."""
    allowed: tuple[str, int] = ("", 0)
    """The deny-list (its digest) that the recordings of so many generations were last compared with, and none was on it."""
    beginnings: list[int] = field(default_factory=list)
    """Numbers of the first entries of the last drivers."""
    writer: str = ""
    """Who wrote the last entry."""
    catalog: str = ""
    """The sha256 of the catalog that was written last."""
    written_at: float | None = None
    """When the last entry was written, by its writer's clock (s since 1970): for `voxmill status`, and for nothing that decides."""

    def stage(self, key: str) -> StageState:
        """That of a stage key; an empty one where nothing of it is done."""
        return self.stages.setdefault(key, StageState())

    def done(self, key: str) -> Positions:
        """Units that are done, in tables or in fragments."""
        found = self.stages.get(key)
        return found.done if found else Positions()

    def apply(self, entry: Mapping[str, Any]) -> None:
        """Folds one entry in."""
        for told in entry.get("fragments", ()):
            info = FragmentInfo.from_json(told)
            self.fragments[info.name] = info
            for key, units in info.stages.items():
                self.stage(key).done.update(units.runs)
        for key, written in entry.get("chunks", {}).items():
            mine = self.stage(key)
            mine.folded.update(written.get("done", ()))
            mine.done.update(written.get("done", ()))
            for chunk in _chunks(written["files"]):
                mine.put(chunk)
        for name in entry.get("folded", ()):
            self.fragments.pop(name, None)
        for key, runs in entry.get("lost", {}).items():
            self.stage(key).lose(runs)
        if told := entry.get("generation"):
            self.generations.append(_generation(told))
        self.generations += map(_generation, entry.get("generations", ()))
        if formed := entry.get("formed"):
            self.generations[formed["generation"]].units = (formed["units"][0], formed["units"][1])
        self.strikes.update(entry.get("strikes", {}))
        if entry.get("begins"):  # whoever had these in hand is no more
            for name in self.in_flight:
                self.suspected[name] = self.suspected.get(name, 0) + 1
            self.in_flight = []
        self.in_flight = entry.get("in_flight", self.in_flight)
        self.notes += (note for note in entry.get("notes", ()) if note not in self.notes)
        self.tabled = entry.get("tabled", self.tabled)
        self.packed_units = entry.get("packed_units", self.packed_units)
        self.packed = entry.get("packed", self.packed)
        self.allowed = tuple(entry.get("allowed", self.allowed))
        self.catalog = entry.get("catalog", self.catalog)
        self.written_at = entry.get("at", self.written_at)

    def follow(self, entry: Mapping[str, Any]) -> None:
        """Folds the entry in that comes next in the journal."""
        self.apply(entry)
        self.number += 1
        if (writer := entry.get("writer", "")) != self.writer:
            self.writer, self.beginnings = writer, [*self.beginnings, self.number][-_BEGINNINGS:]

    def to_json(self) -> dict[str, Any]:
        """As it is written beside the journal."""
        return {
            "number": self.number,
            "stages": {
                key: {
                    "done": one.done.runs,
                    "folded": one.folded.runs,
                    "files": {str(first): _plain(chunk) for first, chunk in sorted(one.chunks.items())},
                }
                for key, one in sorted(self.stages.items())
            },
            "fragments": [info.to_json() for info in self.fragments.values()],
            "generations": [
                {"sources": g.sources, "facts": g.facts, "groups": g.groups, "units": g.units} for g in self.generations
            ],
            **{name: getattr(self, name) for name in (*_PLAIN, *_ADDED, "allowed")},
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> RunState:
        """The inverse of `to_json`. Raises KeyError, TypeError, ValueError where it is none."""
        state = cls(int(told["number"]))
        for key, one in told["stages"].items():
            chunks = {chunk.first: chunk for chunk in _chunks(one["files"])}
            state.stages[key] = StageState(Positions(one["done"]), Positions(one["folded"]), chunks)
        infos = map(FragmentInfo.from_json, told["fragments"])
        state.fragments = {info.name: info for info in infos}
        state.generations = [_generation(one) for one in told["generations"]]
        for name in _PLAIN:
            setattr(state, name, told[name])
        for name in _ADDED:
            setattr(state, name, told.get(name, getattr(state, name)))
        state.allowed = tuple(told.get("allowed", state.allowed))
        return state


_PLAIN = ("strikes", "suspected", "in_flight", "notes", "tabled", "packed_units", "packed", "written_at")
_ADDED = ("beginnings", "writer", "catalog")
"""Parts of a state that are written as they are; those of `_ADDED` are not in states of before they were kept."""


class Journal:
    """The journal of a run. Opening reads it: one listing, the folded state, and what came after it."""

    def __init__(self, run: RunDir) -> None:
        self._run, self._writer = run, uuid.uuid4().hex
        self._folded_to = -1
        self.state = self.read()

    def read(self) -> RunState:
        """What the store holds now. Raises DamagedError."""
        for _ in range(_READS - 1):
            try:
                return self._read()
            except (FileNotFoundError, DamagedError):  # folded between the listing and the reading; if not, it stays so
                continue
        try:
            return self._read()
        except FileNotFoundError as error:
            raise DamagedError(f"{error.filename or error} is missing: restore it, or start a new run") from error

    def _read(self) -> RunState:
        names = names_in(self._run.uri(*FOLDER))
        states = sorted(name for name in names if name.startswith("state-") and name.endswith(".json"))
        state = self._folded(states[-1]) if states else RunState()
        self._folded_to = state.number
        numbers = sorted(int(name[:-5]) for name in names if name[:-5].isdigit() and name.endswith(".json"))
        for number in (n for n in numbers if n > state.number):
            if number != state.number + 1:
                raise DamagedError(f"{self._uri(state.number + 1)} is missing: restore it, or start a new run")
            uri = self._uri(number)
            state.follow(json_object(read_bytes(uri), uri, "restore it: it says what is done", DamagedError))
        return state

    def damaged_beginnings(self) -> list[str]:
        """First entries of drivers that cannot be read any more: nothing is lost with them but the guard against a driver that comes back."""
        found = []
        for number in self.state.beginnings:
            uri = self._uri(number)
            try:
                json_object(read_bytes(uri), uri, "restore it", DamagedError)
            except FileNotFoundError:
                found.append(f"{uri} is missing")
            except DamagedError as error:
                found.append(str(error))
        return found

    def append(self, entry: Mapping[str, Any]) -> None:
        """Commits one entry and folds it in. Raises RunError where another driver has written meanwhile."""
        number = self.state.number + 1
        blob = json.dumps(
            {"writer": self._writer, "at": round(time.time(), 3), **entry}, sort_keys=True, ensure_ascii=False
        ).encode()
        try:
            commit_bytes(self._uri(number), blob)
        except NondeterministicError:
            raise self._overtaken() from None
        self.state.follow(json.loads(blob))

    def begin(self) -> None:
        """Commits a driver's first entry. Raises RunError where another driver has written meanwhile.

        So too where that one has folded what it wrote: the number that it had taken was free again when this entry arrived.
        """
        self.append({"begins": True})
        states = (name for name in names_in(self._run.uri(*FOLDER)) if _NAME.fullmatch(name) and name.startswith("state-"))
        if any(int(name[:-5].removeprefix("state-")) >= self.state.number for name in states):
            raise self._overtaken()

    def fold(self) -> None:
        """Writes the folded state, then removes the entries and states that it replaces."""
        number = self.state.number
        if number == self._folded_to:
            return
        name = f"state-{number:020d}.json"
        blob = json.dumps(self.state.to_json(), sort_keys=True, ensure_ascii=False).encode()
        commit_bytes(self._run.uri(*FOLDER, name), blob, replace=True)
        self._folded_to = number
        numbers = self._numbers()
        for old in sorted(numbers.keys() - {name, *(f"{first:020d}.json" for first in self.state.beginnings)}):
            remove(self._run.uri(*FOLDER, old))

    def confirm(self) -> None:
        """Raises RunError where another driver has written meanwhile: what this one knows of the run is no longer so."""
        self._numbers()

    def _numbers(self) -> dict[str, int]:
        names = names_in(self._run.uri(*FOLDER))
        numbers = {name: int(name[:-5].removeprefix("state-")) for name in names if _NAME.fullmatch(name)}
        if max(numbers.values(), default=-1) > self.state.number:
            raise self._overtaken()
        return numbers

    def _overtaken(self) -> RunError:
        return RunError(
            f"another driver has written to {self._run.root} meanwhile: this one stopped. "
            "What it committed stays; run again when the other one has ended"
        )

    def _folded(self, name: str) -> RunState:
        uri = self._run.uri(*FOLDER, name)
        told = json_object(read_bytes(uri), uri, "restore it: it says what is done", DamagedError)
        try:
            return RunState.from_json(told)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedError(f"{uri} is not what voxmill writes ({error}): restore it, or start a new run") from error

    def _uri(self, number: int) -> str:
        return self._run.uri(*FOLDER, f"{number:020d}.json")


def chunks_entry(chunks: Mapping[str, Sequence[Chunk]], done: Mapping[str, Positions]) -> dict[str, Any]:
    """The part of an entry that says which files hold the rows of which stage now, and which units they add."""
    return {
        key: {"files": {str(c.first): _plain(c) for c in files}, "done": done[key].runs if key in done else []}
        for key, files in chunks.items()
    }


def _plain(chunk: Chunk) -> dict[str, Any]:
    told = {"rows": chunk.rows, "num_rows": chunk.num_rows, "num_bytes": chunk.num_bytes, "costs": chunk.costs}
    return {**told, "units": chunk.units}


def _chunks(files: Mapping[str, Mapping[str, Any]]) -> Iterator[Chunk]:
    """Chunks as they are written, by their first unit; before there were shorter ones, by their number."""
    for place, told in files.items():
        first = int(place) * (1 if "units" in told else chunk_ranges.UNITS)
        yield Chunk(**{"units": chunk_ranges.UNITS, **told, "first": first})


def _generation(told: Mapping[str, Any]) -> Generation:
    units = told.get("units")
    first, end = told["groups"]
    return Generation(list(told["sources"]), dict(told["facts"]), (first, end), (units[0], units[1]) if units else None)
