"""Counts what a run writes: every file that is committed or removed, in whichever process, is one request to an object store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LISTENER = "VOXMILL_ON_COMMIT"
TALLY = "VOXMILL_PLAN_TALLY"


def tally(event: str, uri: str) -> None:
    """A listener of `manifests.storage`: one byte more in the file that `TALLY` names. Appending one byte is atomic."""
    if event != "staged" and (path := os.environ.get(TALLY)):
        with open(path, "ab", buffering=0) as file:
            file.write(b".")


class Writes:
    """How many there were; None until the block is over, and where somebody else listens to the commits of this process."""

    def __init__(self) -> None:
        self.number: int | None = None


@contextmanager
def counted_writes(folder: Path) -> Iterator[Writes]:
    """Counts while the block runs, in this process and in those that it starts. `folder` takes the tally."""
    writes = Writes()
    if LISTENER in os.environ:
        yield writes
        return
    path = folder / "tally"
    path.touch()
    os.environ |= {LISTENER: f"{__name__}:{tally.__name__}", TALLY: str(path)}
    try:
        yield writes
    finally:
        del os.environ[LISTENER], os.environ[TALLY]
        writes.number = path.stat().st_size
