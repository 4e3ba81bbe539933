"""The tags of a page in one pass, without building a tree: how deep they nest, and whether the page ends inside one.

An HTML parser walks its stack of open elements for many tags, so its time grows with the square of the depth: a page of 80,000
nested `<div>` takes a minute. Pages that deep are flattened first: only the tags that we look at are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

DEEP = 500
"""Open elements; a browser stops at 512."""

_NAME = re.compile(r"/?[a-zA-Z][^\s/>]{0,40}")
_END = re.compile(r"[\"'>]")
_RAW = frozenset(("script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"))
"""Elements whose content is raw text, never tags."""
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())  # noqa: SIM905
_KEPT = frozenset("html head title base link meta audio video source embed object a area script".split())  # noqa: SIM905
_ALONE = frozenset(("audio", "video", "object", "a"))
"""Elements of which one at a time is open in a flattened page."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag at `text[start:end]`."""

    start: int
    end: int
    name: str
    """Lower case; a closing tag's begins with `/`."""


class Tags:
    """Iterates over the tags of a page; afterwards `cut` says what the page ends inside of, or None."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.cut: str | None = None
        self._unfound: set[str] = set()

    def __iter__(self) -> Iterator[Tag]:
        text, at = self.text, 0
        while (start := text.find("<", at)) >= 0:
            if text.startswith("<!--", start):
                at = self._behind("-->", start + 4, "a comment")
                continue
            match = _NAME.match(text, start + 1)
            if not match:
                at = start + 1
                continue
            name, at = match[0].lower(), self._tag_end(match.end())
            yield Tag(start, at, name)
            if name in _RAW:
                close = re.compile(f"</{name}(?=[\\s/>])", re.IGNORECASE).search(text, at)
                if not close:
                    self.cut = f"<{name}>"
                    return
                at = close.start()

    def _tag_end(self, at: int) -> int:
        """Index after the `>` outside quotes; an unclosed quote is ignored."""
        first = at
        while match := _END.search(self.text, at):
            at = match.end()
            if match[0] == ">":
                return at
            if match[0] not in self._unfound:
                close = self.text.find(match[0], at)
                if close < 0:
                    self._unfound.add(match[0])
                    self.cut = self.cut or "a tag"
                    at = first
                else:
                    at = close + 1
        self.cut = "a tag"
        return len(self.text)

    def _behind(self, mark: str, at: int, what: str) -> int:
        end = -1 if mark in self._unfound else self.text.find(mark, at)
        if end < 0:
            self._unfound.add(mark)
            self.cut = what
            return len(self.text)
        return end + len(mark)


def flatten(text: str) -> tuple[str, str | None]:
    """The page, flattened where it is deeper than `DEEP`, and what it ends inside of or None."""
    tags = Tags(text)
    return (_thinned(text) if depth(tags) > DEEP else text), tags.cut


def depth(tags: Tags) -> int:
    """The greatest number of elements that are open at once."""
    opened = deepest = 0
    for tag in tags:
        if tag.name.startswith("/"):
            opened -= opened > 0
        elif tag.name not in _VOID and not tags.text.startswith("/", tag.end - 2):
            opened += 1
            deepest = max(deepest, opened)
    return deepest


def _thinned(text: str) -> str:
    parts, at, opened = [], 0, ""
    for tag in Tags(text):
        parts.append(text[at : tag.start])
        at = tag.end
        name = tag.name.lstrip("/")
        if name not in _KEPT and name not in _RAW:
            continue
        if name in _ALONE:
            if tag.name != name and opened != name:
                continue  # closes what was closed before
            if tag.name == name and opened and (opened == name or opened == "a" or name == "a"):
                parts.append(f"</{opened}>")
                opened = ""
            elif tag.name == name and opened:
                continue  # a player in a player
            opened = name if tag.name == name else ""
        parts.append(text[tag.start : tag.end])
    return "".join([*parts, text[at:]])
