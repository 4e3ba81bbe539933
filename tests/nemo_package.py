"""NVIDIA NeMo's own readers of manifests, from its wheel: downloaded into the cache, not installed, since all of NeMo needs CUDA packages."""

from __future__ import annotations

import importlib
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

from speech.cache import cache_root, made_once

VERSION = "3.0.0"
PACKAGES = (
    "nemo.utils", "nemo.collections", "nemo.collections.common", "nemo.collections.common.data",
    "nemo.collections.common.data.lhotse", "nemo.collections.common.parts", "nemo.collections.common.parts.preprocessing",
)  # fmt: skip
"""Whose `__init__` imports models and trainers: they are entered without it."""


def nemo_reader(module: str) -> Any:
    """A module of `nemo.collections.common.data.lhotse`, as in `nemo_adapters`. Raises OSError where the wheel cannot be had."""
    if "nemo" not in sys.modules:
        home = made_once(cache_root() / f"nemo-toolkit-{VERSION}", _make)
        sys.path.append(str(home))
        for name in PACKAGES:
            package = types.ModuleType(name)
            package.__path__ = [str(home / name.replace(".", "/"))]
            sys.modules[name] = package
        logger = importlib.import_module("nemo.utils.nemo_logging").Logger
        sys.modules["nemo.utils"].logging = logger()  # type: ignore[attr-defined]
    found: Any = importlib.import_module(f"nemo.collections.common.data.lhotse.{module}")
    if hasattr(found, "expand_sharded_filepaths"):  # the real one comes with all of its ASR collection, and is for patterns
        found.expand_sharded_filepaths = lambda paths: [str(path) for path in (paths if isinstance(paths, list) else [paths])]
    return found


def _make(work: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(work), f"nemo_toolkit=={VERSION}"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        raise OSError(error.stderr.decode()[-300:]) from error
    (wheel,) = work.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(work)
    wheel.unlink()
