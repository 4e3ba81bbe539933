"""The proof that a run lost nothing: ledger = index = shard members, and in = kept + Σ rejected, in counts and in samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voxmill.manifests.parquet import read_records
from voxmill.manifests.records import Recording, Segment, Unit
from voxmill.manifests.schema import SchemaError
from voxmill.pipeline.packing.failures import put_aside_in
from voxmill.pipeline.reports.unfinished import Pending, finished, not_packed, pending
from voxmill.pipeline.rights.erasure_check import find_traces
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.listing import ITEMS, Listing
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import exists
from voxmill.sharding.index import INDEX
from voxmill.sharding.sidecar import ShardError, ShardSummary, committed
from voxmill.sharding.verify_shards import Expected, verify_shards


@dataclass(slots=True)
class Balance:
    """One stage's books: what went in, what was kept, what was rejected; in rows and in audio samples at 16 kHz."""

    stage: str
    rows_in: int = 0
    kept: int = 0
    rejected: int = 0
    samples_in: int = 0
    samples_kept: int = 0
    samples_rejected: int = 0

    @property
    def holds(self) -> bool:
        """in = kept + rejected, in rows and in samples."""
        return self.rows_in == self.kept + self.rejected and self.samples_in == self.samples_kept + self.samples_rejected


@dataclass(slots=True)
class Report:
    """What `verify` found: the books of every stage, what is wrong, and what is not there yet."""

    balances: list[Balance] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    shards: int = 0
    shard_samples: int = 0
    pending: list[str] = field(default_factory=list)
    """What is not there yet, and was never begun: nothing is said of it."""
    warnings: list[str] = field(default_factory=list)
    """What is no problem, and should be known: units that came out otherwise on another type of CPU."""

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems


def verify(run: Run, stages: Mapping[str, Stage]) -> Report:
    """Reads the whole ledger and every byte of every shard. Of a run that was stopped after a stage, what there is is proved."""
    report = Report()
    listing, ledger = run.listing, run.ledger
    units, known = listing.units(), finished(run)
    to_come = pending(run, stages, [s for s in _of_units(stages) if s.kind != "units"], units, known)
    report.pending += to_come
    _check_fetching(run, listing, ledger, stages, to_come, report)
    lost = known.units - {unit.id for unit in units}
    report.problems += [
        f"missing: unit {ident}: it is in the tables, and the listing knows nothing of it" for ident in sorted(lost)
    ]
    recordings = {r.id: r for r in listing.recordings() if r.rejection is None}
    report.problems += _check_parts(units, recordings)
    expected = _check_units(run, ledger, units, stages, to_come, report)
    report.problems += map(str, find_traces(run, run.tombstones))
    report.warnings += [line for stage in stages.values() for line in ledger.twice(stage)]
    if waiting := not_packed(run, expected, known):
        report.pending.append(f"pack: {len(waiting)} segments")
        expected = {key: fact for key, fact in expected.items() if key not in waiting}
    elif report.pending:
        report.pending.append("pack")
    aside = expected.keys() & put_aside_in(run, stages)
    verdict = verify_shards(run.shards_dir, {key: fact for key, fact in expected.items() if key not in aside})
    report.problems += [str(problem) for problem in verdict.problems]
    report.problems += _check_index(run)
    report.shards, report.shard_samples = verdict.shards, verdict.samples
    pack = Balance("pack", len(expected), verdict.samples, len(aside))
    pack.samples_in, pack.samples_kept = sum(e.num_samples for e in expected.values()), verdict.num_samples
    pack.samples_rejected = sum(expected[key].num_samples for key in aside)
    if expected or verdict.shards or not report.pending:
        report.balances.append(pack)
    report.problems += [f"unbalanced: {b.stage}: {b}" for b in report.balances if not b.holds]
    return report


