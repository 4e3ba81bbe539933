"""What a look ahead finds: the thing, the cause, the fix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.text import Text

from voxmill.manifests.mistakes import Mistake


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that will go wrong (`error`), or may not be what is wanted (`warning`)."""

    level: Literal["error", "warning"]
    thing: str
    cause: str
    fix: str
    world: bool = False
    """Not the user's words are wrong: something outside is not there, or does not answer."""

    def __str__(self) -> str:
        return f"{self.thing} {self.cause}: {self.fix}"


def error(thing: str, cause: str, fix: str, *, world: bool = False) -> Finding:
    return Finding("error", thing, cause, fix, world)


def warning(thing: str, cause: str, fix: str) -> Finding:
    return Finding("warning", thing, cause, fix)


def print_findings(findings: Sequence[Finding], out: Console) -> int:
    """One line each. Returns how many are errors."""
    for one in findings:
        out.print(Text.assemble((one.level, "red" if one.level == "error" else "yellow"), f": {one}"), soft_wrap=True)
    return sum(one.level == "error" for one in findings)


class NotReady(Mistake):
    """A run that would fail, refused before it has written anything. One line for each error."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(one for one in findings if one.level == "error")
        super().__init__("\n".join(map(str, self.findings)))
        self.exit_code = 3 if all(one.world for one in self.findings) else 2

    def __reduce__(self) -> tuple[type[NotReady], tuple[tuple[Finding, ...]]]:
        return NotReady, (self.findings,)
