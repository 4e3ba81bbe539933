"""What a look ahead finds: the thing, the cause, the fix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.text import Text

from voxmill.manifests.errors import UserError


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that will go wrong (`error`), or may not be what is wanted (`warning`)."""

    level: Literal["error", "warning"]
    thing: str
    cause: str
    fix: str
    world: bool = False
    """Not the user's words are wrong: something outside is not there, or does not answer."""

    def __str__(self) -> str:
        return f"{self.thing} {self.cause}: {self.fix}"


def error(thing: str, cause: str, fix: str, *, world: bool = False) -> Issue:
    return Issue("error", thing, cause, fix, world)


def warning(thing: str, cause: str, fix: str) -> Issue:
    return Issue("warning", thing, cause, fix)


LIKE = 3
"""So many issues that are mended alike are said; a config may have thousands of sources."""


def lines(issues: Sequence[Issue]) -> list[tuple[Issue, str]]:
    """What to say: of issues that are mended alike the first few, the last of them with how many more there are."""
    alike: dict[tuple[str, str], list[Issue]] = {}
    for one in issues:
        alike.setdefault((one.level, one.fix), []).append(one)
    said = []
    for group in alike.values():
        said += [(one, str(one)) for one in group[:LIKE]]
        if len(group) > LIKE:
            last, line = said.pop()
            said.append((last, f"{line} (and {len(group) - LIKE} more like this)"))
    return said


def print_issues(issues: Sequence[Issue], out: Console) -> int:
    """One line each, of many alike a few. Returns how many are errors."""
    for one, line in lines(issues):
        out.print(Text.assemble((one.level, "red" if one.level == "error" else "yellow"), f": {line}"), soft_wrap=True)
    return sum(one.level == "error" for one in issues)


class NotReady(UserError):
    """A run that would fail, refused before it has written anything. One line for each error."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        self.issues = tuple(one for one in issues if one.level == "error")
        super().__init__("\n".join(line for _, line in lines(self.issues)))
        self.exit_code = 3 if all(one.world for one in self.issues) else 2

    def __reduce__(self) -> tuple[type[NotReady], tuple[tuple[Issue, ...]]]:
        return NotReady, (self.issues,)
