"""What a part of `make check-wild` has found out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    name: str
    cases: int
    """Inputs that were made, each with its right value."""
    mutations: int
    """Seeded mutations of good inputs."""
    wrong: tuple[str, ...]
    """What ended otherwise than it must, one line each; empty: all is well."""
    table: tuple[tuple[str, ...], ...] = ()
    """For people: the header, then the rows."""
