"""A member of a unit that kills or fails its worker becomes an outcome of its own, and the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from voxmill.manifests.duplicate_records import Fingerprint
from voxmill.manifests.ids import segment_id
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Consensus, Hypothesis, Labels, Opinion, Pictures, Recording, Segment, Selection
from voxmill.manifests.redaction_records import Masked, Redaction
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.select.select import split_of
from voxmill.pipeline.stage import Stage


def member_of(row: Any) -> str:
    """The key (see `UnitInput.members`) of the member that a stage's output row belongs to."""
    if isinstance(row, Recording):
        return row.item_id
    return str(row.recording_id if isinstance(row, (Segment, Fingerprint)) else row.segment_id)


def insert(stage: Stage, work: UnitInput, rows: Sequence[Any], bad: Mapping[str, str]) -> list[Any]:
    """The stage's rows in the unit's order, with one quarantined row for each bad member."""
    by_member: dict[str, list[Any]] = {key: [] for key in work.members()}
    for row in rows:
        by_member[member_of(row)].append(row)
    for key, detail in bad.items():
        by_member[key] = [_quarantined(stage, work, key, detail)]
    return [row for group in by_member.values() for row in group]


def _quarantined(stage: Stage, work: UnitInput, key: str, detail: str) -> Any:
    rejection = reject(f"{stage.kind}.failed", detail) if stage.kind not in ("fingerprint", "redact") else None
    make: dict[type, Callable[[], Any]] = {
        Recording: lambda: _recording(work, key, rejection),
        Segment: lambda: _segment(work, key, rejection),
        Hypothesis: lambda: Hypothesis(key, stage.name.split(":", 1)[-1], "", "", rejection=rejection),
        Consensus: lambda: Consensus(
            key, "", "none", None, None, None, None, "word", (), (), "", (), 0, None, 0.0, 0.0, 0, rejection
        ),
        Opinion: lambda: Opinion(key, stage.name.split(":", 1)[-1], (), rejection),
        Labels: lambda: Labels(key),
        Fingerprint: lambda: _unheard(work, key),
        Redaction: lambda: Redaction(key, "", (Masked("FAILED", 0, 0.0),)),
        Pictures: lambda: Pictures(key, rejection=rejection),
        Selection: lambda: Selection(key, "rejected", split_of(_recording_id(work, key)), 0.0, rejection),
    }
    return make[stage.writes]()


def _recording(work: UnitInput, key: str, rejection: Any) -> Recording:
    for recording in work.recordings:
        if recording.item_id == key:
            return replace(recording, rejection=rejection)
    item = next(i for i in work.items if i.id == key)
    return Recording(
        item.id, item.id, item.provenance, item.licence, language=item.language, domain=item.domain, rejection=rejection
    )


def _segment(work: UnitInput, key: str, rejection: Any) -> Segment:
    part = next(p for p in work.parts if p.recording_id == key)
    return Segment(segment_id(key, part.start, part.end), key, part.start, part.num_samples, None, rejection)


def _unheard(work: UnitInput, key: str) -> Fingerprint:
    part = next(p for p in work.parts if p.recording_id == key)
    return Fingerprint(key, part.start, part.num_samples, ())


def _recording_id(work: UnitInput, key: str) -> str:
    return next(s.recording_id for s in work.segments if s.id == key)
