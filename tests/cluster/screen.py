"""What a screen says that it does not say of a run to which nothing happens."""

from __future__ import annotations

import re
from collections.abc import Iterable

_VARIES = re.compile(r"\b[0-9a-f]{8,}\b|\d[\d.,:]*")
_PROGRESS = re.compile(r"^\S+ · units |^starting workers|^[^|]+ · [\d:]+$")
"""How far a stage is, and what is said where nothing else was for a while: their number depends on the time it takes."""


def shape(line: str, root: str) -> str:
    """A line without what differs from run to run: numbers, ids, the run's place, how columns are aligned."""
    return " ".join(_VARIES.sub("#", line.replace(root, "RUN")).split())


def shapes(lines: Iterable[str], root: str) -> frozenset[str]:
    """Of all lines of a screen."""
    return frozenset(shape(line, root) for line in lines)


def unusual(lines: Iterable[str], root: str, usual: frozenset[str]) -> list[str]:
    """The lines that have no shape of `usual`, without those on progress."""
    return [line for line in lines if line.strip() and not _PROGRESS.match(line) and shape(line, root) not in usual]
