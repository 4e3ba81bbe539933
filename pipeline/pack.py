"""Kept segments to shards: the plan comes from the ledger, each shard is a unit of work on any executor."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import pyarrow as pa

from voxmill.manifests.commit import commit_bytes, locate
from voxmill.manifests.ids import segment_id
from voxmill.manifests.parquet import read_records, records_bytes
from voxmill.manifests.records import Consensus, Hypothesis, Labels, Pictures, Recording, Segment, Selection, Unit
from voxmill.manifests.schema import to_table
from voxmill.manifests.tombstones import Ghost
from voxmill.operators.decode.audio import Reader
from voxmill.operators.engines import Audio
from voxmill.pipeline.config import PackConfig
from voxmill.pipeline.executor import Job
from voxmill.pipeline.ledger import Ledger
from voxmill.pipeline.listing import Listing
from voxmill.pipeline.run import Run
from voxmill.pipeline.spill import by_bucket
from voxmill.pipeline.stage import Done, Resources, Stage
from voxmill.pipeline.stones import read_tombstones
from voxmill.pipeline.worker import openable
from voxmill.sharding.layout import ShardPlan, plan_shards
from voxmill.sharding.sample import Entry, Sample
from voxmill.sharding.sidecar import Member, committed, read_members
from voxmill.sharding.writer import pack_shard, up_to_date


def plan(
    run: Run, stages: Mapping[str, Stage], config: PackConfig, buckets: int, *, revoked_too: bool = False
) -> Iterator[ShardPlan]:
    """The shards that the run's selections make, bucket after bucket; with `revoked_too`, as they were before anything was revoked.

    A plan holds the places of its samples, so plans are best used up one at a time.
    """
    entries = chain(entries_of(run, stages, partial=revoked_too), ghosts_of(run, stages))
    revoked = set() if revoked_too else {ghost.recording_id for ghost in read_tombstones(run).ghosts}
    upstream, picture_bytes = stages["select"].fingerprint, 0
    if frames := stages.get("frames"):
        upstream, picture_bytes = f"{upstream} {frames.fingerprint}", int(config.picture_kb * 1e3)
    if labels := stages.get("label"):
        upstream = f"{upstream} {labels.fingerprint}"
    for pile in by_bucket(entries, buckets):
        yield from plan_shards(
            pile, buckets, int(config.shard_mb * 1e6), upstream=upstream, revoked=revoked, picture_bytes=picture_bytes
        )


def entries_of(run: Run, stages: Mapping[str, Stage], *, partial: bool = False) -> Iterator[Entry]:
    """Every selected segment's place; with `partial`, of the units that are selected so far."""
    ledger = Ledger(run)
    for unit in Listing(run).units():
        if not partial or ledger.is_done(stages["select"], unit.id):
            yield from _entries(ledger, stages, unit)


def ghosts_of(run: Run, stages: Mapping[str, Stage]) -> list[Entry]:
    """The places of revoked samples: they still count where parts are cut, and are not packed."""
    ghosts: dict[str, list[Ghost]] = {}
    for ghost in read_tombstones(run).ghosts:
        ghosts.setdefault(ghost.recording_id, []).append(ghost)
    entries, ledger = list[Entry](), Ledger(run)
    for unit in Listing(run).units() if ghosts else ():
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


@dataclass(frozen=True, slots=True)
class Packing:
    """What is to be packed: the shards that the run wants, and the job that makes those that are not there."""

    shards: tuple[ShardPlan, ...]
    """Without their entries, in name order."""
    job: Job


def packing(run: Run, stages: Mapping[str, Stage], plans: Iterable[ShardPlan], resources: Resources) -> Packing:
    """One key per shard that is not committed with these contents. Its entries travel through the run, not through Ray."""
    shards, pending = list[ShardPlan](), set[str]()
    for shard in plans:
        shards.append(replace(shard, entries=()))
        if up_to_date(shard, run.shards_dir) is None:
            pending.add(shard.name)
            commit_bytes(_plan_uri(run, shard.name), records_bytes(shard.entries, Entry), replace=True)
    shards.sort(key=lambda shard: shard.name)
    headers = {shard.name: shard for shard in shards if shard.name in pending}
    return Packing(tuple(shards), Job("pack", partial(Packer, run.root, dict(stages), headers), tuple(headers), resources))


