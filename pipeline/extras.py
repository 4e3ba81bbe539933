"""Which extra of voxmill brings a package, read from the metadata of the installed voxmill: pyproject.toml is the only list."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from importlib import metadata
from itertools import combinations

IMPORTED_AS = {
    "acoustid": "pyacoustid",
    "aiohttp": "gcsfs",
    "botocore": "s3fs",
    "chromaprint": "pyacoustid",
    "google": "gcsfs",
    "moonshine_onnx": "useful-moonshine-onnx",
    "pyannote": "pyannote.audio",
    "requests": "gcsfs",
    "sklearn": "scikit-learn",
    "tldextract": "presidio-analyzer",
    "yaml": "PyYAML",
}
"""Modules whose package has another name, or that come with another package. Metadata cannot tell this for what is not installed."""

FOR_DEVELOPERS = ("dev", "docs")
GATHERED = (*FOR_DEVELOPERS, "light", "pretrained")
"""Extras that repeat others, or are for developers of voxmill: named only where no other extra has the package."""

_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_OWN = re.compile(r"^\s*voxmill\s*\[([^\]]+)\]")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


@cache
def extras() -> dict[str, tuple[str, ...]]:
    """Extra -> names of its packages, in the order of pyproject.toml; empty where voxmill runs from a checkout that is not installed."""
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
    """An extra and the extras of voxmill that it includes: `all` and `light` name others."""
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
    """The extra that brings a module: the one named like the command if that has it, else the smallest that has it.

    >>> extra_of("sklearn.metrics", "evaluate"), extra_of("yt_dlp"), extra_of("nowhere")
    ('evaluate', 'crawl', None)
    """
    package = package_of(module)
    having = [extra for extra, names in extras().items() if package in names]
    own = [extra for extra in having if extra not in GATHERED] or having
    if command in own:
        return command
    return min(own, key=lambda extra: len(extras()[extra]), default=None)


def what_to_install(modules: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(extras, packages) that bring all of these modules: the fewest extras that will do, of equally many the first in pyproject.toml.

    Packages are named only for modules that no extra brings.

    >>> what_to_install(["onnxruntime", "tokenizers"]), what_to_install(["pocketsphinx"])
    ((('light',), ()), ((), ('pocketsphinx',)))
    """
    wanted = {package_of(module) for module in modules}
    having = {extra: wanted.intersection(names) for extra, names in extras().items() if extra not in FOR_DEVELOPERS}
    brought = set[str]().union(*having.values())
    sets = (some for count in range(len(having) + 1) for some in combinations(having, count))
    chosen = next(some for some in sets if brought == set().union(*(having[extra] for extra in some)))
    return chosen, tuple(sorted(wanted - brought))


def pip_install(extras: Collection[str], packages: Iterable[str] = ()) -> str:
    """The command that installs extras of voxmill and other packages.

    >>> pip_install(["asr", "text"], ["adlfs"])
    "pip install 'voxmill[asr,text]' adlfs"
    """
    return " ".join(["pip install", *([f"'voxmill[{','.join(extras)}]'"] if extras else []), *packages])


def package_of(module: str) -> str:
    """The canonical name of the package that a module comes with."""
    top = module.partition(".")[0]
    return canonical(IMPORTED_AS.get(top, top))


def canonical(name: str) -> str:
    """A package's name as pip compares it (PEP 503).

    >>> canonical("Pyannote.Audio"), canonical("yt_dlp")
    ('pyannote-audio', 'yt-dlp')
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def missing(error: BaseException) -> str | None:
    """How to install the package whose import failed; None where no extra brings it (then it is a bug, or a broken package)."""
    for one in _causes(error):
        name = one.name if isinstance(one, ImportError) else None
        if name and (extra := extra_of(name, _command())):
            cause = "is not installed" if isinstance(one, ModuleNotFoundError) else f"is broken or of another version ({one})"
            return f"{name.partition('.')[0]} {cause}: {pip_install([extra])}"
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
