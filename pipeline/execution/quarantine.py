"""A member of a unit that kills or fails its worker becomes an outcome of its own, and the run goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voxmill.manifests.reasons import REASONS, reject
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.pipeline.stage import Stage


def insert(stage: Stage, work: UnitInput, rows: Sequence[Any], bad: Mapping[str, str]) -> list[Any]:
    """The stage's rows in the unit's order, with one quarantined row for each bad member; `bad` says why by member."""
    by_member: dict[str, list[Any]] = {key: [] for key in work.members()}
    for row in rows:
        by_member[stage.of.member_of(row)].append(row)
    for key, detail in bad.items():
        by_member[key] = [_quarantined(stage, work, key, detail)]
    return [row for group in by_member.values() for row in group]


def _quarantined(stage: Stage, work: UnitInput, key: str, detail: str) -> Any:
    reason = f"{stage.kind}.failed"
    rejection = reject(reason, detail) if reason in REASONS else None
    assert stage.of.failed is not None
    return stage.of.failed(work, key, stage.name.split(":", 1)[-1], rejection)
