"""What of a run is not there yet, told from what is missing: a run may be stopped after `list`, `crawl` or `select`, on purpose.

The run's tables say what was finished once. What is in them and gone is lost. What is not in them, and not begun, is to come: a whole
stage for all that is new. A stage that is done for some of it and not for the rest was broken off, or has lost something.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from voxmill.manifests.catalog import CatalogError, open_catalog, query
from voxmill.manifests.records import Unit
from voxmill.manifests.schema import SchemaError
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import exists
from voxmill.sharding.sidecar import ShardError, committed, read_members


@dataclass(frozen=True, slots=True)
class Finished:
    """What the run's tables list."""

    units: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()
    """Those that were packed, or could not be."""
    unreadable: bool = False
    """There are tables and they cannot be asked: then everything may have been finished."""


@dataclass(slots=True)
class Pending:
    """Stages for which nothing new was begun: by name, the units (or groups of items) that wait for them."""

    fetching: dict[str, set[str]] = field(default_factory=dict)
    hearing: dict[str, set[str]] = field(default_factory=dict)
    generations: set[int] = field(default_factory=set)
    """Without units, because something of them is still to be fetched."""

    listed: bool = True

    def __iter__(self) -> Iterator[str]:
        if not self.listed:
            yield "list: no source was listed"
        for name, waiting in self.fetching.items():
            yield f"{name}: {len(waiting)} groups of items"
        for name, waiting in self.hearing.items():
            yield f"{name}: {len(waiting)} units"


def finished(run: Run) -> Finished:
    """The units and segments that the tables of the run list; none where it has no tables yet."""
    if not exists(run.uri("catalog.sql")):
        return Finished()
    try:
        con = open_catalog(run.root)
        units, segments = (
            frozenset(str(key) for key in query(con, sql).column(0).to_pylist())
            for sql in ("SELECT id FROM units", "SELECT segment_id FROM samples UNION SELECT segment_id FROM unpacked")
        )
    except (CatalogError, SchemaError):
        return Finished(unreadable=True)
    return Finished(units, segments)


def pending(run: Run, stages: Mapping[str, Stage], chain: Sequence[Stage], units: Sequence[Unit], known: Finished) -> Pending:
    """`chain`: the stages of units, in order."""
    ledger, listing = run.ledger, run.listing
    found = Pending(listed=listing.num_generations() > 0)
    for generation in range(listing.num_generations()):
        groups = set(listing.groups(generation))
        if not listing.has_units(generation):
            waiting = _to_come([stages["crawl"], stages["decode"]], groups, ledger)
            for name in waiting:
                found.fetching.setdefault(name, set()).update(groups)
            if waiting:
                found.generations.add(generation)
    new = set() if known.unreadable else {unit.id for unit in units} - known.units
    found.hearing = dict.fromkeys(_to_come(chain, new, ledger), new)
    return found


def not_packed(run: Run, expected: Collection[str], known: Finished) -> set[str]:
    """Segments that were selected and wait to be packed: none of them was once, and none is in a shard."""
    if known.unreadable:
        return set()
    new = set(expected) - known.segments
    return new if new and new.isdisjoint(_in_shards(run)) else set()


def _to_come(chain: Sequence[Stage], keys: set[str], ledger: Ledger) -> list[str]:
    """Names of the last stages of the chain that are done for none of the keys."""
    names: list[str] = []
    for stage in reversed(chain):
        if not keys or keys & ledger.done(stage):
            break
        names.insert(0, stage.name)
    return names


def _in_shards(run: Run) -> set[str]:
    found: set[str] = set()
    for shard in committed(run.shards_dir):
        try:
            found.update(member.segment_id for member in read_members(run.shards_dir, shard))
        except ShardError:  # damaged, which is said elsewhere
            continue
    return found