def _check_fetching(
    run: Run, listing: Listing, ledger: Ledger, stages: Mapping[str, Stage], to_come: Pending, report: Report
) -> None:
    """Every item has one recording or one reason; audio files are there."""
    crawl, decode = Balance("crawl"), Balance("decode")
    for generation in range(listing.num_generations()):
        for group in listing.groups(generation):
            for stage in (stages["crawl"], stages["decode"]):
                if group not in to_come.fetching.get(stage.name, ()) and not ledger.is_done(stage, group):
                    report.problems.append(f"missing: {stage.name} {group}: no fragment; run `voxmill run` again")
        if generation not in to_come.generations and not listing.has_units(generation):
            report.problems.append(f"missing: generation {generation}: no units; run `voxmill run` again")
    fetched = [g for g in range(listing.num_generations()) if g not in to_come.generations]
    items = {item.id for g in fetched for group in listing.groups(g) for item in ledger.read(ITEMS, group)}
    outcomes = listing.recordings()
    crawl.rows_in = len(items)
    for recording in outcomes:
        at = recording.rejection.reason.split(".")[0] if recording.rejection else None
        crawl.rejected += at in ("list", "crawl")
        crawl.kept += at not in ("list", "crawl")
        decode.rejected += at == "decode"
        decode.kept += at is None
        if at in (None, "decode"):  # what is in the file: what was decoded, and `decode.lost`
            decoded = recording.num_samples - recording.silent_samples
            decode.samples_in += decoded + recording.lost_samples
            decode.samples_kept += decoded if at is None else 0
            decode.samples_rejected += recording.lost_samples + (decoded if at == "decode" else 0)
            if not 0 <= recording.silent_samples <= min(recording.lost_samples, recording.num_samples):
                report.problems.append(
                    f"recording {recording.id}: {recording.silent_samples} samples of silence for "
                    f"{recording.lost_samples} lost ones, of {recording.num_samples}"
                )
    decode.rows_in = crawl.kept
    report.balances += [crawl, decode]
    for stranger in sorted({r.item_id for r in outcomes} - items):
        report.problems.append(f"missing: items: recording of item {stranger} is there, and no such item is listed")
    for missing in sorted(items - {r.item_id for r in outcomes}):
        report.problems.append(f"missing: item {missing} has no outcome")
    for recording in outcomes:
        if recording.rejection is None and recording.audio and "://" not in recording.audio:
            uri = recording.audio if recording.audio.startswith("/") else run.uri(recording.audio)
            if not exists(uri):
                report.problems.append(f"missing: {uri}: the audio of recording {recording.id}")


def _check_parts(units: Sequence[Unit], recordings: Mapping[str, Recording]) -> Iterator[str]:
    """The parts of all units tile every kept recording exactly."""
    parts: dict[str, list[Any]] = {}
    for unit in units:
        for part in unit.parts:
            parts.setdefault(part.recording_id, []).append(part)
    for recording_id, recording in recordings.items():
        yield from _tiles(f"parts of recording {recording_id}", parts.get(recording_id, []), 0, recording.num_samples)
    for stranger in sorted(parts.keys() - recordings.keys()):
        yield f"extra: a unit holds recording {stranger}, which was not kept"


def _check_index(run: Run) -> Iterator[str]:
    """The index names the committed shards as their commits do; damaged commits were reported before."""
    fix = "run `voxmill run` again to write it again"
    uri = f"{run.shards_dir}/{INDEX}"
    try:
        indexed = {shard.name: shard for shard in read_records(uri, ShardSummary)} if exists(uri) else {}
        shards = {shard.name: shard for shard in committed(run.shards_dir)}
    except (SchemaError, ShardError) as error:
        yield f"damaged: {error}"
        return
    for name in sorted(shards.keys() | indexed.keys()):
        if name not in indexed:
            yield f"missing: {uri}: it has no line for {name}; {fix}"
        elif name not in shards:
            yield f"extra: {uri}: it names {name}, which is not committed; {fix}"
        elif indexed[name] != shards[name]:
            yield f"differs: {uri}: {name} is not what was committed; {fix}"


def _tiles(what: str, pieces: Sequence[Any], start: int, end: int) -> Iterator[str]:
    at = start
    for piece in sorted(pieces, key=lambda p: int(p.start)):
        if piece.start != at:
            yield f"unbalanced: {what}: a piece starts at sample {piece.start}, the one before ended at {at}"
        at = piece.end
    if at != end:
        yield f"unbalanced: {what}: they end at sample {at}, not at {end}"


