"""The part of the proof that is about units: parts tile recordings, and each stage's rows are those that its kind promises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from voxmill.manifests.records import Part, Recording, Segment, Unit
from voxmill.pipeline.reports.proof import Balance, Report
from voxmill.pipeline.reports.unfinished import Pending
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import exists
from voxmill.sharding.verify_shards import ExpectedSample


def check_parts(units: Iterable[Unit], recordings: Iterable[Recording]) -> Iterator[str]:
    """The parts of all units tile every kept recording exactly. Both come in listing order, so none is remembered."""
    parts = ((unit, part) for unit in units for part in unit.parts)
    held = next(parts, None)
    for recording in recordings:
        if recording.rejection is not None:
            continue
        mine: list[Part] = []
        while held and held[1].recording_id == recording.id:
            mine.append(held[1])
            held = next(parts, None)
        yield from _tiles(f"parts of recording {recording.id}", mine, 0, recording.num_samples)
    while held:
        yield f"extra: unit {held[0].id} holds recording {held[1].recording_id}, which was not kept, or not there"
        held = next(parts, None)


def _tiles(what: str, pieces: Sequence[Any], start: int, end: int) -> Iterator[str]:
    at = start
    for piece in sorted(pieces, key=lambda p: int(p.start)):
        if piece.start != at:
            yield f"unbalanced: {what}: a piece starts at sample {piece.start}, the one before ended at {at}"
        at = piece.end
    if at != end:
        yield f"unbalanced: {what}: they end at sample {at}, not at {end}"


def check_units(
    run: Run, ledger: Ledger, units: Iterable[Unit], stages: Mapping[str, Stage], to_come: Pending, report: Report
) -> Iterator[ExpectedSample]:
    """Stage by stage, unit by unit, what each kind of stage says of its rows. Yields what shards must hold; a few units in memory at a time."""
    chain, packed = stages_of_units(stages), ledger.state.packed_units
    scans = {s.name: ledger.scan(s) for s in chain}  # read side by side, once, and none is far ahead of the others
    balances = {s.name: Balance(s.name) for s in chain if s.of.rows in ("tiles", "segments", "parts")}
    for unit in units:
        here = [s for s in chain if not to_come.waits(s.name, unit.position)]
        if missing := [s.name for s in here if not ledger.is_done(s, unit.id)]:
            report.problems.append(f"missing: unit {unit.id}: no result of {', '.join(missing)}; run `voxmill run` again")
            continue
        rows = {s.name: next(mine for n, mine in scans[s.name] if n == unit.position) for s in here}
        kept = {s.id: s for s in rows.get("segment", ()) if s.rejection is None}
        for stage in here:
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
                licence, shown = licences[s.recording_id], pictures.get(s.id)
                new = unit.position >= packed
                yield ExpectedSample(s.id, s.recording_id, s.start, s.num_samples, row.split, licence, row.tier, shown, new)
    report.balances += (balance for balance in balances.values() if balance.rows_in or balance.stage not in to_come.hearing)


def stages_of_units(stages: Mapping[str, Stage]) -> list[Stage]:
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
