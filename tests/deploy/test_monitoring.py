"""Dashboard and alerts: current, whole, and about metrics that exist."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.generate import DEPLOY, files
from deploy.promql import expressions, metrics_of, queries
from voxmill.pipeline.monitoring.metric_table import METRICS

DASHBOARD = DEPLOY / "monitoring" / "dashboard.json"
ALERTS = DEPLOY / "monitoring" / "alerts.yaml"


@pytest.mark.parametrize("name", sorted(files()))
def test_generated_files_are_current(name: str) -> None:
    assert (DEPLOY / name).read_text(encoding="utf-8") == files()[name], "run `make docs`"


def test_grafana_reads_every_field_of_the_dashboard() -> None:
    """Grafana's own types read it and write the same again: a field that they do not know would be lost on the way."""
    content = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    again = json.loads(json.dumps(Dashboard.from_json(content), cls=JSONEncoder))
    assert again == content
    unknown = json.loads(json.dumps(Dashboard.from_json({**content, "titel": "x"}), cls=JSONEncoder))
    assert "titel" not in unknown, "and this test would see one"


def test_panels_have_numbers_and_places_of_their_own() -> None:
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    assert all(panel["description"] for panel in panels if panel["type"] != "row")


@pytest.mark.parametrize("query", sorted(queries()))
def test_every_query_parses_and_asks_for_what_a_run_exports(query: str) -> None:
    known = {f"ray_{metric.exposed}{suffix}" for metric in METRICS for suffix in ("", "_bucket", "_sum", "_count")}
    asked = metrics_of(query)
    assert asked
    assert asked <= known, f"no run exports {sorted(asked - known)}"


def test_a_query_that_is_wrong_is_found() -> None:
    with pytest.raises(ValueError, match="invalid promql query"):
        promql_parser.parse("sum by (stage (x))")
    assert metrics_of("sum(rate(ray_a_total[5m])) / on () (ray_b > 0) unless max_over_time(ray_c[1h:])") == {
        "ray_a_total",
        "ray_b",
        "ray_c",
    }


def test_every_metric_is_shown() -> None:
    shown = set[str]().union(*map(metrics_of, expressions(json.loads(DASHBOARD.read_text(encoding="utf-8")))))
    assert {f"ray_{metric.exposed}" for metric in METRICS} == {name.removesuffix("_bucket") for name in shown}


def test_every_alert_says_what_and_what_to_do() -> None:
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["summary"]
            assert rule["annotations"]["description"].endswith(".")
            assert rule["labels"]["severity"] in ("warning", "critical")


def test_alerts_fire_when_they_should_and_not_otherwise(tmp_path: Path) -> None:
    """Prometheus' own test of rules, over series that are written down in `alerts_test.yaml`."""
    if not (promtool := shutil.which("promtool")):
        pytest.skip("promtool is not installed: apt-get install prometheus")
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(Path(__file__).with_name("alerts_test.yaml"), tmp_path)
    done = subprocess.run(
        [promtool, "test", "rules", "alerts_test.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