class Packer:
    """Writes one shard: reads the fragments of the units that it draws from, one unit at a time."""

    def __init__(self, root: str, stages: dict[str, Stage], headers: Mapping[str, ShardPlan]) -> None:
        self._run, self._stages, self._headers = Run(root), stages, headers
        self._ledger = Ledger(self._run)
        self._units = {unit.position: unit for unit in Listing(self._run).units()}
        self._reader: Reader | None = None
        self._origins: dict[str, list[int]] = {}
        for unit in self._units.values():
            for part in unit.parts:
                self._origins.setdefault(part.recording_id, []).append(part.start)

    def __call__(self, name: str) -> Done:
        wall, cpu = time.monotonic(), time.process_time()
        entries = tuple(read_records(_plan_uri(self._run, name), Entry))
        pack_shard(replace(self._headers[name], entries=entries), self._samples(entries), self._read, self._run.shards_dir)
        seconds = sum(e.num_samples for e in entries) / 16000
        return Done("pack", name, len(entries), 0, seconds, time.monotonic() - wall, time.process_time() - cpu)

    def _read(self, recording: Recording, start: int, num_samples: int) -> Audio:
        """The samples of a span as every stage heard them: decoded from the start of the part that holds it, in one pass."""
        origin = max(o for o in self._origins[recording.id] if o <= start)
        if self._reader is None or (self._reader.uri, self._reader.origin) != (recording.audio, origin):
            self._reader = Reader(str(recording.audio), origin)
        return self._reader.read(start, num_samples)

    def _read_pictures(self, pictures: Pictures) -> list[bytes]:
        fs, path = locate(self._run.uri(str(pictures.file)))
        return [fs.cat_file(path, start=one.offset, end=one.offset + one.num_bytes) for one in pictures.pictures]

    def _samples(self, entries: Sequence[Entry]) -> Iterator[Sample]:
        """The samples of the entries, in their order: one unit's fragments in memory at a time."""
        loaded, samples = -1, dict[str, Sample]()
        for entry in entries:
            if entry.unit != loaded:
                loaded, samples = entry.unit, self._load(self._units[entry.unit])
            yield samples[entry.key]

    def _load(self, unit: Unit) -> dict[str, Sample]:
        rows: dict[type, list[Any]] = {}
        for stage in self._stages.values():
            if stage.writes in (Segment, Hypothesis, Consensus, Labels, Pictures, Selection):
                rows.setdefault(stage.writes, []).extend(self._ledger.read(stage, unit.id))
        recordings = {r.id: openable(self._run, r) for r in self._ledger.read(self._stages["recordings"], unit.id)}
        order = {part.recording_id: i for i, part in enumerate(unit.parts)}
        segments = {s.id: s for s in rows[Segment]}
        consensus = {c.segment_id: c for c in rows[Consensus]}
        labels = {x.segment_id: x for x in rows.get(Labels, ())}
        pictures = {x.segment_id: x for x in rows.get(Pictures, ())}
        heard: dict[str, list[Hypothesis]] = {}
        for hypothesis in rows[Hypothesis]:
            heard.setdefault(hypothesis.segment_id, []).append(hypothesis)
        samples = {}
        for selection in rows[Selection]:
            if selection.rejection is None:
                key = selection.segment_id
                segment = segments[key]
                samples[key] = Sample(
                    recordings[segment.recording_id], segment, tuple(heard[key]), consensus[key], labels.get(key), selection,
                    unit.position, order[segment.recording_id], unit.generation, pictures.get(key),
                )  # fmt: skip
        return samples


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


def sample_tables(run: Run) -> Iterator[pa.Table]:
    """One table per committed shard: a row per sample, with its shard and its place in the tar."""
    for shard in sorted(committed(run.shards_dir), key=lambda s: s.name):
        table = to_table(read_members(run.shards_dir, shard), Member)
        yield table.add_column(0, "shard", pa.array([shard.name] * len(table), pa.string())).replace_schema_metadata(None)


def _plan_uri(run: Run, shard: str) -> str:
    return run.uri("ledger", "pack", f"{shard}.parquet")
