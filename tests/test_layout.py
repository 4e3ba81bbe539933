"""Five folders under one import name, heavy packages kept out of the start-up."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import pytest

from house import FOLDERS, HOUSE, ROOT

pytestmark = pytest.mark.xdist_group("house")

AT_THE_TOP = {
    ".ci", ".dockerignore", ".git", ".github", ".gitignore", ".pre-commit-config.yaml", "AGENTS.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
    "Makefile", "NOTICE", "README.md", "SECURITY.md", "constraints", "deploy", "docs", "manifests", "mkdocs.yml", "models",
    "notebooks", "operators", "pipeline", "pyproject.toml", "sharding", "src", "tests",
}  # fmt: skip
HEAVY = ("torch", "ray", "whisperx", "funasr", "onnxruntime", "yt_dlp", "faster_whisper", "transformers", "wetext")


def imports_of(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("name", FOLDERS)
def test_links_are_whole(name: str) -> None:
    module = import_module(f"voxmill.{name}")
    assert Path(str(module.__file__)).resolve() == ROOT / name / "__init__.py"


def test_ray_and_duckdb_have_one_home_each() -> None:
    homes = {
        "ray": {
            *(f"pipeline/execution/{name}.py" for name in ("ray_executor", "ray_crew", "host_limit_server", "gate_handles")),
            "pipeline/monitoring/ray_sink.py",
            "models/training/ray_train.py",
        },
        "duckdb": {f"manifests/{name}.py" for name in ("catalog", "matching_rows", "what_if")},
    }
    for package, allowed in homes.items():
        users = {
            file for file, tree in HOUSE.trees.items() if any(module.split(".")[0] == package for module in imports_of(tree))
        }
        assert users <= allowed, f"{package} is imported in {sorted(users - allowed)}"


def test_nothing_else_at_the_top() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no git checkout")
    assert {line.split("/")[0] for line in listed.stdout.splitlines()} <= AT_THE_TOP


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        (("cli",), {*HEAVY, "duckdb", "pyarrow", "numpy", "av", "pydantic"}),  # what `voxmill --help` loads
        (("cli", "config", "runner"), HEAVY),
    ],
)
def test_the_command_starts_without_heavy_packages(modules: Iterable[str], unwanted: Iterable[str]) -> None:
    code = f"import sys, {', '.join(f'voxmill.pipeline.{name}' for name in modules)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in unwanted if name in loaded]
