"""The queries of dashboard and alerts, and the metrics that a query asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import promql_parser
import yaml

from deploy.generate import DEPLOY

VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$run": ".*"}
"""What Grafana puts in before it asks Prometheus."""


def expressions(content: Any) -> Iterator[str]:
    """Every `expr` anywhere in a parsed file."""
    if isinstance(content, dict):
        if isinstance(content.get("expr"), str):
            yield content["expr"]
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from expressions(part)


def filled(query: str) -> str:
    """The query as Prometheus is asked, with Grafana's variables put in."""
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


def queries() -> set[str]:
    """Every query of the dashboard and of the alerts, filled."""
    board = json.loads((DEPLOY / "monitoring" / "dashboard.json").read_text(encoding="utf-8"))
    rules = yaml.safe_load((DEPLOY / "monitoring" / "alerts.yaml").read_text(encoding="utf-8"))
    return {filled(query) for part in (board, rules) for query in expressions(part)}


def dashboard_queries() -> set[str]:
    """Every query of the dashboard, filled."""
    board = json.loads((DEPLOY / "monitoring" / "dashboard.json").read_text(encoding="utf-8"))
    return {filled(query) for query in expressions(board)}


def metrics_of(query: str) -> set[str]:
    """Names of the metrics that a query selects. Raises ValueError where it does not parse."""
    found = set[str]()

    def visit(node: Any) -> bool:
        name = getattr(node, "name", None)
        if isinstance(node, promql_parser.VectorSelector) and isinstance(name, str):
            found.add(name)
        return True

    promql_parser.walk(promql_parser.parse(filled(query)), visit)
    return found
