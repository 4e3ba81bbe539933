"""`make check-deploy`: whether what `deploy/` holds is right, as far as that shows without Docker and without Kubernetes.

Manifests are built by kubectl and held strictly against pinned CRDs; faults planted in them must be found. Dashboard and alerts must parse,
and a real run on Ray, submitted as a job, must export every metric that they ask for; where Prometheus is installed it watches that run, and
every query must have an answer. The image's context is counted by Docker's own rules.
"""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.report import Target, finish, full_form, heading, table
from deploy.context import LIMIT_MB, ROOT, context, megabytes
from deploy.generate import files
from deploy.observed_run import Observed, observe
from deploy.promql import dashboard_queries, metrics_of, queries
from deploy.strict_schema import documents, problems

FOLDERS = ("kubernetes/job", "kubernetes/cluster", "monitoring")
LIMIT_S = 1500.0
MAX_LINE = 200


def built(folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"kubectl kustomize {folder}: {done.stderr}")
    return list(documents(done.stdout))


def manifests(deploy: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every manifest of every folder, with and without weights on a volume."""
    for name in FOLDERS:
        yield from ((name, one) for one in built(deploy / name))
    with tempfile.TemporaryDirectory() as copied:
        shutil.copytree(deploy, f"{copied}/deploy")
        for name in FOLDERS[:2]:
            file = Path(copied, "deploy", name, "kustomization.yaml")
            file.write_text(file.read_text().replace("# components:", "components:"))
            yield from ((f"{name} + weights", one) for one in built(file.parent))


def planted(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The manifest with one fault each: at every mapping a field that nobody knows, where the schema names all fields."""

    def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        free = ("labels", "annotations", "data", "requests", "limits", "rayStartParams", "matchLabels")
        if isinstance(node, dict) and not (path and path[-1] in free):
            yield path
            for key, value in node.items():
                yield from places(value, (*path, key))
        elif isinstance(node, list):
            for number, value in enumerate(node):
                yield from places(value, (*path, number))

    for path in places(manifest):
        wrong = copy.deepcopy(manifest)
        node: Any = wrong
        for key in path:
            node = node[key]
        node["voxmil"] = "x"
        yield wrong


def promtool(*arguments: str) -> str:
    """`ok`, what is wrong, or that it is not installed."""
    if not shutil.which("promtool"):
        return "not installed"
    with tempfile.TemporaryDirectory() as folder:
        for file in (ROOT / "deploy/monitoring/alerts.yaml", ROOT / "tests/deploy/alerts_test.yaml"):
            shutil.copy(file, folder)
        done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return "ok" if done.returncode == 0 else done.stdout + done.stderr


def equal(value: Any, target: Any) -> Target:
    return {"value": value, "target": str(target), "met": value == target}


def watched(seen: Observed) -> dict[str, Target]:
    """What the run has shown."""
    asked = set[str]().union(*map(metrics_of, queries()))
    missing = sorted(name for name in asked if name not in seen.samples)
    table(
        ("metric of dashboard and alerts", "sum over labels"),
        [(n, f"{seen.samples[n]:g}" if n in seen.samples else "-") for n in sorted(asked)],
    )
    lines = seen.log.splitlines()
    print("ray job logs:\n" + "\n".join(f"  | {line}" for line in lines) + "\n")
    controls = [line for line in lines if re.search(r"[\x00-\x08\x0b-\x1f\x7f\x1b]", line)]
    targets: dict[str, Target] = {
        "the run ends well as a Ray job": equal(seen.code, 0),
        "metrics asked for that the run does not export": {"value": missing or 0, "target": "0", "met": not missing},
        "log: lines with control characters": equal(len(controls), 0),
        f"log: lines longer than {MAX_LINE}": equal(sum(len(line) > MAX_LINE for line in lines), 0),
    }
    if seen.answers:
        silent = sorted(query for query in dashboard_queries() if not seen.answers[query])
        for query in silent:
            print(f"  no answer: {query}")
        targets["dashboard queries that Prometheus has no answer to"] = equal(len(silent), 0)
    else:
        print("  Prometheus is not installed: nobody asked it (apt-get install prometheus)\n")
    return targets


def main(arguments: Sequence[str]) -> int:
    full = full_form(arguments)
    heading("check-deploy", full, "deploy/ as it is; a run of 12 clips of 22 s, crawled, into an S3 store that fails on 1 request in 40", ("ray", "promql-parser", "grafana-foundation-sdk", "jsonschema", "docker"))  # fmt: skip
    rows, wrong, planted_count, found = [], list[str](), 0, 0
    for folder, manifest in manifests(ROOT / "deploy"):
        lines = problems(manifest)
        wrong += lines
        faults = [bool(problems(one)) for one in planted(manifest)]
        planted_count, found = planted_count + len(faults), found + sum(faults)
        rows.append((f"{folder}: {manifest['kind']}", str(len(lines)), f"{sum(faults)}/{len(faults)}"))
    table(("manifest", "faults", "planted faults found"), rows)
    for line in wrong:
        print(f"  {line}")
    stale = [name for name, text in files().items() if (ROOT / "deploy" / name).read_text(encoding="utf-8") != text]
    checked, tested = promtool("check", "rules", "alerts.yaml"), promtool("test", "rules", "alerts_test.yaml")
    with tempfile.TemporaryDirectory(prefix="vx", dir="/tmp") as folder:
        (Path(folder) / "ray").mkdir()
        seen = observe(Path(folder), queries(), ROOT / "deploy/monitoring/alerts.yaml", LIMIT_S)
    targets: dict[str, Target] = {
        "faults against the pinned CRDs": equal(len(wrong), 0),
        "planted unknown fields that are found": equal(found, planted_count),
        "generated files that are not current": equal(len(stale), 0),
        "queries of dashboard and alerts that parse": equal(
            sum(bool(metrics_of(query)) for query in queries()), len(queries())
        ),
        "promtool check rules": {"value": checked, "target": "ok, where installed", "met": checked in ("ok", "not installed")},
        "promtool test rules": {"value": tested, "target": "ok, where installed", "met": tested in ("ok", "not installed")},
        "image context (MB)": {"value": round(megabytes(), 1), "target": f"< {LIMIT_MB:.0f}", "met": megabytes() < LIMIT_MB},
        **watched(seen),
    }
    figures = {"manifests": len(rows), "queries": len(queries()), "context_files": len(context()), "log_lines": len(seen.log.splitlines()), "series": seen.samples}  # fmt: skip
    finish("check-deploy", figures, targets, full)
    return 0 if all(target["met"] for target in targets.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
