"""What other thresholds would keep: the hours of `stats --what-if`, and the errors to expect where the run has a calibration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from voxmill.manifests.errors import UserError
from voxmill.manifests.storage import exists
from voxmill.manifests.what_if import threshold_arguments, what_if
from voxmill.operators.select.calibration import LabelEvidence, load_calibration
from voxmill.pipeline.view.run_view import Row, RunView

SLIDERS = {
    "high": (0.0, 1.0, 0.005), "weak": (0.0, 1.0, 0.005), "unlabelled": (0.0, 1.0, 0.005), "single_high": (0.0, 1.0, 0.005),
    "single_weak": (0.0, 1.0, 0.005), "single_unlabelled": (0.0, 1.0, 0.005), "min_confidence": (0.0, 1.0, 0.005),
    "language_confidence": (0.0, 1.0, 0.005), "max_repeats": (1.0, 20.0, 1.0), "max_compression": (1.0, 6.0, 0.05),
    "rate_fence": (0.0, 5.0, 0.1), "min_chars": (0.0, 50.0, 1.0),
}  # fmt: skip
"""Thresholds that are numbers: least, most, step."""

_EXPECTED = "expected_errors"
_FILE = "calibration.json"


def thresholds(view: RunView, params: Mapping[str, str]) -> Row:
    """The thresholds that the run was made with, the range of each slider, and whether errors can be expected."""
    ((now),) = view.ask("FROM thresholds")
    sliders = {name: {"low": low, "high": high, "step": step, "now": now[name]} for name, (low, high, step) in SLIDERS.items()}
    return {"sliders": sliders, "score": now["score"], "calibrated": calibrated(view)}


def what_if_answer(view: RunView, params: Mapping[str, str]) -> Row:
    """Segments and hours by tier as they are and as they would be with the thresholds in the JSON `set`; expected errors beside them."""
    asked = json.loads(params.get("set", "{}"))
    if not isinstance(asked, dict):
        raise UserError('set: a JSON object is wanted, as in {"weak": 0.9}')
    table: pa.Table = view.with_connection(what_if, asked)
    return {"rows": table.to_pylist(), "expected": _expected(view, asked)}


def calibrated(view: RunView) -> str | None:
    """Where expected errors come from: `run` (its own selection used a calibration), `calibration` (its file), or None."""
    if view.ask("SELECT 1 AS found FROM spans WHERE expected_error IS NOT NULL LIMIT 1"):
        return "run"
    return "calibration" if exists(view.run.uri(_FILE)) else None


def _expected(view: RunView, asked: Mapping[str, Any]) -> list[Row]:
    """Errors expected per word, by tier and of all that would be kept."""
    source = calibrated(view)
    if source is None:
        return []
    arguments, values = view.with_connection(threshold_arguments, asked)
    errors = "(SELECT segment_id, expected_error AS error, num_slots AS units FROM spans WHERE expected_error IS NOT NULL)"
    if source == "calibration":
        _register(view)
        errors = _EXPECTED
    sql = f"""
        WITH judged AS (SELECT segment_id, tier, rules = 0 AS kept FROM ruled({arguments})),
        priced AS (SELECT j.tier, j.kept, (e.error * e.units)::DECIMAL(18, 9) AS wrong, e.units FROM judged AS j JOIN {errors} AS e USING (segment_id))
        SELECT tier, sum(wrong) / nullif(sum(units), 0) AS expected FROM priced GROUP BY tier
        UNION ALL SELECT 'kept', sum(wrong) / nullif(sum(units), 0) FROM priced WHERE kept
    """
    return view.ask(sql, values)


def _register(view: RunView) -> None:
    """Makes the table of expected errors once, from the calibration file: error per word and words of every label that has an agreement."""
    if _EXPECTED in view.made:
        return
    calibration = load_calibration(view.run.uri(_FILE))
    rows = view.table(
        "SELECT t.segment_id, t.agreement, t.confidence, t.language, len(list_filter(c.slots, lambda s: s.choice IS NOT NULL)) AS units"
        " FROM spans AS t JOIN consensus AS c USING (segment_id) WHERE t.agreed AND t.kind = 'speech' AND t.agreement IS NOT NULL"
    )
    columns = [rows[name].to_pylist() for name in ("agreement", "confidence", "language", "units")]
    errors = [
        calibration.expected(LabelEvidence(agreement, confidence, units), language)
        for agreement, confidence, language, units in zip(*columns, strict=True)
    ]
    units = np.maximum(np.array(columns[3], np.int64), 1)
    table = pa.table({"segment_id": rows["segment_id"], "error": pa.array(errors, pa.float64()), "units": pa.array(units)})
    view.keep(_EXPECTED, table)
