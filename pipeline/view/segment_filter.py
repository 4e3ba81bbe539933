"""Which segments a page asks for: parameters of an address to a SQL condition with placeholders. No text of a request becomes SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voxmill.manifests.catalog_script import identifier
from voxmill.manifests.errors import UserError, nearest
from voxmill.manifests.what_if import threshold_arguments
from voxmill.pipeline.view.run_view import AGAINST, RunView


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that every segment may have: how it is computed, and the range in which it is drawn."""

    title: str
    unit: str
    sql: str
    low: float
    high: float
    step: float
    """Width of a bin. What lies outside the range is in the first or last bin."""


CLASSES = ("language", "domain", "host", "source", "licence", "tier", "split", "bandwidth", "kind", "recording_id")
"""Columns of which a parameter gives one value; empty: not known."""

MEASURES = {
    "seconds": Measure("Duration", "s", "t.num_samples / 16000", 0, 40, 1),
    "agreement": Measure("Agreement", "", "t.agreement", 0, 1, 0.025),
    "confidence": Measure("Confidence", "", "t.confidence", 0, 1, 0.025),
    "chars_per_second": Measure("Speech rate", "characters/s", "t.chars_per_second", 0, 40, 1),
    "quality": Measure("Speech quality (DNSMOS overall)", "MOS", "t.quality", 1, 5, 0.1),
    "cutoff_khz": Measure("Bandwidth (spectral cut-off of the recording)", "kHz", "b.cutoff_hz / 1000", 0, 24, 0.5),
}
"""`min_<name>` and `max_<name>` are parameters: from, and below."""

ORDERS = {
    **{name: one.sql for name, one in MEASURES.items()},
    "start": "t.recording_id, t.start",
    "expected_error": "t.expected_error",
}
"""By which a table can be sorted."""

_CUTOFF = " LEFT JOIN (SELECT id, any_value(cutoff_hz) AS cutoff_hz FROM recordings WHERE rejection IS NULL GROUP BY id) AS b ON b.id = t.recording_id"
_KNOWN = {
    *CLASSES, *(f"{end}_{name}" for name in MEASURES for end in ("min", "max")),
    "ids", "kept", "reason", "stage", "text", "speech", "thresholds", "against", "tier_then", "moved",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SegmentFilter:
    """FROM and WHERE of a query over segments `t`, the other verdict on them `w` where there is one, and the values of placeholders."""

    source: str
    where: str
    values: tuple[Any, ...]
    compared: bool
    """`w.tier_then`, `w.kept_then` are there."""


def segment_filter(view: RunView, params: Mapping[str, str], *uses: str) -> SegmentFilter:
    """What the parameters ask for. `uses`: measures that the query needs besides. Raises UserError for an unknown one or a bad value."""
    for name in params:
        if name not in _KNOWN:
            raise UserError(f"no filter `{name}`{nearest(name, _KNOWN)}")
    source, before = "spans AS t", list[Any]()
    if "thresholds" in params:
        arguments, before = view.with_connection(threshold_arguments, _thresholds(params["thresholds"]))
        moved = (
            " WHERE tier <> tier_now OR (rules = 0) <> kept_now" if "moved" in params else ""
        )  # before they are joined: few move
        ruled = f"SELECT segment_id, tier AS tier_then, rules = 0 AS kept_then FROM ruled({arguments}){moved}"
        source += f" JOIN ({ruled}) AS w ON w.segment_id = t.segment_id"
    elif "against" in params:
        source += f" LEFT JOIN (SELECT segment_id, tier AS tier_then, kept AS kept_then FROM {AGAINST}) AS w ON w.segment_id = t.segment_id"
    compared = "thresholds" in params or "against" in params
    if "cutoff_khz" in uses or any(name.endswith("cutoff_khz") for name in params):
        source += _CUTOFF
    # where personal data is looked for, nobody finds out by searching what was found, or what was not searched
    texts = "(FROM redactions WHERE len(masked) = 0)" if view.redacts else "consensus"
    conditions, values = ["true"], list[Any]()
    for name, value in params.items():
        condition, given = _condition(name, value, params, compared, texts)
        if condition:
            conditions.append(condition)
            values += given
    return SegmentFilter(source, " AND ".join(conditions), (*before, *values), compared)


def _condition(name: str, value: str, params: Mapping[str, str], compared: bool, texts: str) -> tuple[str, list[Any]]:
    """One parameter as a condition and its values; nothing where another parameter has it."""
    if name in CLASSES:
        return f"t.{identifier(name)} IS NOT DISTINCT FROM ?", [value or None]
    if name == "tier_then" and compared:
        return "w.tier_then IS NOT DISTINCT FROM ?", [value or None]
    if name[:4] in ("min_", "max_"):
        return f"{MEASURES[name[4:]].sql} {'>=' if name[:4] == 'min_' else '<'} ?", [_number(name, value)]
    if name in ("kept", "speech"):
        return f"t.{name} = ?", [value == "yes"]
    if name == "moved" and "against" in params:
        return "w.kept_then IS NOT NULL AND (w.tier_then IS DISTINCT FROM t.tier OR w.kept_then IS DISTINCT FROM t.kept)", []
    if name == "ids":
        idents = value.split(",")
        return f"t.segment_id IN ({', '.join('?' for _ in idents)})", idents
    if name == "reason":
        if stage := params.get("stage"):
            return "t.fate IN (SELECT fate FROM fate_verdicts WHERE stage = ? AND NOT kept AND reason = ?)", [stage, value]
        return "t.reason = ?", [value]
    if name == "text":
        return f"t.segment_id IN (SELECT segment_id FROM {texts} WHERE contains(lower(text), lower(?)))", [value]
    return "", []


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UserError(f"{name}={value}: a number is wanted") from None


def _thresholds(value: str) -> dict[str, Any]:
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError('thresholds: a JSON object is wanted, as in {"weak": 0.9}')
    return found
