"""`voxmill stats`: what a run kept and rejected, from its DuckDB catalog, as tables for people or as JSON and CSV."""

from __future__ import annotations

import csv
import difflib
import json
import math
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
from rich.console import Console

from voxmill.manifests.catalog import CatalogError, open_catalog, query, settle
from voxmill.manifests.what_if import ALIASES
from voxmill.manifests.what_if import what_if as judge_again
from voxmill.pipeline.reports.stats_tables import show
from voxmill.pipeline.state.run_dir import RunError
from voxmill.pipeline.terminal import output

DIMENSIONS = ("language", "domain", "host", "source", "licence", "tier", "bandwidth", "reason")
"""Allowed values of `--by`."""


def print_stats(
    run_root: str,
    by: str | None = None,
    what_if: Mapping[str, Any] | None = None,
    sql: str | None = None,
    *,
    as_json: bool = False,
    as_csv: bool = False,
    limit: int = 25,
    console: Console | None = None,
) -> None:
    """Prints the funnel, retention, losses and costs of a run; or one breakdown, one what-if, or the answer to one SELECT.

    `limit` bounds the rows of each printed table; JSON and CSV have all rows. CSV holds one table, the funnel by default.
    Raises RunError and SchemaError.
    """
    try:
        if sql is not None:
            sections = {"query": query(open_catalog(run_root), sql)}
        elif what_if:
            sections = {"what_if": judge_again(open_catalog(run_root), what_if)}
        elif by is not None or as_csv:
            sections = _answers(run_root, {"funnel": "FROM funnel"} if by is None else _breakdown(_dimension(by)))
        else:
            sections = _answers(run_root, _OVERVIEW, "verdict_counts", "retention_counts")
    except CatalogError as error:
        raise RunError(str(error)) from None
    if as_json:
        rows = {name: for_json(table.to_pylist()) for name, table in sections.items()}
        output.print_json(next(iter(rows.values())) if len(rows) == 1 else rows)
    elif as_csv:
        _write_csv(next(iter(sections.values())))
    else:
        for name in what_if or {}:
            if (word := name.removeprefix("select.")) in ALIASES:
                key = ALIASES[word]
                note = f"{name} is no key of a config: it stands for select.{key}, the least score whose text is kept"
                (console or output.console()).print(note, soft_wrap=True)
        show(sections, console or output.console(), limit)


SUMMARY = ("funnel", "rejections", "unread_numbers", "cost", "service_cost")
"""The views that `voxmill run` prints at its end."""


def print_summary(run_root: str) -> None:
    """Prints the funnel, the rejections and the cost at the end of a run."""
    show(_answers(run_root, {name: f"FROM {name}" for name in SUMMARY}), output.console(), 25)


_OVERVIEW = {
    name: f"FROM {name}"
    for name in (
        "funnel", *(f"retention_by_{d}" for d in DIMENSIONS if d != "reason"), "rejections", "marginal_loss", "unread_numbers",
        "label_coverage", "cost_by_stage", "cost", "service_cost", "conservation",
    )
}  # fmt: skip


def _answers(run_root: str, queries: Mapping[str, str], *settled: str) -> dict[str, pa.Table]:
    """The answer to each query, with views that several of them ask computed once."""
    con = open_catalog(run_root, *queries.values(), *settled)
    settle(con, *settled)
    return {name: query(con, sql) for name, sql in queries.items()}


def _breakdown(dimension: str) -> dict[str, str]:
    """Retention by one property, and the share that each stage keeps for each of its values."""
    queries = {f"retention_by_{dimension}": f"FROM retention_by_{dimension}"}
    if dimension not in ("tier", "reason"):  # tier and reason result from the stages: a funnel by them says nothing
        queries[f"stages_by_{dimension}"] = f"FROM stages_by('{dimension}')"
    return queries


def _dimension(name: str) -> str:
    if name in DIMENSIONS:
        return name
    near = difflib.get_close_matches(name, DIMENSIONS, n=1, cutoff=0.0)[0]
    raise RunError(f"no breakdown by `{name}`; did you mean `{near}`? There are {', '.join(DIMENSIONS)}; for others use --sql")


def _write_csv(table: pa.Table) -> None:
    output.use_utf8()
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in table.to_pylist():
        writer.writerow(json.dumps(for_json(v), ensure_ascii=False) if isinstance(v, (dict, list)) else v for v in row.values())


def for_json(value: Any) -> Any:
    """A value that JSON can hold: integers stay exact, NaN and infinity become null, other types become strings."""
    if isinstance(value, dict):
        return {str(k): for_json(v) for k, v in value.items()}
    if isinstance(value, list):
        return [for_json(v) for v in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
