"""The files of the page: plain HTML, CSS and JavaScript in `page/`, in no need of being built."""

from __future__ import annotations

from pathlib import Path

SCRIPTS = (
    "elements.js", "data.js", "formats.js", "words.js", "spectrum.js", "player.js", "charts.js", "overview.js", "segments.js", "labels.js",
    "segment.js", "thresholds.js", "comparison.js", "marking.js", "keys.js", "main.js",
)  # fmt: skip
"""In the order in which they are loaded."""

FILES = {"index.html": "text/html", "page.css": "text/css", **dict.fromkeys(SCRIPTS, "text/javascript")}
"""Content type by name."""


def page_file(name: str, *, live: bool) -> bytes:
    """One file of the page. Of a folder of files (not `live`) the page first loads `data/run.js`, for there is nobody to be asked."""
    blob = Path(__file__).with_name("page").joinpath(name).read_bytes()
    if name != "index.html":
        return blob
    scripts = [*(() if live else ("data/run.js",)), *SCRIPTS]
    tags = "\n".join(f'<script src="{script}" defer></script>' for script in scripts)
    return blob.replace(b"<!-- scripts -->", tags.encode())
