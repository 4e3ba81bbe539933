"""What a check reports: the thing, the cause, the fix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.text import Text

from voxmill.manifests.errors import UserError


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that would make the run fail (`error`), or may not be intended (`warning`)."""

    level: Literal["error", "warning"]
    thing: str
    cause: str
    fix: str
    external: bool = False
    """The config is right, but something outside is missing or does not answer: exit code 3 instead of 2."""

    def __str__(self) -> str:
        return f"{self.thing} {self.cause}: {self.fix}"


def error(thing: str, cause: str, fix: str, *, external: bool = False) -> Issue:
    """An issue that stops the run."""
    return Issue("error", thing, cause, fix, external)


def warning(thing: str, cause: str, fix: str) -> Issue:
    """An issue that does not stop the run."""
    return Issue("warning", thing, cause, fix)


LIKE = 3
"""How many issues with the same fix are printed; a config may have thousands of sources."""


def lines(issues: Sequence[Issue]) -> list[tuple[Issue, str]]:
    """(issue, text) to print: of those with the same fix the first `LIKE`, the last of them with the number left out."""
    alike: dict[tuple[str, str], list[Issue]] = {}
    for one in issues:
        alike.setdefault((one.level, one.fix), []).append(one)
    shown = []
    for group in alike.values():
        shown += [(one, str(one)) for one in group[:LIKE]]
        if len(group) > LIKE:
            last, line = shown.pop()
            shown.append((last, f"{line} (and {len(group) - LIKE} more like this)"))
    return shown


def print_issues(issues: Sequence[Issue], out: Console) -> int:
    """Prints the issues, one line each (see `lines`). Returns the number of errors."""
    for one, line in lines(issues):
        out.print(Text.assemble((one.level, "red" if one.level == "error" else "yellow"), f": {line}"), soft_wrap=True)
    return sum(one.level == "error" for one in issues)


class NotReady(UserError):
    """Raised before anything is written where a run would fail; the message has one line for each error."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        self.issues = tuple(one for one in issues if one.level == "error")
        super().__init__("\n".join(line for _, line in lines(self.issues)))
        self.exit_code = 3 if all(one.external for one in self.issues) else 2

    def __reduce__(self) -> tuple[type[NotReady], tuple[tuple[Issue, ...]]]:
        return NotReady, (self.issues,)
