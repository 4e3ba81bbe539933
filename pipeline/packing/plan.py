"""Which shards a run's selections make: read from the ledger, bucket after bucket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain

from voxmill.manifests.ids import segment_id
from voxmill.manifests.records import Unit
from voxmill.manifests.tombstones import Ghost
from voxmill.pipeline.config import PackConfig
from voxmill.pipeline.packing.failures import failed_samples, upstream_of
from voxmill.pipeline.packing.partition import by_bucket
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.run import Run
from voxmill.sharding.layout import ShardPlan, plan_shards
from voxmill.sharding.sample import Entry


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
    """Every selected segment's place; with `partial`, of the units that are selected so far."""
    ledger = run.ledger
    for unit in run.listing.each_unit():
        if not partial or ledger.is_done(stages["select"], unit.id):
            yield from _entries(ledger, stages, unit)


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


def _entries(ledger: Ledger, stages: Mapping[str, Stage], unit: Unit) -> list[Entry]:
    segments = {s.id: s for s in ledger.read(stages["segment"], unit.id)}
    recordings = {r.id: r for r in ledger.read(stages["recordings"], unit.id)}
    order = {part.recording_id: i for i, part in enumerate(unit.parts)}
    kept = [s for s in ledger.read(stages["select"], unit.id) if s.rejection is None]
    rows = [(s, segments[s.segment_id]) for s in kept]
    return [
        Entry(
            segment.id, segment.recording_id, segment.start, segment.num_samples, selection.split,
            recordings[segment.recording_id].licence.name, unit.position, order[segment.recording_id], unit.generation,
        )
        for selection, segment in rows
    ]  # fmt: skip