def _check_units(
    run: Run, ledger: Ledger, units: Sequence[Unit], stages: Mapping[str, Stage], to_come: Pending, report: Report
) -> dict[str, Expected]:
    """Stage by stage, unit by unit, what each kind of stage says of its rows. Returns what shards must hold."""
    chain = _of_units(stages)
    balances = {s.name: Balance(s.name) for s in chain if s.of.rows in ("tiles", "segments", "parts")}
    expected: dict[str, Expected] = {}
    for unit in units:
        later = {name for name, waiting in to_come.hearing.items() if unit.id in waiting}
        missing = [s.name for s in chain if s.name not in later and not ledger.is_done(s, unit.id)]
        if missing:
            report.problems.append(f"missing: unit {unit.id}: no result of {', '.join(missing)}; run `voxmill run` again")
            continue
        rows = {s.name: ledger.read(s, unit.id) for s in chain if s.name not in later}
        kept = {s.id: s for s in rows.get("segment", ()) if s.rejection is None}
        for stage in (s for s in chain if s.name in rows):
            report.problems += _check_rows(stage, unit, rows[stage.name], kept)
            if balance := balances.get(stage.name):
                _count(balance, stage, unit, rows[stage.name], kept)
        for file in sorted({row.file for row in rows.get("frames", ()) if row.file}):
            report.problems += [] if exists(run.uri(file)) else [_no_pictures(run, file)]
        pictures = {row.segment_id: None if row.rejection else len(row.pictures) for row in rows.get("frames", ())}
        licences = {r.id: r.licence.name for r in rows.get("recordings", ())}
        for row in rows.get("select", ()):
            if row.rejection is None and row.segment_id in kept:
                s = kept[row.segment_id]
                expected[s.id] = Expected(
                    s.recording_id, s.start, s.num_samples, row.split, licences[s.recording_id], row.tier, pictures.get(s.id)
                )
    report.balances += (balance for balance in balances.values() if balance.rows_in or balance.stage not in to_come.hearing)
    return expected


def _of_units(stages: Mapping[str, Stage]) -> list[Stage]:
    """The stages that have a fragment for every unit, in order."""
    return [s for s in stages.values() if not s.of.of_items]


def _check_rows(stage: Stage, unit: Unit, rows: Sequence[Any], kept: Mapping[str, Segment]) -> Iterator[str]:
    """That the rows of a unit are the ones that the stage's kind promises (see `Rows`)."""
    here = f"differs: unit {unit.id}: rows of {stage.name}"
    recordings = list(dict.fromkeys(part.recording_id for part in unit.parts))
    match stage.of.rows:
        case "segments":
            if [row.segment_id for row in rows] != list(kept):
                yield f"{here} are not those of the kept segments"
        case "tiles":
            for part in unit.parts:
                mine = [s for s in rows if s.recording_id == part.recording_id]
                yield from _tiles(f"segments of {part.recording_id} in unit {unit.id}", mine, part.start, part.end)
        case "parts":
            if [(r.recording_id, r.start, r.num_samples) for r in rows] != [
                (p.recording_id, p.start, p.num_samples) for p in unit.parts
            ]:
                yield f"{here} are not those of the parts"
        case "recordings":
            if list(dict.fromkeys(row.id for row in rows)) != recordings:
                yield f"{here} are not those of the unit's parts"
        case "units":
            if list(rows) != [unit]:
                yield f"{here} are not the unit that was listed"
        case "stretches":
            if not {row.recording_id for row in rows} <= set(recordings):
                yield f"{here} are of recordings that the unit does not hold"


def _no_pictures(run: Run, file: str) -> str:
    fix = f"delete {run.uri('ledger', 'frames')} and run `voxmill run` again"
    return f"missing: {run.uri(file)}: pictures of a recording; {fix}"


def _count(balance: Balance, stage: Stage, unit: Unit, rows: Sequence[Any], kept: Mapping[str, Segment]) -> None:
    """Adds one unit to a stage's books. What enters `segment` and what works on parts is the unit's audio; all else the kept segments."""
    of_segments = stage.of.rows == "segments"
    balance.rows_in += len(kept) if of_segments else len(unit.parts) if stage.of.rows == "parts" else len(rows)
    balance.samples_in += sum(s.num_samples for s in kept.values()) if of_segments else unit.num_samples
    for row in rows:
        length = getattr(kept.get(row.segment_id), "num_samples", 0) if of_segments else row.num_samples
        rejected = getattr(row, "rejection", None) is not None
        balance.rejected += rejected
        balance.kept += not rejected
        balance.samples_rejected += length if rejected else 0
        balance.samples_kept += 0 if rejected else length
