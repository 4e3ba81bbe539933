"""Which extra brings a package: read from what the installed voxmill says of itself, so that no list has to be kept."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata

IMPORTED_AS = {
    "acoustid": "pyacoustid",
    "chromaprint": "pyacoustid",
    "moonshine_onnx": "useful-moonshine-onnx",
    "pyannote": "pyannote.audio",
    "sklearn": "scikit-learn",
    "tldextract": "presidio-analyzer",
    "yaml": "PyYAML",
}
"""Modules whose package has another name, or that come with another package: no metadata tell that of what is not installed."""

GATHERED = ("dev", "light")
"""Extras that repeat what others are for, or are for those who work on voxmill; taken only where no other has the package."""

_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_OWN = re.compile(r"^\s*voxmill\s*\[([^\]]+)\]")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


@cache
def extras() -> dict[str, tuple[str, ...]]:
    """Every extra with the names of its packages, in the order of pyproject.toml; empty where voxmill runs without being installed."""
    try:
        lines = metadata.requires("voxmill") or []
    except metadata.PackageNotFoundError:
        return {}
    found: dict[str, list[str]] = {}
    for line in lines:
        name, extra = _NAME.match(line), _EXTRA.search(line)
        if name and extra and name[1] != "voxmill":  # `all` names voxmill's own extras
            found.setdefault(extra[1], []).append(canonical(name[1]))
    return {extra: tuple(names) for extra, names in found.items()}


@cache
def parts_of(extra: str) -> tuple[str, ...]:
    """An extra and those of voxmill that it gathers: `all` and `light` name others."""
    try:
        lines = metadata.requires("voxmill") or []
    except metadata.PackageNotFoundError:
        return (extra,)
    found = [extra]
    for line in lines:
        own, of = _OWN.match(line), _EXTRA.search(line)
        if own and of and of[1] == extra:
            found += [deeper for part in own[1].split(",") for deeper in parts_of(part.strip())]
    return tuple(dict.fromkeys(found))


def extra_of(module: str, command: str | None = None) -> str | None:
    """The extra that brings a module: the one named like the command where that has it, else the smallest that has it.

    >>> extra_of("sklearn.metrics", "evaluate"), extra_of("yt_dlp"), extra_of("nowhere")
    ('evaluate', 'crawl', None)
    """
    top = module.partition(".")[0]
    package = canonical(IMPORTED_AS.get(top, top))
    having = [extra for extra, names in extras().items() if package in names]
    own = [extra for extra in having if extra not in GATHERED] or having
    if command in own:
        return command
    return min(own, key=lambda extra: len(extras()[extra]), default=None)


def canonical(name: str) -> str:
    """
    >>> canonical("Pyannote.Audio"), canonical("yt_dlp")
    ('pyannote-audio', 'yt-dlp')
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def missing(error: BaseException) -> str | None:
    """How to get the package that an import missed; None where no extra brings it: then it is a bug, or broken."""
    for one in _causes(error):
        name = one.name if isinstance(one, ImportError) else None
        if name and (extra := extra_of(name, _command())):
            cause = "is not installed" if isinstance(one, ModuleNotFoundError) else f"is broken or of another version ({one})"
            return f"{name.partition('.')[0]} {cause}: pip install 'voxmill[{extra}]'"
    return None


def _command() -> str | None:
    return next((word for word in sys.argv[1:] if not word.startswith("-")), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in seen:
        seen.append(one)
        yield one
        one = one.__cause__
