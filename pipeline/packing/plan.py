"""Which shards a run's selections make: read from the ledger, bucket after bucket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from voxmill.manifests.ids import segment_id
from voxmill.manifests.schema import UNIT_INDEX
from voxmill.manifests.tombstones import Ghost
from voxmill.pipeline.config import PackConfig
from voxmill.pipeline.packing.failures import failed_samples, upstream_of
from voxmill.pipeline.packing.partition import by_bucket
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.chunks import only
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.listing import UNITS
from voxmill.pipeline.state.positions import Positions
from voxmill.pipeline.state.run import Run
from voxmill.sharding.layout import ShardPlan, plan_shards
from voxmill.sharding.sample import Entry

_AT_ONCE = 256
"""Units that are planned together: their rows are in memory, those of a few narrow stages."""


def plan(
    run: Run, stages: Mapping[str, Stage], config: PackConfig, buckets: int, *, revoked_too: bool = False
) -> Iterator[ShardPlan]:
    """The shards that the run's selections make, bucket after bucket; with `revoked_too`, as they were before anything was revoked.

    A plan holds the places of its samples, so plans are best used up one at a time.
    """
    entries = chain(entries_of(run, stages, partial=revoked_too), ghosts_of(run, stages))
    revoked = set() if revoked_too else {ghost.recording_id for ghost in run.tombstones.ghosts}
    upstream, picture_bytes = upstream_of(stages), int(config.picture_kb * 1e3) if "frames" in stages else 0
    aside = failed_samples(run, stages)
    for _, pile in by_bucket(entries, Entry, buckets):
        shards = plan_shards(
            pile, buckets, int(config.shard_mb * 1e6), upstream=upstream, revoked=revoked, picture_bytes=picture_bytes
        )
        for shard in shards:
            if kept := tuple(entry for entry in shard.entries if entry.key not in aside):
                yield replace(shard, entries=kept)


def entries_of(run: Run, stages: Mapping[str, Stage], *, partial: bool = False) -> Iterator[Entry]:
    """Every selected segment's place; with `partial`, of the units that are selected so far. Raises FileNotFoundError where one is not."""
    ledger, select = run.ledger, stages["select"]
    for first, _ in () if partial else ledger.done(select).missing(0, run.listing.num_units):
        ledger.table(select, first)
    for held, judged in ledger.scan_tables(select, at_once=_AT_ONCE):
        if partial:  # somebody may have deleted files of segments, and nobody made them again yet
            cut = ledger.done(stages["segment"])
            held = Positions(piece for first, end in held.runs for piece in cut.within(first, end).runs)
            judged = only(judged, held)
        kept = judged.filter(judged["rejection"].is_null())
        if len(kept):
            span = (min(held), held.end)
            yield from _entries(
                kept, *(_table(ledger, stage, span) for stage in (stages["segment"], stages["recordings"], UNITS))
            )


def _table(ledger: Ledger, stage: Stage, span: tuple[int, int]) -> pa.Table:
    return pa.concat_tables(table for _, table in ledger.scan_tables(stage, *span, at_once=_AT_ONCE))


def _entries(kept: pa.Table, segments: pa.Table, recordings: pa.Table, units: pa.Table) -> Iterator[Entry]:
    """The places of selections that were kept. Raises KeyError where there is no segment, recording or unit for one."""
    licences = dict(zip(recordings["id"].to_pylist(), pc.struct_field(recordings["licence"], "name").to_pylist(), strict=True))
    places = {
        (unit["position"], part["recording_id"]): (order, unit["generation"])
        for unit in units.select(["position", "generation", "parts"]).to_pylist()
        for order, part in enumerate(unit["parts"])
    }
    found = segments.take(_found(kept["segment_id"], segments["id"])).select(["id", "recording_id", "start", "num_samples"])
    rows = zip(
        *(column.to_pylist() for column in found.columns), kept["split"].to_pylist(), kept[UNIT_INDEX].to_pylist(), strict=True
    )
    for key, recording, start, length, split, unit in rows:
        order, generation = places[unit, recording]
        yield Entry(key, recording, start, length, split, licences[recording], unit, order, generation)


def _found(wanted: pa.ChunkedArray[Any], ids: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """Where in `ids` each id is. Raises KeyError for one that is not there."""
    places: pa.Array[Any] = pc.index_in(wanted, value_set=ids).combine_chunks()  # type: ignore[attr-defined]  # of a chunked array it is one
    if places.null_count:
        raise KeyError(wanted.filter(places.is_null())[0].as_py())
    return places


def ghosts_of(run: Run, stages: Mapping[str, Stage]) -> list[Entry]:
    """The places of revoked samples: they still count where parts are cut, and are not packed."""
    ghosts: dict[str, list[Ghost]] = {}
    for ghost in run.tombstones.ghosts:
        ghosts.setdefault(ghost.recording_id, []).append(ghost)
    entries, ledger = list[Entry](), run.ledger
    for unit in run.listing.each_unit() if ghosts else ():
        for order, part in enumerate(unit.parts):
            mine = [g for g in ghosts.get(part.recording_id, ()) if part.start <= g.start < part.end]
            if mine:
                recordings = {r.id: r for r in ledger.read(stages["recordings"], unit.id)}
                licence = recordings[part.recording_id].licence.name
                for g in mine:
                    key = segment_id(g.recording_id, g.start, g.start + g.num_samples)
                    entries.append(
                        Entry(
                            key, g.recording_id, g.start, g.num_samples, g.split, licence, unit.position, order, unit.generation
                        )
                    )
    return entries
