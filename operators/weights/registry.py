"""Model weights by name: a complete local folder, its hashes, and what to do where they are missing.

The names are in `weights.yaml`. Nothing is loaded here: engines get a folder.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, TypeAdapter

from voxmill.operators.weights.kinds import (
    FolderWeights,
    HubWeights,
    PackageWeights,
    UnknownWeights,
    WeightsMissing,
    digest,
    sha256_of,
)

__all__ = [
    "Status",
    "UnknownWeights",
    "Weights",
    "WeightsMissing",
    "check_known",
    "default_cache",
    "fetch",
    "find",
    "identity",
    "is_ready",
    "registry",
    "resolve",
    "status",
    "verify",
]

Weights = PackageWeights | HubWeights | FolderWeights


SUFFIXES = frozenset(
    [
        ".bin",
        ".ckpt",
        ".ftz",
        ".gguf",
        ".h5",
        ".mdl",
        ".mvn",
        ".nemo",
        ".npz",
        ".onnx",
        ".ort",
        ".pb",
        ".pt",
        ".pth",
        ".safetensors",
        ".tflite",
        ".zip",
    ]
)
"""Suffixes of files that hold weights."""


@dataclass(frozen=True, slots=True)
class Status:
    """One row of `voxmill models list`; `fix` is empty where the weights are ready."""

    name: str
    engine: str
    kind: str
    about: str
    source: str
    revision: str | None
    ready: bool
    path: Path | None
    num_bytes: int | None
    fix: str
    licence: str
    megabytes: float | None
    """Approximate download size (MB); None: unknown."""


@cache
def registry() -> dict[str, Weights]:
    """Name -> entry, in the order of `weights.yaml`."""
    text = Path(__file__).with_name("weights.yaml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, Annotated[Weights, Field(discriminator="kind")]]).validate_python(yaml.safe_load(text))


def default_cache() -> Path:
    """`$VOXMILL_CACHE`, else the platform's folder for caches."""
    if given := os.environ.get("VOXMILL_CACHE"):
        return Path(given).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "voxmill"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "voxmill"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "voxmill"


def is_offline() -> bool:
    """`VOXMILL_OFFLINE=1` or `HF_HUB_OFFLINE=1`: nothing is downloaded."""
    return any(os.environ.get(name, "").lower() in {"1", "true", "yes"} for name in ("VOXMILL_OFFLINE", "HF_HUB_OFFLINE"))


def find(name: str) -> Weights | None:
    """The entry of a known name; `name@commit` is that hub entry, pinned to a commit. None for anything else."""
    plain, _, commit = name.partition("@")
    weights = registry().get(plain)
    if isinstance(weights, HubWeights) and commit:
        return weights.model_copy(update={"revision": commit})
    return None if commit else weights


def resolve(name_or_path: str, cache_dir: Path | None = None, offline: bool | None = None) -> Path:
    """A folder that holds the weights: of a known name, or the folder given, as it is.

    What is not in the cache is assembled or downloaded, unless `offline` (None: as the environment says).
    Raises WeightsMissing.
    """
    weights = find(name_or_path)
    if weights is None:
        if (folder := Path(name_or_path).expanduser()).is_dir():
            return folder
        raise _unknown(name_or_path)
    root = cache_dir or default_cache()
    return weights.here(name_or_path, root) or weights.obtain(name_or_path, root, is_offline() if offline is None else offline)


def check_known(names: Iterable[str]) -> None:
    """Raises UnknownWeights for the first name that is neither known nor a folder."""
    for name in names:
        if find(name) is None and not Path(name).expanduser().is_dir():
            raise _unknown(name)


def _unknown(name: str) -> UnknownWeights:
    near = difflib.get_close_matches(name, registry(), n=1, cutoff=0.5)
    what = "a file, and no folder of weights" if Path(name).expanduser().is_file() else "neither a known name nor a folder"
    return UnknownWeights(name, what + (f"; did you mean {near[0]}?" if near else ""), "voxmill models list")


def is_ready(name_or_path: str, cache_dir: Path | None = None) -> bool:
    """Whether `resolve` would succeed without a network: the weights are here, or in packages that are installed."""
    weights = find(name_or_path)
    if weights is None:
        return Path(name_or_path).expanduser().is_dir()
    if isinstance(weights, PackageWeights) and weights.installed:
        return True
    return weights.here(name_or_path, cache_dir or default_cache()) is not None


def fetch(name: str, cache_dir: Path | None = None) -> Path:
    """Gets the weights now. Raises WeightsMissing."""
    return resolve(name, cache_dir)


def verify(name_or_path: str, cache_dir: Path | None = None) -> list[str]:
    """What is wrong with the weights, one line each; empty where every byte is right. Reads all files."""
    weights = find(name_or_path)
    if weights is None:
        check_known([name_or_path])
        place = Path(name_or_path).expanduser()
        files = [file for file in place.rglob("*") if file.is_file() and file.stat().st_size]
        if not any(file.suffix.lower() in SUFFIXES or file.name == "model" for file in files):
            return [f"no weights in it: none of its {len(files)} files is one that engines load"]
        return [f"unpinned: a folder has no known hashes; what is there is {identity(name_or_path)}"]
    folder = weights.here(name_or_path, cache_dir or default_cache())
    unpinned = isinstance(weights, HubWeights) and weights.revision is None
    if folder is None:
        return ["unpinned: no revision is known"] * unpinned + [f"not here: {weights.fix(name_or_path)}"]
    problems = [f"unpinned: the commit here is {folder.name}; write {name_or_path}@{folder.name} to keep it"] * unpinned
    for file, sha256 in sorted(weights.pins(folder).items()):
        if not (folder / file).is_file():
            problems.append(f"{file} is missing")
        elif (found := sha256_of(folder / file)) != sha256:
            problems.append(f"{file} has sha256 {found}, expected {sha256}")
    return problems


def status(cache_dir: Path | None = None) -> list[Status]:
    """All known weights, and whether they are here. Looks at names and sizes; downloads and loads nothing."""
    rows = []
    for name, weights in registry().items():
        folder = weights.here(name, cache_dir or default_cache())
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder else None
        fix = "" if folder else weights.fix(name)
        facts = (name, weights.engine, weights.kind, weights.about, weights.source, weights.revision)
        rows.append(
            Status(
                *facts,
                ready=folder is not None,
                path=folder,
                num_bytes=size,
                fix=fix,
                licence=weights.licence,
                megabytes=weights.megabytes,
            )
        )
    return rows


def identity(name_or_path: str, cache_dir: Path | None = None) -> str:
    """Which weights these are, as records name them: `name@` and 12 digits of the commit, or of the hash of all files."""
    folder = resolve(name_or_path, cache_dir)
    weights = find(name_or_path)
    if isinstance(weights, HubWeights):
        return f"{name_or_path.partition('@')[0]}@{(weights.revision or folder.name)[:12]}"
    revision = weights.revision if isinstance(weights, PackageWeights) else _content(folder)
    return f"{name_or_path if weights else folder.name}@{revision[:12]}"


@cache
def _content(folder: Path) -> str:
    """Hash of a folder's files; cached, since weights do not change under a running worker."""
    return digest({str(file.relative_to(folder)): sha256_of(file) for file in folder.rglob("*") if file.is_file()})
