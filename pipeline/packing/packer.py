"""Kept segments to shards: the plan comes from the ledger, each shard is a unit of work on any executor."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from voxmill.manifests.parquet import read_records, records_bytes
from voxmill.manifests.records import Consensus, Hypothesis, Labels, Pictures, Recording, Segment, Selection, Unit
from voxmill.manifests.redaction_records import Redaction
from voxmill.manifests.storage import commit_bytes, locate
from voxmill.operators.contract.adapters import Audio
from voxmill.operators.decode.audio import AudioReader, Playback
from voxmill.pipeline.execution.activity import Reporter
from voxmill.pipeline.execution.bisect import MAX_ATTEMPTS, describe, isolate
from voxmill.pipeline.execution.executor import Buffer, Job
from voxmill.pipeline.execution.infra_errors import StageError, blamed, machine_fault
from voxmill.pipeline.execution.worker import openable
from voxmill.pipeline.packing.failures import commit_failure, pack_stage, unpacked_tables, upstream_of
from voxmill.pipeline.packing.plan import entries_of
from voxmill.pipeline.stage import Done, Resources, Stage
from voxmill.pipeline.state.listing import UNITS
from voxmill.pipeline.state.member_marks import MemberMarks
from voxmill.pipeline.state.run import Run
from voxmill.sharding.layout import ShardPlan
from voxmill.sharding.redacted import redacted, silenced
from voxmill.sharding.sample import Entry, Sample
from voxmill.sharding.shard_files import remove_shard
from voxmill.sharding.sidecar import committed, read_members_table
from voxmill.sharding.writer import pack_shard, up_to_date


@dataclass(frozen=True, slots=True)
class Packing:
    """What is to be packed: the shards that the run wants, and the job that makes those that are not there."""

    shards: tuple[ShardPlan, ...]
    """Without their entries, in name order."""
    job: Job


def packing(
    run: Run, stages: Mapping[str, Stage], plans: Iterable[ShardPlan], resources: Resources, session: str = ""
) -> Packing:
    """One key per shard that is not committed with these contents. Its entries travel through the run, not through Ray.

    `session` is this start of the run, which workers name themselves by.
    """
    shards, pending = list[ShardPlan](), set[str]()
    for shard in plans:
        shards.append(replace(shard, entries=()))
        if up_to_date(shard, run.shards_dir) is None:
            pending.add(shard.name)
            commit_bytes(_plan_uri(run, shard.name), records_bytes(shard.entries, Entry), replace=True)
    shards.sort(key=lambda shard: shard.name)
    headers = {shard.name: shard for shard in shards if shard.name in pending}
    make = partial(Packer, run.root, dict(stages), headers, session or uuid.uuid4().hex)
    return Packing(tuple(shards), Job("pack", make, tuple(headers), resources))


class Packer:
    """Writes one shard: reads the fragments of the units that it draws from, one unit at a time.

    A sample that fails or kills its packer is put aside (see `failures.py`), and the shard is written without it.
    """

    def __init__(self, root: str, stages: dict[str, Stage], headers: Mapping[str, ShardPlan], session: str = "") -> None:
        self._run, self._stages, self._headers = Run(root, session), stages, headers
        self._ledger, self._stage = self._run.ledger, pack_stage(upstream_of(stages))
        self._reporter = Reporter(session)
        self._reader: AudioReader | None = None
        self._silenced: dict[str, set[tuple[int, int]]] = {}
        self._origins: dict[str, set[int]] = {}
        """Where the parts of recordings begin, of the units that were loaded."""

    def __call__(self, name: str, carried: dict[str, Any], buffer: Buffer, strikes: int = 0) -> Done:
        """Writes the shard of that name and commits it. Raises StageError where the machine fails, or every sample in the same way."""
        wall, cpu = time.monotonic(), time.process_time()
        shard = replace(self._headers[name], entries=tuple(read_records(_plan_uri(self._run, name), Entry)))
        self._origins, self._silenced = {}, {}
        seconds = sum(e.num_samples for e in shard.entries) / 16000
        with blamed(f"stage pack stopped at shard {name}"), self._reporter.doing("pack", seconds):
            kept = self._pack_what_can_be(shard, strikes)
        seconds = sum(e.num_samples for e in kept.entries) / 16000
        rejected, took, used = len(shard.entries) - len(kept.entries), time.monotonic() - wall, time.process_time() - cpu
        return Done("pack", name, len(kept.entries), rejected, seconds, took, used, kept_s=seconds)

    def replay(self, key: str) -> list[Entry]:
        """Packs one sample alone and throws the shard away; empty where it is not selected."""
        found = [entry for entry in entries_of(self._run, self._stages) if entry.key == key]
        for entry in found:
            self._try(ShardPlan(entry.split, entry.licence, 0, 0, entry.generation, 1, (entry,)))
        return found

    def _pack_what_can_be(self, shard: ShardPlan, strikes: int) -> ShardPlan:
        if strikes >= MAX_ATTEMPTS:
            shard = self._without_the_bad(shard)
        try:
            self._pack(shard, self._run.shards_dir)
        except Exception as error:
            if machine_fault(error):
                raise
            shard = self._without_the_bad(shard)
            self._pack(shard, self._run.shards_dir)
        return shard

    def _without_the_bad(self, shard: ShardPlan) -> ShardPlan:
        """The shard without the samples that fail alone; their outcomes are committed before the shard is."""
        entries = {entry.key: entry for entry in shard.entries}
        marks = MemberMarks(self._run, self._stage, shard.name, self._run.session)
        found = isolate(
            marks,
            tuple(entries),
            lambda key: self._try(replace(shard, entries=(entries[key],))),
            kin=lambda key: entries[key].recording_id,  # what kills a decoder does so to every span after it
        )
        self._reader = None
        if found.alike:
            error = next(iter(found.errors.values()))
            raise StageError(
                f"stage pack fails on all {len(found.errors)} samples of {shard.name}: {describe(error, self._run.root)}"
            )
        for key, detail in found.bad.items():
            commit_failure(self._run, self._stage, entries[key], detail)
        marks.clear()
        return replace(shard, entries=tuple(e for e in shard.entries if e.key not in found.bad))

    def _try(self, shard: ShardPlan) -> None:
        with TemporaryDirectory(prefix="voxmill-pack-") as folder, blamed(f"stage pack stopped at {shard.entries[0].key}"):
            self._reader = None
            self._pack(shard, folder)

    def _pack(self, shard: ShardPlan, folder: str) -> None:
        if shard.entries:
            pack_shard(shard, self._samples(shard.entries), self._read, folder, self._read_pictures)
        else:
            remove_shard(folder, shard.name)  # nothing of it is left

    def _read(self, recording: Recording, start: int, num_samples: int) -> Audio:
        """The samples of a span as every stage heard them: decoded from the start of the part that holds it, in one pass."""
        origin = max(o for o in self._origins[recording.id] if o <= start)
        how = Playback.of(recording)
        if self._reader is None or (self._reader.source, self._reader.origin) != (how, origin):
            self._reader = AudioReader(how, origin)
        return silenced(self._reader.read(start, num_samples), start, sorted(self._silenced.get(recording.id, ())))

    def _read_pictures(self, pictures: Pictures) -> list[bytes]:
        fs, path = locate(self._run.uri(str(pictures.file)))
        return [fs.cat_file(path, start=one.offset, end=one.offset + one.num_bytes) for one in pictures.pictures]

    def _samples(self, entries: Sequence[Entry]) -> Iterator[Sample]:
        """The samples of the entries, in their order: one unit's fragments in memory at a time."""
        loaded, samples = -1, dict[str, Sample]()
        for entry in entries:
            if entry.unit != loaded:
                (unit,) = self._ledger.read(UNITS, entry.unit)
                loaded, samples = entry.unit, self._load(unit)
            yield samples[entry.key]

    def _load(self, unit: Unit) -> dict[str, Sample]:
        rows: dict[type, list[Any]] = {}
        for stage in self._stages.values():
            if stage.of.packed:
                rows.setdefault(stage.writes, []).extend(self._ledger.read(stage, unit.id))
        recordings = {r.id: openable(self._run, r) for r in self._ledger.read(self._stages["recordings"], unit.id)}
        order = {part.recording_id: i for i, part in enumerate(unit.parts)}
        for part in unit.parts:
            self._origins.setdefault(part.recording_id, set()).add(part.start)
        segments = {s.id: s for s in rows[Segment]}
        consensus = {c.segment_id: c for c in rows[Consensus]}
        labels = {x.segment_id: x for x in rows.get(Labels, ())}
        pictures = {x.segment_id: x for x in rows.get(Pictures, ())}
        hidden = {x.segment_id: x for x in rows.get(Redaction, ())}
        for one in hidden.values():  # known before any sound is read, for packing asks for its samples first
            stretches = [(int(m.start), int(m.end)) for m in one.masked if m.start is not None and m.end is not None]
            if stretches and one.segment_id in segments:
                self._silenced.setdefault(segments[one.segment_id].recording_id, set()).update(stretches)
        heard: dict[str, list[Hypothesis]] = {}
        for hypothesis in rows[Hypothesis]:
            heard.setdefault(hypothesis.segment_id, []).append(hypothesis)
        samples = {}
        for selection in rows[Selection]:
            if selection.rejection is None:
                key = selection.segment_id
                segment = segments[key]
                sample = Sample(
                    recordings[segment.recording_id], segment, tuple(heard[key]), consensus[key], labels.get(key), selection,
                    unit.position, order[segment.recording_id], unit.generation, pictures.get(key),
                )  # fmt: skip
                samples[key] = redacted(sample, hidden[key]) if key in hidden else sample
        return samples


def packed_tables(run: Run, stages: Mapping[str, Stage]) -> dict[str, Iterator[pa.Table]]:
    """What became of the selected samples: the tables `samples` and `unpacked`."""
    return {"samples": _sample_tables(run), "unpacked": unpacked_tables(run, stages)}


def _sample_tables(run: Run) -> Iterator[pa.Table]:
    """One table per committed shard: a row per sample, with its shard and its place in the tar."""
    for shard in sorted(committed(run.shards_dir), key=lambda s: s.name):
        table = read_members_table(run.shards_dir, shard)
        yield table.add_column(0, "shard", pa.array([shard.name] * len(table), pa.string())).replace_schema_metadata(None)


def _plan_uri(run: Run, shard: str) -> str:
    return run.uri("ledger", "plans", f"{shard}.parquet")
