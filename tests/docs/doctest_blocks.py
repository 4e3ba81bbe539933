"""For mkdocstrings: examples in docstrings (`>>> …` up to the next empty line) become blocks of code."""

from __future__ import annotations

from typing import Any

import griffe


def fenced(text: str) -> str:
    """
    >>> fenced("Adds.\\n\\n>>> 1 + 1\\n2").splitlines()
    ['Adds.', '', '```pycon', '>>> 1 + 1', '2', '```']
    """
    parts = []
    for block in text.split("\n\n"):
        parts.append(f"```pycon\n{block.strip()}\n```" if block.lstrip().startswith(">>>") else block)
    return "\n\n".join(parts)


class DoctestBlocks(griffe.Extension):
    """Changes what is rendered, never the source."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by griffe for every object that it has loaded."""
        if obj.docstring and ">>>" in obj.docstring.value:
            obj.docstring.value = fenced(obj.docstring.value)
