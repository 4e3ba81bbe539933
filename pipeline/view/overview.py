"""What the first page says of a run: the funnel with its reasons, what is kept by kind, and the words that the page needs to speak of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxmill.manifests.errors import UserError
from voxmill.manifests.public_form import public_address
from voxmill.pipeline.view.run_view import Row, RunView, no_place, required
from voxmill.pipeline.view.segment_filter import MEASURES
from voxmill.sharding.sample import portable

FACETS = ("language", "domain", "host", "licence", "tier", "source", "split", "bandwidth")
"""What segments are told apart by, in charts and lists to choose from."""
VALUES = 200
"""Most values of a facet that a list offers, the largest first."""
LISTED = 500
"""Most recordings that a list of losses shows."""
FIRST_SEGMENT_STAGE = 3
"""Position of `segment` in the funnel: what is lost before has no segments to show."""


def overview(view: RunView, params: Mapping[str, str]) -> Row:
    """The funnel, the reasons of each of its stages, hours by tier, and whether the books are balanced."""
    ((totals),) = view.ask(
        "SELECT count(*) AS spans, count(*) FILTER (speech) AS segments, count(*) FILTER (kept) AS kept,"
        " coalesce(sum(num_samples), 0) / 57.6e6 AS hours, coalesce(sum(num_samples) FILTER (kept), 0) / 57.6e6 AS kept_hours FROM spans"
    )
    return {
        "name": view.name,
        "totals": totals,
        "funnel": view.ask("FROM funnel"),
        "rejections": view.ask(
            "SELECT r.*, v.position FROM rejections AS r LEFT JOIN (SELECT DISTINCT stage, position FROM verdict_counts) AS v USING (stage)"
        ),
        "tiers": view.ask(
            "SELECT tier, count(*) AS segments, sum(num_samples) / 57.6e6 AS hours FROM spans WHERE tier IS NOT NULL GROUP BY tier"
            " ORDER BY list_position(['high', 'weak', 'unlabelled', 'event', 'rejected'], tier)"
        ),
        "redacts": view.redacts,
        "other": view.other_name,
    }


def choices(view: RunView, params: Mapping[str, str]) -> Row:
    """Values of each facet, largest first, the reasons that occur, and the measures: what filters offer."""
    facets = {
        facet: view.ask(
            f"SELECT {facet} AS value, count(*) AS segments FROM spans WHERE speech GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {VALUES}"
        )
        for facet in FACETS
    }
    return {
        "facets": facets,
        "reasons": view.ask(
            "SELECT reason AS value, count(*) AS segments FROM spans WHERE reason IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
        ),
        "measures": {
            name: {"title": m.title, "unit": m.unit, "low": m.low, "high": m.high, "step": m.step}
            for name, m in MEASURES.items()
        },
        "meanings": {row["reason"]: row for row in view.ask("SELECT reason, meaning, advice FROM reasons")},
    }


def retention(view: RunView, params: Mapping[str, str]) -> Row:
    """Hours that were heard and kept, by the values of the facet `by`."""
    by = required(params, "by")
    if by not in ("language", "domain", "host", "licence", "source", "bandwidth"):
        raise UserError(f"no retention by `{by}`")
    return {"by": by, "rows": view.ask(f"FROM retention_by_{by} LIMIT {VALUES}")}


def losses(view: RunView, params: Mapping[str, str]) -> Row:
    """Items and recordings that `list`, `crawl` or `decode` gave up for a reason, the first `LISTED` of them."""
    sql = f"""
        WITH lost AS (
            SELECT provenance.url AS url, provenance.title AS title, provenance.host AS host, rejection.reason AS reason,
                rejection.detail AS detail, num_samples / 16000 AS seconds FROM recordings WHERE rejection IS NOT NULL
            UNION ALL
            SELECT provenance.url, provenance.title, provenance.host, rejection.reason, rejection.detail, 0 FROM items WHERE rejection IS NOT NULL
        )
        SELECT *, count(*) OVER () AS total FROM lost WHERE reason = ? ORDER BY host, url LIMIT {LISTED}
    """
    rows = [_public(row) for row in view.ask(sql, [required(params, "reason")])]
    return {"rows": rows, "total": rows[0]["total"] if rows else 0}


def _public(row: Row) -> dict[str, Any]:
    shown = {name: no_place(value) if isinstance(value, str) and name != "url" else value for name, value in row.items()}
    return shown | {"url": portable(public_address(row["url"]))}
