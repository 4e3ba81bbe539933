"""What a segment measures against each threshold of `select`, and which of them it fails: by the same SQL that `--what-if` uses."""

from __future__ import annotations

from dataclasses import dataclass

from voxmill.pipeline.view.run_view import Row, RunView


@dataclass(frozen=True, slots=True)
class _Check:
    """A rule of `select`: what it is called, the column that it looks at, the threshold that it compares with, and how."""

    reason: str
    measured: str
    threshold: str
    least: bool | None
    """The column has to be at least the threshold; False: at most; None: one of a list, or within a fence."""


_CHECKS = (
    _Check("select.licence", "licence", "licences", None),
    _Check("select.language", "language", "languages", None),
    _Check("select.language_unsure", "language_confidence", "language_confidence", True),
    _Check("select.too_few_chars", "chars", "min_chars", True),
    _Check("select.repetition", "repeated_ngrams", "max_repeats", False),
    _Check("select.compression", "compression_ratio", "max_compression", False),
    _Check("select.speech_rate", "chars_per_second", "rate_fence", None),
    _Check("select.low_confidence", "confidence", "min_confidence", True),
    _Check("select.low_agreement", "agreement", "unlabelled", True),
    _Check("select.unlabelled", "agreement", "weak", True),
)


def scores(view: RunView, span: Row) -> list[Row]:
    """One row for each rule that `select` tries: measured value, threshold, and whether it fails. Empty where `select` judged nothing."""
    if not span["agreed"] or span["kind"] != "speech":
        return []
    judged = view.ask("SELECT fails FROM judge() WHERE segment_id = ?", [span["segment_id"]])
    if not judged:
        return []
    fails, limits = judged[0]["fails"], view.ask("FROM thresholds")[0]
    alone = span["agreement"] is None
    rate = span["chars_per_second"]
    measured = span | {"chars": None if rate is None else round(rate * span["num_samples"] / 16000)}
    rows = []
    for check in _CHECKS:
        column, limit = check.measured, limits[check.threshold]
        if alone and column == "agreement":  # one engine: its confidence is compared with thresholds of its own
            column, limit = "confidence", limits[f"single_{check.threshold}"]
        if check.reason == "select.speech_rate" and (fence := _fence(span, limits)):
            limit = fence
        rows.append({
            "reason": check.reason, "measure": column, "value": measured[column], "threshold": check.threshold, "limit": limit,
            "least": check.least, "fails": check.reason in fails,
        })  # fmt: skip
    high = limits["single_high"] if alone else limits["high"]
    rows.append({
        "reason": "tier high", "measure": "confidence" if alone else "agreement", "value": span["confidence"] if alone else span["agreement"],
        "threshold": "high", "limit": high, "least": True, "fails": span["tier"] != "high",
    })  # fmt: skip
    known = {check.reason for check in _CHECKS}
    rows += [
        {"reason": reason, "measure": None, "value": None, "threshold": None, "limit": None, "least": None, "fails": True}
        for reason in fails
        if reason not in known
    ]
    return rows


def _fence(span: Row, limits: Row) -> list[float] | None:
    """Least and most characters per second, where the recording has enough segments to say so."""
    fence, low, high = limits["rate_fence"], span["rate_q1"], span["rate_q3"]
    if fence is None or fence < 0 or low is None or (span["num_rates"] or 0) < limits["rate_segments"]:
        return None
    return [low - fence * (high - low), high + fence * (high - low)]
