"""What of a run is not there yet, told from what is missing: a run may be stopped after `list`, `crawl` or `select`, on purpose.

The journal says how many units were in the tables and in the shards when these were last written. What was in them and is gone is lost.
What was not in them, and not begun, is to come: a whole stage for all that is new. A stage that is done for some of it and not for
the rest was broken off, or has lost something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.run import Run


@dataclass(slots=True)
class Pending:
    """Stages for which nothing new was begun: by name, how many units (or groups of items) wait for them."""

    fetching: dict[str, int] = field(default_factory=dict)
    hearing: dict[str, int] = field(default_factory=dict)
    generations: set[int] = field(default_factory=set)
    """Without units, because something of them is still to be fetched."""
    groups: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """By stage, the ranges of groups that wait for it."""
    first: int = 0
    """The first unit that is new: those before it were in the tables."""
    listed: bool = True

    def __iter__(self) -> Iterator[str]:
        if not self.listed:
            yield "list: no source was listed"
        for name, waiting in self.fetching.items():
            yield f"{name}: {waiting} groups of items"
        for name, waiting in self.hearing.items():
            yield f"{name}: {waiting} units"

    def waits(self, stage: str, unit: int) -> bool:
        """Whether this stage of a unit is to come."""
        return stage in self.hearing and unit >= self.first

    def waits_to_be_fetched(self, stage: str, group: int) -> bool:
        """Whether this stage of a group of items is to come."""
        return any(first <= group < end for first, end in self.groups.get(stage, ()))


def pending(run: Run, stages: Mapping[str, Stage], chain: Sequence[Stage]) -> Pending:
    """`chain`: the stages of units, in order."""
    ledger, listing = run.ledger, run.listing
    found = Pending(listed=bool(listing.generations), first=min(ledger.state.tabled, listing.num_units))
    for number, generation in enumerate(listing.generations):
        if generation.units is None:
            waiting = _to_come([stages["crawl"], stages["decode"]], generation.groups, ledger)
            for name in waiting:
                found.fetching[name] = found.fetching.get(name, 0) + generation.groups[1] - generation.groups[0]
                found.groups.setdefault(name, []).append(generation.groups)
            if waiting:
                found.generations.add(number)
    new = (found.first, listing.num_units)
    found.hearing = dict.fromkeys(_to_come(chain, new, ledger), new[1] - new[0])
    return found


def _to_come(chain: Sequence[Stage], span: tuple[int, int], ledger: Ledger) -> list[str]:
    """Names of the last stages of the chain that are done for none of these positions."""
    names: list[str] = []
    for stage in reversed(chain):
        missing = sum(end - first for first, end in ledger.done(stage).missing(*span))
        if span[0] >= span[1] or missing < span[1] - span[0]:
            break
        names.insert(0, stage.name)
    return names
