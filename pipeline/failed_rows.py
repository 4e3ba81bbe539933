"""The row that stands for a member of a unit that killed or failed its stage: one function for each kind of row.

Each is called as `make(work, key, name, rejection)`: the unit's input, the member's key, the engine's or labeller's name, and why.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from voxmill.manifests.duplicate_records import Fingerprint, Shingles
from voxmill.manifests.ids import segment_id
from voxmill.manifests.records import (
    Consensus,
    Hypothesis,
    Labels,
    Opinion,
    Part,
    Pictures,
    Recording,
    Rejection,
    Segment,
    Selection,
)
from voxmill.manifests.redaction_records import Masked, Redaction
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.select.select import split_of

Why = Rejection | None


def recording(work: UnitInput, key: str, name: str, why: Why) -> Recording:
    """The recording as far as it got; where it was never fetched, its listed item stands in for it."""
    for one in work.recordings:
        if one.item_id == key:
            return replace(one, rejection=why)
    item = next(i for i in work.items if i.id == key)
    return Recording(item.id, item.id, item.provenance, item.licence, language=item.language, domain=item.domain, rejection=why)


def segment(work: UnitInput, key: str, name: str, why: Why) -> Segment:
    """One rejected tile over the whole part."""
    part = _part(work, key)
    return Segment(segment_id(key, part.start, part.end), key, part.start, part.num_samples, None, why)


def fingerprint(work: UnitInput, key: str, name: str, why: Why) -> Fingerprint:
    """A part that cannot be compared by its sound."""
    part = _part(work, key)
    return Fingerprint(key, part.start, part.num_samples, ())


def shingles(work: UnitInput, key: str, name: str, why: Why) -> Shingles:
    """A part that cannot be compared by its text."""
    part = _part(work, key)
    return Shingles(key, part.start, part.num_samples, (), (), (), ())


def hypothesis(work: UnitInput, key: str, name: str, why: Why) -> Hypothesis:
    """Nothing heard by the engine `name`."""
    return Hypothesis(key, name, "", "", rejection=why)


def consensus(work: UnitInput, key: str, name: str, why: Why) -> Consensus:
    """No agreement, no text."""
    return Consensus(key, "", "none", None, None, None, None, "word", (), (), "", (), 0, None, 0.0, 0.0, 0, why)


def opinion(work: UnitInput, key: str, name: str, why: Why) -> Opinion:
    """Nothing said by the labeller `name`."""
    return Opinion(key, name, (), why)


def labels(work: UnitInput, key: str, name: str, why: Why) -> Labels:
    """Unlabelled in everything."""
    return Labels(key)


def pictures(work: UnitInput, key: str, name: str, why: Why) -> Pictures:
    """No pictures."""
    return Pictures(key, rejection=why)


def redaction(work: UnitInput, key: str, name: str, why: Why) -> Redaction:
    """Masked as a whole and without a time: `select` then rejects it, for nobody knows what the text holds."""
    return Redaction(key, "", (Masked("FAILED", 0, 0.0),))


def selection(work: UnitInput, key: str, name: str, why: Why) -> Selection:
    """Rejected, in the split that its recording has."""
    recording_id = next(s.recording_id for s in work.segments if s.id == key)
    return Selection(key, "rejected", split_of(recording_id), 0.0, why)


def of_user(record: type, work: UnitInput, key: str, name: str, why: Why) -> Any:
    """A row of the user's own stage with nothing in it but, where it has a field for it, the reason."""
    named = {"rejection": why} if "rejection" in record.__dataclass_fields__ else {}  # type: ignore[attr-defined]
    return record(key, **named)


def _part(work: UnitInput, key: str) -> Part:
    return next(p for p in work.parts if p.recording_id == key)
