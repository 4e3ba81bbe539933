"""Where downloads, decoded speech and cached results live, and how several processes fill it without meeting half a result."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def cache_root() -> Path:
    """`$VOXMILL_CACHE`, or the repository's ignored `.cache/`."""
    return Path(os.environ.get("VOXMILL_CACHE") or REPOSITORY / ".cache")


def made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """The directory `target`, made by `make(directory)` where it is not there yet.

    The work happens in a hidden sibling that is renamed when complete, so whoever sees `target` sees all of it; a file lock lets
    the second of two processes wait for the first instead of doing the work again. A `make` that raises leaves nothing behind.
    """
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f".{target.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
                work = Path(scratch) / "made"
                work.mkdir()
                make(work)
                work.rename(target)
    return target
