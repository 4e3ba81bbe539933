"""What must hold whenever anything arrives at the store: the journal as it truly is, held against what lies there."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from crash.late_store import Store
from crash.quick_parquet import decoded
from crash.virtual_time import Process
from voxmill.pipeline.state.journal import RunState

_JOURNAL = "run/ledger/journal/"
_to_json = RunState.to_json
"""As it is without any planted bug."""


@dataclass
class Oracle:
    """A watcher of a store. `problems` is what did not hold."""

    store: Store
    problems: list[str] = field(default_factory=list)
    state: RunState = field(default_factory=RunState)
    """All entries in the order in which they were created."""
    states: dict[int, str] = field(default_factory=dict)
    """The same after each entry."""
    stolen: set[str] = field(default_factory=set)
    """Files that somebody deleted who is not of the run."""
    revoked: str = ""
    """The recording that a revocation has reported to be gone."""
    processes: dict[int, Process] = field(default_factory=dict)
    leases: dict[int, list[float]] = field(default_factory=dict)
    """When each process wrote the lease."""
    committed: int = 0
    """Units of stages that were ever done."""

    def blame(self, problem: str) -> None:
        """Notes what went wrong, and when."""
        now = self.store.world.now if self.store.world else 0
        self.problems.append(f"{now:.3f} s: {problem}")

    def put(self, path: str, blob: bytes, old: bytes | None) -> None:
        """Something was written; `old`: over what."""
        if path == "run/lease.json" and self.store.world:
            self._lease(self.store.world.now, json.loads(blob)["pid"], json.loads(old)["pid"] if old else 0)
        if not path.startswith(_JOURNAL):
            return
        name = path.removeprefix(_JOURNAL)
        number = int(re.sub(r"\D", "", name))
        if name.startswith("state-"):
            self._folded(number, blob)
        elif old is not None and old != blob:
            self.blame(f"entry {number} of the journal was overwritten")
        elif number == self.state.number + 1:
            self._entry(json.loads(blob))

    def deleted(self, path: str) -> None:
        """Something that was there is not any more."""
        relative = path.removeprefix("run/")
        if relative in self.live() - self.stolen:
            self.blame(f"{relative} was deleted, and the journal names it")
        is_entry = path.startswith(_JOURNAL) and not path.startswith(f"{_JOURNAL}state-")
        if is_entry and self.newest() < int(path.removeprefix(_JOURNAL)[:-5]) <= self.state.number:
            self.blame(f"{relative} was deleted before its state was written")

    def steal(self, relative: str) -> None:
        """Somebody deletes a file."""
        self.stolen.add(relative)
        self.store.blobs.pop(f"run/{relative}")

    def live(self) -> set[str]:
        """What the journal needs: files of tables, and fragments with rows that are in no table."""
        stages = self.state.stages
        files = {name for one in stages.values() for chunk in one.chunks.values() for name in chunk.files}
        return files | {
            f"ledger/fragments/{info.name}.zip"
            for info in self.state.fragments.values()
            if any(not stages[key].folded.holds(*run) for key, units in info.stages.items() for run in units.runs)
        }

    def newest(self) -> int:
        """Up to which entry the newest folded state goes."""
        names = [p for p in self.store.blobs if p.startswith(f"{_JOURNAL}state-")]
        return max((int(re.sub(r"\D", "", name)) for name in names), default=-1)

    def _lease(self, now: float, pid: int, before: int) -> None:
        """Whoever takes a lease must have watched it for as long as a driver that lives takes to renew it."""
        mine, holder = self.processes[pid], self.processes.get(before)
        takes = pid not in self.leases
        self.leases.setdefault(pid, []).append(now)
        if not takes or holder is None or holder is mine or mine.disturbed or holder.disturbed or holder.dead or holder.over:
            return
        if self.leases[before][0] < mine.began and now - self.leases[before][-1] < 15:
            self.blame(f"{mine.name} took the lease of {holder.name}, which lives")

    def _entry(self, entry: dict[str, object]) -> None:
        before = {key: len(one.done) for key, one in self.state.stages.items()}
        strikes, named = dict(self.state.strikes), self.live()
        self.state.follow(entry)
        self.states[self.state.number] = plain(self.state)
        self.committed = max(self.committed, sum(len(one.done) for one in self.state.stages.values()))
        for missing in sorted(self.live() - named):
            self.stolen.discard(missing)
            if f"run/{missing}" not in self.store.blobs:
                self.blame(f"entry {self.state.number} names {missing}, which is not there")
            elif self.revoked and missing.endswith(".parquet") and self._holds(missing, self.revoked):
                self.blame(f"entry {self.state.number} names {missing}, which holds what was revoked")
        shrunk = [key for key, count in before.items() if len(self.state.stages[key].done) < count]
        if shrunk and not self.stolen:
            self.blame(f"entry {self.state.number} takes back what was done of {', '.join(shrunk)}")
        if any(self.state.strikes.get(name, 0) < count for name, count in strikes.items()):
            self.blame(f"entry {self.state.number} takes back strikes")

    def _holds(self, relative: str, recording: str) -> bool:
        table = decoded(self.store.blobs[f"run/{relative}"]).read()
        ids = {"id", "recording_id"} & set(table.column_names)
        return any(recording in table[name].to_pylist() for name in ids)

    def _folded(self, number: int, blob: bytes) -> None:
        if number < self.newest():
            return  # of somebody who is late; nobody reads it
        told = plain(RunState.from_json(json.loads(blob)))
        if number > self.state.number or told != self.states.get(number):
            self.blame(f"the folded state {number} is not what the entries say")


def plain(state: RunState) -> str:
    """A state as text."""
    return json.dumps(_to_json(state), sort_keys=True)
