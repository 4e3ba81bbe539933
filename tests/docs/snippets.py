"""What the documentation says in code: fenced blocks, command lines, inline code, links and headings, with the place of each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FILES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").glob("*.md"),
        *(ROOT / ".github").rglob("*.md"),
    ]
)
"""Everything that is written for people."""

_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of code in a page."""

    file: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> Iterator[Snippet]:
    """Fenced blocks of these languages."""
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            if match[2] in languages:
                yield Snippet(file, text.count("\n", 0, match.start()) + 1, match[2], match[3])


def inline() -> Iterator[Snippet]:
    """Code inside sentences and tables."""
    for file in FILES:
        text = prose(file)
        for match in _CODE.finditer(text):
            yield Snippet(file, text.count("\n", 0, match.start()) + 1, "", match[1].replace("\\|", "|"))


def commands(program: str = "voxmill") -> Iterator[tuple[Snippet, list[str]]]:
    """Command lines of a program in shell blocks, as words; continued lines are one, comments, pipes and redirections are left out."""
    for block in blocks("sh"):
        whole = block.text.replace("\\\n", " ")
        for line in whole.splitlines():
            words = shlex.split(line, comments=True)
            ends = [i for i, word in enumerate(words) if word in ("|", "&&", ";", ">")] + [len(words)]
            start = 0
            for end in ends:
                if words[start : start + 1] == [program]:
                    yield block, words[start + 1 : end]
                start = end + 1


def prose(file: Path) -> str:
    """A page without its fenced blocks; lines keep their numbers."""
    text = file.read_text(encoding="utf-8")
    return _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)


def links(file: Path) -> list[str]:
    """Targets of the links of a page."""
    return _LINK.findall(_CODE.sub("", prose(file)))


def anchors(file: Path) -> set[str]:
    """What `#…` can lead to in a page: its headings, as Markdown names them."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(file)):
        name = slug(heading)
        number = 0
        while (unique := f"{name}_{number}" if number else name) in found:
            number += 1
        found.add(unique)
    return found


def slug(heading: str) -> str:
    """
    >>> slug("voxmill config check"), slug("What is guaranteed, and what is not"), slug("retention_by(…)")
    ('voxmill-config-check', 'what-is-guaranteed-and-what-is-not', 'retention_by')
    """
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower(), flags=re.ASCII)).strip("-")
