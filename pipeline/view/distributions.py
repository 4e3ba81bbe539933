"""How durations, agreements and other measures are spread over a run's segments, by a facet: hours and counts in bins of fixed width."""

from __future__ import annotations

from collections.abc import Mapping

from voxmill.manifests.errors import UserError
from voxmill.pipeline.view.overview import FACETS
from voxmill.pipeline.view.run_view import Row, RunView
from voxmill.pipeline.view.segment_filter import MEASURES, Measure, segment_filter

GROUPS = 6
"""Values of a facet that are drawn apart; all others are one more."""
OTHERS = "others"
UNKNOWN = "not known"


def distributions(view: RunView, params: Mapping[str, str]) -> Row:
    """Of every measure: bins by the value of the facet `by`, over the segments of speech that the other parameters ask for.

    One pass over the segments: all measures are grouped at once.
    """
    rest = {name: value for name, value in params.items() if name != "by"}
    by = params.get("by", "language")
    if by not in FACETS:
        raise UserError(f"no distributions by `{by}`; there are {', '.join(FACETS)}")
    found = segment_filter(view, rest, *MEASURES)
    value = f"coalesce(t.{by}, '{UNKNOWN}')"
    groups = _largest(view, by, value, found.source, found.where, found.values)
    names = ", ".join("?" for _ in groups)
    group = f"CASE WHEN {value} IN ({names}) THEN {value} ELSE '{OTHERS}' END" if groups else f"'{OTHERS}'"
    bins = ", ".join(f"{_bin(measure)} AS {name}" for name, measure in MEASURES.items())
    sets = ", ".join(f"(value, {name})" for name in MEASURES)
    rows = view.ask(
        f"""
        WITH binned AS (SELECT {group} AS value, t.num_samples, {bins} FROM {found.source} WHERE t.speech AND t.kind = 'speech' AND {found.where})
        SELECT value, {", ".join(MEASURES)}, GROUPING({", ".join(MEASURES)}) AS others, count(*) AS segments,
            sum(num_samples) / 57.6e6 AS hours
        FROM binned GROUP BY GROUPING SETS ({sets}) ORDER BY ALL
        """,
        [*groups, *found.values],
    )
    return {
        "by": by,
        "groups": _order(groups, rows),
        "measures": {name: _of(name, number, rows) for number, name in enumerate(MEASURES)},
    }


def _largest(view: RunView, by: str, value: str, source: str, where: str, values: tuple[object, ...]) -> list[str]:
    rows = view.ask(
        f"SELECT {value} AS value FROM {source} WHERE t.speech AND {where} GROUP BY 1 ORDER BY sum(t.num_samples) DESC, 1 LIMIT {GROUPS}",
        values,
    )
    return [row["value"] for row in rows]


def _bin(measure: Measure) -> str:
    """The number of a segment's bin, counted from 0."""
    last = round((measure.high - measure.low) / measure.step) - 1
    # the tiny share lets 0.95 begin its own bin, though 0.95 / 0.025 is below 38 in floating point
    number = f"greatest(0, least({last}, floor(({measure.sql} - {measure.low}) / {measure.step} + 1e-9)))"
    return f"CASE WHEN {measure.sql} IS NOT NULL THEN {number} END::INTEGER"  # greatest and least pass over NULL


def _order(groups: list[str], rows: list[Row]) -> list[str]:
    return [*groups, *([OTHERS] if any(row["value"] == OTHERS for row in rows) and OTHERS not in groups else [])]


def _of(name: str, number: int, rows: list[Row]) -> list[Row]:
    """The bins of one measure. In `others` (GROUPING) the bit of each measure that a row is not grouped by is set, the first the highest."""
    mine = (1 << len(MEASURES)) - 1 - (1 << (len(MEASURES) - 1 - number))
    return [
        {"value": row["value"], "bin": row[name], "segments": row["segments"], "hours": row["hours"]}
        for row in rows
        if row["others"] == mine and row[name] is not None
    ]
