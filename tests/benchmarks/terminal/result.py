"""What a part of `make check-terminal` has found out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    name: str
    cases: int
    """Command lines that were run."""
    wrong: tuple[str, ...]
    """What was otherwise than it must be, one line each; empty: all is well."""
