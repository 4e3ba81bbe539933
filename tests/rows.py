"""Rows put into a run's ledger as a driver does it, and steps that are asked as a worker asks them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voxmill.manifests.records import Item
from voxmill.pipeline.execution.worker import Worker
from voxmill.pipeline.stage import Done, Stage
from voxmill.pipeline.state.fragment import FragmentWriter
from voxmill.pipeline.state.listing import ITEMS, Listing, group_id
from voxmill.pipeline.state.positions import position_of
from voxmill.pipeline.state.run import Run


def put(run: Run, stage: Stage, key: str, rows: Sequence[Any]) -> None:
    """The rows of one unit, committed."""
    run.ledger.write(stage, [(key, rows)])


def put_by_item(run: Run, stage: Stage, rows: Sequence[Any]) -> None:
    """The rows of the newest generation, each in the group of the item that it is of; committed."""
    for position, items in run.ledger.scan(ITEMS, *run.listing.generations[-1].groups):
        ids = {item.id for item in items}
        put(run, stage, group_id(position), [row for row in rows if row.item_id in ids])


def put_again(run: Run, stage: Stage, key: str, rows: Sequence[Any]) -> None:
    """Other rows for a unit that is done, as nothing in the product does it."""
    (chunk,) = run.ledger.state.stage(stage.key).chunks_in(position_of(key), position_of(key) + 1)
    others = [(n, mine) for n, mine in run.ledger.scan(stage, chunk.first, chunk.end) if n != position_of(key)]
    run.ledger.forget({stage.key: [chunk]})
    run.ledger.write(stage, sorted([*others, (position_of(key), rows)], key=lambda one: one[0]))
    run.ledger.sweep()


def items_of(listing: Listing) -> list[Item]:
    """All that a run lists: tests have few."""
    return [item for batch in listing.batches(Item) for item in batch]


def listed(run: Run, groups: int, units: int, generation: int = 0) -> None:
    """A generation with so many groups of items and units, whose rows are put by hand."""
    state = run.ledger.state
    first = (max((g.groups[1] for g in state.generations), default=0), run.listing.num_units)
    told = {"sources": [], "facts": {}, "groups": [first[0], first[0] + groups], "units": [first[1], first[1] + units]}
    run.ledger.append({"generation": told})
    assert len(state.generations) == generation + 1


def work(run: Run, worker: Worker, key: str, strikes: int = 0) -> Done:
    """One step for one unit, committed at once. `run` knows of it afterwards."""
    writer = FragmentWriter(run)
    done = worker(key, {}, writer, strikes)
    for info in writer.flush():
        run.ledger.append({"fragments": [info.to_json()]})
    run.ledger.fold()
    return done
