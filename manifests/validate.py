"""What must hold between the records of a run: one message for each thing that does not, with its id and both numbers.

Pure and in memory, for fragments, imported manifests and tests; `conservation` in the catalog asks the same of a whole run in SQL.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from voxmill.manifests.ids import segment_id
from voxmill.manifests.reasons import REASONS
from voxmill.manifests.records import SAMPLE_RATE, Annotation, Consensus, Hypothesis, Labels, Part, Recording, Segment, Unit
from voxmill.manifests.schema import from_table, schema_of
from voxmill.manifests.tables import RECORDS, TABLES

WORD_TOLERANCE = SAMPLE_RATE // 2
"""How far a word or a mark may reach out of its segment (samples): recognisers round their times and pad their windows."""

_KEYS = {table.name: table.key for table in TABLES}


def validate(tables: Mapping[str, pa.Table | Iterable[Any]], *, word_tolerance: int = WORD_TOLERANCE) -> list[str]:
    """Problems of a run's tables (`items`, `recordings`, …: Arrow tables or records), in the order of the stages.

    A table that is not given is not missed: only what is there is checked, and against what is there.
    Raises SchemaError where a table holds something else than its records.
    """
    run = {name: _records(name, rows) for name, rows in tables.items()}
    recordings = {r.id: r for r in run.get("recordings", ()) if r.rejection is None}
    segments = {s.id: s for s in run.get("segments", ())}
    problems = [*_ids(run), *_reasons(run)]
    if "recordings" in run:
        problems += _recordings(run)
        problems += _parts(run["units"], recordings) if "units" in run else []
        problems += _spans(run.get("segments", ()), recordings)
    if "segments" in run:
        problems += _tiling(run, recordings)
        problems += _members(run, segments)
        problems += _hypotheses(run.get("hypotheses", ()), segments, word_tolerance)
        problems += _labels(run.get("labels", ()), segments, word_tolerance)
    problems += _consensus(run.get("consensus", ()))
    problems += _verdicts(run)
    return problems


def _records(name: str, rows: pa.Table | Iterable[Any]) -> Sequence[Any]:
    record = RECORDS[name]
    if isinstance(rows, pa.Table):
        rest = [column for column in rows.column_names if column not in schema_of(record).names]
        return from_table(rows.drop_columns(rest) if rest == ["unit"] else rows, record, name)
    return tuple(rows)


def _ids(run: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    for name, rows in run.items():
        counts = Counter(tuple(getattr(row, key) for key in _KEYS[name]) for row in rows)
        for key, count in counts.items():
            if count > 1:
                yield f"{name} {'/'.join(key)}: expected 1 row, found {count}"


def _reasons(run: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    for table in TABLES:
        name, stages = table.name, table.reasons
        for row in run.get(name, ()) if stages else ():
            reason = row.rejection.reason if row.rejection else None
            if reason is None:
                continue
            known = REASONS.get(reason)
            if known is None:
                yield f"{name} {_key(name, row)}: no reason is called {reason!r}"
            elif known.stage not in stages:
                yield f"{name} {_key(name, row)}: {reason!r} is a reason of another stage, expected one of {sorted(stages)}"


def _recordings(run: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    kept = Counter(r.id for r in run["recordings"] if r.rejection is None)
    for ident, count in kept.items():
        if count > 1:
            yield f"recording {ident}: expected 1 kept recording with these bytes, found {count}"
    for recording in run["recordings"]:
        if recording.rejection is None and recording.num_samples <= 0:
            yield f"recording {recording.id}: kept, expected more than 0 samples, found {recording.num_samples}"
        most = min(recording.lost_samples, recording.num_samples)
        if not 0 <= recording.silent_samples <= most:
            yield f"recording {recording.id}: expected 0 to {most} samples of silence for lost ones, found {recording.silent_samples}"
    if "items" in run:
        listed = {item.id for item in run["items"] if item.rejection is None}
        failed = {item.id for item in run["items"]} - listed
        found = {recording.item_id for recording in run["recordings"]}
        yield from (f"item {ident}: expected 1 recording, found 0" for ident in sorted(listed - found))
        yield from (f"recording of item {ident}: expected 1 listed item, found 0" for ident in sorted(found - listed - failed))


def _parts(units: Iterable[Unit], recordings: Mapping[str, Recording]) -> Iterator[str]:
    """The parts of all units tile every kept recording."""
    parts: dict[str, list[Part]] = defaultdict(list)
    for unit in units:
        for part in unit.parts:
            parts[part.recording_id].append(part)
    for ident, recording in recordings.items():
        yield from _tiles(f"units of recording {ident}", parts.pop(ident, []), 0, recording.num_samples)
    yield from (f"recording {ident}: it is in {len(rest)} units, expected 0: it was not kept" for ident, rest in parts.items())


def _spans(segments: Iterable[Segment], recordings: Mapping[str, Recording]) -> Iterator[str]:
    for segment in segments:
        recording = recordings.get(segment.recording_id)
        if recording is None:
            yield f"segment {segment.id}: expected 1 kept recording {segment.recording_id}, found 0"
        elif segment.start < 0 or segment.end > recording.num_samples:
            yield f"segment {segment.id}: [{segment.start}, {segment.end}) is outside its recording, [0, {recording.num_samples})"
        ident = segment_id(segment.recording_id, segment.start, segment.end)
        if segment.id != ident:
            yield f"segment {segment.id}: its span says {ident}"


def _tiling(run: Mapping[str, Sequence[Any]], recordings: Mapping[str, Recording]) -> Iterator[str]:
    """Segments tile the parts of units; where no units are given, whole recordings."""
    by_recording: dict[str, list[Segment]] = defaultdict(list)
    for segment in run["segments"]:
        by_recording[segment.recording_id].append(segment)
    if "units" in run:
        parts = [part for unit in run["units"] for part in unit.parts]
    else:
        parts = [Part(ident, 0, recording.num_samples) for ident, recording in recordings.items()]
    for part in parts:
        inside = [s for s in by_recording[part.recording_id] if part.start <= s.start < part.end]
        yield from _tiles(f"segments of recording {part.recording_id}", inside, part.start, part.end)


def _tiles(what: str, pieces: Iterable[Part | Segment], start: int, end: int) -> Iterator[str]:
    at = start
    for piece in sorted(pieces, key=lambda p: (p.start, p.end)):
        if piece.num_samples <= 0:
            yield f"{what}: [{piece.start}, {piece.end}) is empty, expected more than 0 samples"
        if piece.start != at:
            yield f"{what}: one starts at {piece.start}, expected {at}, where the one before it ends"
        at = piece.end
    if at != end:
        yield f"{what}: they end at {at}, expected {end}"


def _members(run: Mapping[str, Sequence[Any]], segments: Mapping[str, Segment]) -> Iterator[str]:
    """What is said of segments is said of kept ones, and (but for labels) of every kept one by each engine and stage."""
    speech = {ident for ident, segment in segments.items() if segment.rejection is None}
    for name in ("hypotheses", "consensus", "labels", "selections"):
        if name not in run:
            continue
        voices: dict[str, set[str]] = defaultdict(set)
        for row in run[name]:
            voices[getattr(row, "engine", "")].add(row.segment_id)
        for voice, heard in sorted(voices.items()):
            who = f"{name} of {voice}" if voice else name
            for ident in sorted(heard - speech):
                what = "it was rejected" if ident in segments else "there is none"
                yield f"{who} {ident}: expected 1 kept segment, found 0: {what}"
            missing = sorted(speech - heard) if name != "labels" else []
            yield from (f"{who} {ident}: expected 1 row, found 0" for ident in missing)


def _hypotheses(hypotheses: Iterable[Hypothesis], segments: Mapping[str, Segment], tolerance: int) -> Iterator[str]:
    for hypothesis in hypotheses:
        segment = segments.get(hypothesis.segment_id)
        what = f"hypothesis {hypothesis.segment_id} of {hypothesis.engine}"
        for score in ("confidence", "language_confidence", "no_speech"):
            yield from _share(what, score, getattr(hypothesis, score))
        for word in hypothesis.words or ():
            yield from _share(what, f"confidence of {word.text!r}", word.confidence)
            yield from _inside(what, word.text, word.start, word.end, segment, tolerance)


def _labels(labels: Iterable[Labels], segments: Mapping[str, Segment], tolerance: int) -> Iterator[str]:
    for row in labels:
        for name in Labels.__dataclass_fields__:
            annotation = getattr(row, name)
            for mark in annotation.marks if isinstance(annotation, Annotation) else ():
                what = f"{name} of {row.segment_id}"
                yield from _share(what, f"confidence of {mark.value!r}", mark.confidence)
                yield from _inside(what, mark.value, mark.start, mark.end, segments.get(row.segment_id), tolerance)


def _consensus(rows: Iterable[Consensus]) -> Iterator[str]:
    for row in rows:
        what = f"consensus {row.segment_id}"
        for score in ("agreement", "vote", "confidence", "language_confidence"):
            yield from _share(what, score, getattr(row, score))
        if len(row.normalised) != len(row.engines):
            yield f"{what}: expected {len(row.engines)} normalised texts, one per engine, found {len(row.normalised)}"
        for number, slot in enumerate(row.slots):
            if len(slot.words) != len(row.engines):
                yield f"{what}: slot {number}: expected {len(row.engines)} words, one per engine, found {len(slot.words)}"
        ties = sum(slot.tie for slot in row.slots)
        if ties != row.num_ties:
            yield f"{what}: expected {ties} ties, as many as its slots have, found {row.num_ties}"


def _verdicts(run: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    lost = {c.segment_id: c.rejection.reason for c in run.get("consensus", ()) if c.rejection}
    for row in run.get("selections", ()):
        if row.tier == "rejected" and row.rejection is None:
            yield f"selection {row.segment_id}: rejected, expected 1 reason, found 0"
        if row.tier in ("high", "weak", "event") and row.rejection is not None:
            yield f"selection {row.segment_id}: its tier is {row.tier}, expected no reason, found {row.rejection.reason!r}"
        if row.segment_id in lost and row.rejection is None:
            yield f"selection {row.segment_id}: kept, though its consensus was rejected for {lost[row.segment_id]!r}"


def _inside(what: str, text: str, start: int | None, end: int | None, segment: Segment | None, tolerance: int) -> Iterator[str]:
    if start is not None and end is not None and end < start:
        yield f"{what}: {text!r} ends at {end}, before its start at {start}"
    if segment is None:
        return
    first, last = segment.start - tolerance, segment.end + tolerance
    for name, at in (("starts", start), ("ends", end)):
        if at is not None and not first <= at <= last:
            yield f"{what}: {text!r} {name} at {at}, outside [{segment.start}, {segment.end}) by more than {tolerance}"


def _share(what: str, name: str, value: float | None) -> Iterator[str]:
    if value is not None and not 0.0 <= value <= 1.0:
        yield f"{what}: {name} is {value}, expected 0 to 1"


def _key(name: str, row: Any) -> str:
    return "/".join(getattr(row, key) for key in _KEYS[name])
