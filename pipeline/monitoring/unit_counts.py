"""What a worker reports of one unit beside its rows: seconds that were kept, rejections by reason, requests to the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.pipeline.monitoring.store_counts import STORE_COUNTS
from voxmill.pipeline.stage import StageKind


class UnitCounts(TypedDict):
    """Fields of `Done`."""

    kept_s: float
    reasons: tuple[tuple[str, int, float], ...]
    requests: tuple[int, int]


def unit_counts(kind: StageKind, work: UnitInput, rows: Sequence[Any]) -> UnitCounts:
    """Of the rows that a stage of this kind made of a unit.

    A row is as long as it says itself, else as long as the segment that it is about; a recording that was never fetched has no length.
    """
    lengths = {segment.id: segment.num_samples for segment in work.segments}
    kept, reasons = 0, dict[str, tuple[int, int]]()
    for row in rows:
        samples = getattr(row, "num_samples", None)
        if samples is None:
            samples = lengths.get(kind.member_of(row), 0)
        rejection = row.rejection if kind.can_reject else None
        if rejection is None:
            kept += samples
        else:
            rows_before, samples_before = reasons.get(rejection.reason, (0, 0))
            reasons[rejection.reason] = (rows_before + 1, samples_before + samples)
    return {
        "kept_s": kept / SAMPLE_RATE,
        "reasons": tuple((reason, count, total / SAMPLE_RATE) for reason, (count, total) in sorted(reasons.items())),
        "requests": STORE_COUNTS.take(),
    }
