"""The table of segments: filtered, sorted, page by page."""

from __future__ import annotations

from collections.abc import Mapping

from voxmill.manifests.errors import UserError
from voxmill.pipeline.view.run_view import Row, RunView
from voxmill.pipeline.view.segment_filter import ORDERS, segment_filter

PAGE = 50
"""Rows of a page."""
DEEP = 1000
"""From so many rows on, only ids are sorted, and the page's rows are read by them: whole rows are heavy to sort."""
FARTHEST = 1_000_000
"""No page begins behind so many rows: a filter finds what is there faster."""

_COLUMNS = (
    "segment_id", "unit", "recording_id", "start", "num_samples", "host", "source", "licence", "domain", "language", "tier", "split",
    "bandwidth", "kind", "agreement", "confidence", "expected_error", "chars_per_second", "quality", "speech", "agreed", "kept", "reason",
)  # fmt: skip


def segments(view: RunView, params: Mapping[str, str]) -> Row:
    """One page of segments with their labels, and how many there are and how long all of them are.

    Parameters: those of `segment_filter`, `sort` (a measure, `start` or `expected_error`), `order` (`asc`, `desc`), `page` from 0, `size`.
    """
    page, size = _whole(params, "page", 0), max(1, min(_whole(params, "size", PAGE), 10 * PAGE))
    sort, order = params.get("sort", "start"), params.get("order", "asc")
    if sort not in ORDERS or order not in ("asc", "desc"):
        raise UserError(f"no table sorted by `{sort}` {order}; there are {', '.join(ORDERS)}")
    if page * size > FARTHEST:
        raise UserError(f"page {page} is too far: filter, or sort the other way")
    found = segment_filter(view, {k: v for k, v in params.items() if k not in ("page", "size", "sort", "order")}, sort)
    more = ", w.tier_then, w.kept_then" if found.compared else ""
    direction = order.upper()
    ordered = ", ".join(f"{part} {direction} NULLS LAST" for part in ORDERS[sort].split(", "))
    cutoff = ", b.cutoff_hz / 1000 AS cutoff_khz" if " AS b ON" in found.source else ""
    chosen = f"FROM {found.source} WHERE {found.where}"
    ending = f"ORDER BY {ordered}, t.segment_id LIMIT {size} OFFSET {page * size}"
    columns = f"{', '.join(f't.{name}' for name in _COLUMNS)}{more}{cutoff}"
    if page * size < DEEP:
        rows = view.ask(f"SELECT {columns} {chosen} {ending}", found.values)
    else:
        idents = [row["segment_id"] for row in view.ask(f"SELECT t.segment_id {chosen} {ending}", found.values)]
        names = ", ".join("?" for _ in idents) or "NULL"
        rows = view.ask(f"SELECT {columns} {chosen} AND t.segment_id IN ({names})", [*found.values, *idents])
        rows.sort(key=lambda row: idents.index(row["segment_id"]))
    ((totals),) = view.ask(
        f"SELECT count(*) AS segments, coalesce(sum(t.num_samples), 0) / 57.6e6 AS hours FROM {found.source} WHERE {found.where}",
        found.values,
    )
    return {"rows": with_texts(view, rows), "page": page, "size": size, **totals}


def with_texts(view: RunView, rows: list[Row]) -> list[Row]:
    """The rows with `text`, the label as it may be shown, and `masked`."""
    if not rows:
        return rows
    texts = view.about_all(rows, "consensus", "segment_id, text")
    hidden = view.about_all(rows, "redactions", "segment_id, text, masked")
    label = {row["segment_id"]: row["text"] for row in texts}
    redaction = {row["segment_id"]: row for row in hidden}
    for row in rows:
        of = redaction.get(row["segment_id"])
        row["text"] = view.shown(label.get(row["segment_id"]), of, row["kept"])
        row["masked"] = bool(of and of["masked"])
    return rows


def _whole(params: Mapping[str, str], name: str, default: int) -> int:
    value = params.get(name, "")
    if value and not value.isdecimal():
        raise UserError(f"{name}={value}: a whole number is wanted")
    return int(value or default)
