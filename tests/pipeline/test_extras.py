"""Every package that the code imports, and how to get it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import voxmill
from voxmill.pipeline import extras

ROOMS = ("manifests", "operators", "pipeline", "sharding", "models")
CORE = [line for line in metadata.requires("voxmill") or [] if "extra ==" not in line]
PLAIN = {extras.canonical(re.split(r"[<>=~!; \[]", line)[0]) for line in CORE}


def imported() -> Iterator[str]:
    """Every package that some file imports, wherever in it."""
    for room in ROOMS:
        for file in (Path(voxmill.__file__).parent / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from (name.name for name in node.names)
                elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    yield node.module


PACKAGES = sorted({name.partition(".")[0] for name in imported()} - set(sys.stdlib_module_names) - {"voxmill"})


@pytest.mark.parametrize("package", PACKAGES)
def test_whatever_is_imported_comes_with_voxmill_or_with_an_extra_that_is_named(package: str) -> None:
    own = extras.canonical(extras.IMPORTED_AS.get(package, package))
    if own not in PLAIN and package != "certifi":  # which is used where something else has brought it
        said = extras.missing(ModuleNotFoundError("no", name=package))
        assert (said or "").startswith(f"{package} is not installed: pip install 'voxmill["), package


@pytest.mark.parametrize("extra", sorted(extras.extras()))
def test_every_package_of_every_extra_leads_to_an_extra(extra: str) -> None:
    """By the names under which it is imported, where it is installed."""
    modules: dict[str, list[str]] = {}
    for module, distributions in metadata.packages_distributions().items():
        for one in distributions:
            modules.setdefault(extras.canonical(one), []).append(module)
    for package in extras.extras()[extra]:
        public = [m for m in modules.get(package, ()) if not m.startswith("_") and m in PACKAGES]
        assert all(extras.extra_of(module) for module in public), (package, public)


def test_the_extra_of_the_command_comes_first() -> None:
    assert (extras.extra_of("sklearn", "calibrate"), extras.extra_of("sklearn", "evaluate")) == ("calibrate", "evaluate")
    assert extras.extra_of("torch", "transcribe") == "train"  # smaller than the recognisers'


def test_a_store_without_its_package_names_the_extra() -> None:
    """As fsspec raises it: without a name, from the error that has one."""
    error = ImportError("Install s3fs to access S3")
    error.__cause__ = ModuleNotFoundError("No module named 's3fs'", name="s3fs")
    assert extras.missing(error) == "s3fs is not installed: pip install 'voxmill[s3]'"


def test_what_is_there_and_broken_is_not_called_missing() -> None:
    said = extras.missing(ImportError("cannot import name 'X' from 'torch'", name="torch"))
    assert "torch is broken or of another version" in str(said)
