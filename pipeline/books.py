"""The driver's side of a pass over a chain of stages: which units there are to do, and what goes into the journal meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from voxmill.pipeline.execution.executor import Books, LazyKeys, NoBuffer
from voxmill.pipeline.execution.infra_errors import blamed
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.fragment import FragmentInfo, FragmentWriter
from voxmill.pipeline.state.ledger import FOLDED_BYTES
from voxmill.pipeline.state.listing import UNITS, group_id
from voxmill.pipeline.state.positions import Positions
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunDir

FOLD_AT = 512
"""Fragments at which the driver folds them into tables while workers go on."""


def keys_of(run: Run, chain: Sequence[Stage], span: tuple[int, int]) -> LazyKeys:
    """Ids of the units (or groups of items) in a range of positions that any of the stages has not done, in order."""
    missing = Positions(piece for stage in chain for piece in run.ledger.done(stage).missing(*span))
    return LazyKeys(partial(_ids, run, chain[0], missing), len(missing))


def ids_of(run: Run, stage: Stage) -> Iterator[str]:
    """Ids of the units (or groups of items) that a stage has done, in order."""
    return _ids(run, stage, run.ledger.done(stage))


def _ids(run: Run, stage: Stage, positions: Positions) -> Iterator[str]:
    return map(group_id, positions) if stage.of.of_items else run.ledger.ids(UNITS, positions.runs)


class WorkerBuffer(FragmentWriter):
    """A worker's buffer, which says of a store that fails that it is not the data."""

    def flush(self) -> list[FragmentInfo]:
        """See `FragmentWriter.flush`. Raises StageError where the store fails."""
        with blamed("what workers made could not be committed"):
            return super().flush()


@dataclass(frozen=True, slots=True)
class JournalBooks:
    """What the driver writes into the journal while an executor works. `stages`: those of the pass, by name."""

    run: Run
    stages: Mapping[str, Stage]

    def for_executor(self, say: Callable[[str], None], *, holds: bool = True) -> Books:
        """What an executor is given. `say` puts a line on the screen; with `holds` workers keep what they finish and commit it together."""
        make = partial(WorkerBuffer, RunDir(self.run.root)) if holds else NoBuffer
        return Books(make, self.committed, self.strikes_of, self.struck, self.in_flight, say)

    def committed(self, flushed: Sequence[Sequence[FragmentInfo]]) -> None:
        """Journals what workers have committed. Raises RunError where another driver has written meanwhile."""
        ledger = self.run.ledger
        ledger.append({"fragments": [info.to_json() for infos in flushed for info in infos]})
        waiting = ledger.state.fragments.values()
        if len(waiting) >= FOLD_AT or sum(info.row_bytes for info in waiting) >= FOLDED_BYTES:
            ledger.fold()

    def strikes_of(self, key: str) -> int:
        """How many workers a unit has cost so far, in the worst of the stages."""
        return max(self.run.ledger.strikes(stage, key) for stage in self.stages.values())

    def struck(self, jobs: Sequence[str], keys: Sequence[str]) -> None:
        """Notes that units have ended their worker, in one of these stages."""
        state = self.run.ledger.state
        names = [f"{self.stages[job].key} {key}" for job in jobs for key in keys]
        self.run.ledger.append({"strikes": {name: state.strikes.get(name, 0) + 1 for name in names}})

    def in_flight(self, keys: Sequence[str]) -> None:
        """Notes what workers have in hand, for whoever comes after a driver that dies with them."""
        self.run.ledger.append({"in_flight": [f"{stage.key} {key}" for stage in self.stages.values() for key in keys]})
