"""The `>>>` examples in docstrings give what they say they give."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("manifests", "models", "operators", "pipeline", "sharding")
WITH_EXAMPLES = sorted(
    str(path.relative_to(ROOT).with_suffix(""))
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("path", WITH_EXAMPLES)
def test_examples(path: str) -> None:
    try:
        module = import_module("voxmill." + path.replace("/", "."))
    except ImportError as error:
        if (error.name or "").split(".")[0] == "voxmill":
            raise
        pytest.skip(f"needs {error.name}")
    assert doctest.testmod(module).failed == 0
