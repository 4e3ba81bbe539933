"""Bugs of the protocol, planted into the run's own code one at a time: the simulation must find each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

from crash import drivers
from crash.late_store import STORE
from crash.speech import stone
from voxmill.manifests.storage import commit_bytes, remove
from voxmill.pipeline.rights.request import apply_tombstones
from voxmill.pipeline.state import chunks, fragment
from voxmill.pipeline.state.driver_lease import Lease
from voxmill.pipeline.state.fragment import FragmentInfo, FragmentWriter, fragment_uri
from voxmill.pipeline.state.journal import FOLDER, Journal, RunState
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.positions import Positions
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import names_in

Planted = AbstractContextManager[object]


@contextmanager
def journal_before_data() -> Iterator[None]:
    """A worker tells its driver of a fragment, and commits it afterwards."""
    whole = FragmentWriter.flush

    def early(self: FragmentWriter) -> list[FragmentInfo]:
        with patch.object(fragment, "commit_bytes", _put_later):
            return whole(self)

    with patch.object(FragmentWriter, "flush", early):
        yield


@contextmanager
def lease_not_checked() -> Iterator[None]:
    """A driver takes the run, whoever has it."""
    with patch.object(Lease, "refuse", lambda self: None), patch.object(Lease, "_wait_for", lambda self, lease: None):
        yield


@contextmanager
def no_first_entry() -> Iterator[None]:
    """A driver that takes over writes nothing: whoever was there before does not notice."""
    with patch.object(Ledger, "begin", lambda self: self.refresh()):
        yield


@contextmanager
def compaction_deletes_first() -> Iterator[None]:
    """Fragments are removed before the journal names the tables that hold their rows."""
    whole = Ledger.append

    def late(self: Ledger, entry: Mapping[str, Any]) -> None:
        for name in entry.get("folded", ()):
            remove(fragment_uri(self.run, name))
        whole(self, entry)

    with patch.object(Ledger, "append", late):
        yield


@contextmanager
def entry_overwritten() -> Iterator[None]:
    """An entry of the journal replaces the one that has its number."""
    with patch("voxmill.pipeline.state.journal.commit_bytes", lambda uri, blob, **_: commit_bytes(uri, blob, replace=True)):
        yield


@contextmanager
def entries_removed_before_the_state() -> Iterator[None]:
    """Old entries of the journal go before the state that stands for them is written."""
    whole = Journal.fold

    def hasty(self: Journal) -> None:
        run = self._run
        kept = {f"{first:020d}.json" for first in self.state.beginnings}
        for name in sorted(names_in(run.uri(*FOLDER)) - kept):
            if not name.startswith("state-") and int(name[:-5]) <= self.state.number:
                remove(run.uri(*FOLDER, name))
        whole(self)

    with patch.object(Journal, "fold", hasty):
        yield


@contextmanager
def every_entry_removed() -> Iterator[None]:
    """The first entries of drivers are folded as well, and their numbers are free again."""
    follow = RunState.follow

    def forgetful(self: RunState, entry: Mapping[str, Any]) -> None:
        follow(self, entry)
        self.beginnings = []

    with patch.object(RunState, "follow", forgetful):
        yield


@contextmanager
def fragment_adopted_twice() -> Iterator[None]:
    """A fragment that was folded is taken up again, and its rows are added to those that are there."""
    whole = chunks.merge

    def greedy(run: Any, key: str, units: range, old: Any, held: Positions, added: Any) -> Any:
        return whole(run, key, units, old, Positions(), added)

    with patch.object(chunks, "merge", greedy), patch.object(Ledger, "_is_of_use", lambda self, info: True):
        yield


@contextmanager
def sweep_of_what_is_not_its_own() -> Iterator[None]:
    """Every fragment that the journal did not name when this driver last read it is removed, whoever has written since."""
    whole = Ledger.sweep

    def broad(self: Ledger, keep: Any = ()) -> int:
        self._spent.update(self._unnamed())
        return whole(self, keep)

    with patch.object(Ledger, "sweep", broad), sweep_without_a_second_look():
        yield


@contextmanager
def sweep_without_a_second_look() -> Iterator[None]:
    """What this driver does not know is removed, whoever has written since it last read the journal."""
    with patch.object(Journal, "confirm", lambda self: None):
        yield


@contextmanager
def strikes_lost() -> Iterator[None]:
    """The folded state forgets what units have cost."""
    whole = RunState.to_json

    def mild(self: RunState) -> dict[str, Any]:
        return {**whole(self), "strikes": {}}

    with patch("voxmill.pipeline.state.journal.RunState.to_json", mild):
        yield


@contextmanager
def lost_file_kept() -> Iterator[None]:
    """A file of a table that is gone stays in the books."""
    with patch.object(Ledger, "lost", lambda self: {}):
        yield


@contextmanager
def revoke_before_tombstone() -> Iterator[None]:
    """What is revoked is removed first, and the tombstone is written at the end."""
    bury = Run.bury

    def later(run: Run) -> int:
        with patch("voxmill.pipeline.rights.request.stones_of", lambda run: [stone()]):
            changed = apply_tombstones(run)
        bury(run, stone())
        return changed

    with patch.object(Run, "bury", lambda self, stone: None), patch.object(drivers, "apply_tombstones", later):
        yield


@contextmanager
def revoked_adopted() -> Iterator[None]:
    """What a worker made before a revocation is taken up after it."""
    whole = Ledger.adopt
    with patch.object(Ledger, "adopt", lambda self, refuses=None: whole(self)):
        yield


@contextmanager
def stamp_before_tables() -> Iterator[None]:
    """The journal says that tables are written before they are."""
    whole, waiting = Ledger.append, list[tuple[str, bytes]]()

    def hasty(uri: str, blob: bytes, **how: Any) -> bool:
        if not uri.endswith("catalog.sql"):
            return commit_bytes(uri, blob, **how)
        waiting[:] = [(uri, blob)]
        return True

    def then(self: Ledger, entry: Mapping[str, Any]) -> None:
        whole(self, entry)
        if "packed" in entry and waiting:
            uri, blob = waiting.pop()
            commit_bytes(uri, blob, replace=True)

    with (
        patch.object(drivers, "commit_bytes", hasty),
        patch.object(Ledger, "append", then),
        patch.object(drivers, "is_published", lambda run: True),
    ):
        yield


def _put_later(uri: str, blob: bytes) -> None:
    world = STORE.world
    assert world
    world.at(world.now + 2 * world.random.random(), lambda: STORE.put(uri.removeprefix("late://"), blob, create=False))


BUGS: dict[str, Callable[[], Planted]] = {
    bug.__name__.replace("_", " "): bug
    for bug in (
        journal_before_data, lease_not_checked, no_first_entry, compaction_deletes_first, entry_overwritten,
        entries_removed_before_the_state, every_entry_removed, fragment_adopted_twice, sweep_of_what_is_not_its_own,
        sweep_without_a_second_look, strikes_lost,
        lost_file_kept, revoke_before_tombstone, revoked_adopted, stamp_before_tables,
    )
}  # fmt: skip
