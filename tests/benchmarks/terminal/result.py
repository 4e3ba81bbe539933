"""What one part of `check-terminal` found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """`wrong` has a line for each case that is not as it should be."""

    name: str
    cases: int
    wrong: tuple[str, ...]
