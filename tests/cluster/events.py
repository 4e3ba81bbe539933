"""What workers begin and commit, on which machine and when: a listener for VOXMILL_ON_COMMIT=cluster.events:on_event.

Each process appends to a file of its own below the folder VOXMILL_EVENTS, which is instrumentation: nothing of the product reads it.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Seen:
    """One event. `at` is by the clock that no `date` moves, which all machines out of namespaces share (s)."""

    machine: str
    process: str
    at: float
    event: str
    what: str


def on_event(event: str, uri: str) -> None:
    folder = os.environ.get("VOXMILL_EVENTS")
    if folder:
        name = f"{platform.node()} {os.getpid()} {os.stat('/proc/self/ns/pid').st_ino}"
        with open(f"{folder}/{name}", "a") as file:
            file.write(f"{time.monotonic():.3f} {event} {uri}\n")


def seen(folder: Path, about: str = "") -> list[Seen]:
    """All events whose subject holds `about`, in the order of time."""
    return sorted(_seen(folder, about), key=lambda one: one.at)


def _seen(folder: Path, about: str) -> Iterator[Seen]:
    for path in folder.iterdir():
        machine, process = path.name.split(" ", 1)
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):  # else it is being written, or its process was killed
                at, event, what = line.rstrip("\n").split(" ", 2)
                if about in what:
                    yield Seen(machine, process, float(at), event, what)
