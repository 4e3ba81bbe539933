"""Turns folders, files and addresses of a command line into sources of a config, each with a unique name and only once."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from voxmill.manifests.errors import UserError
from voxmill.manifests.public_form import public_address
from voxmill.operators.crawl.corpora.layout_table import told_kind
from voxmill.operators.crawl.facts.media_types import kind_by_name, name_suffix
from voxmill.operators.crawl.facts.urls import STORES, file_path, file_uri, is_local, is_openable, is_web
from voxmill.pipeline.load_config import recipe_names

LONGEST = 40
"""Maximum length of a source's name."""


def add(sources: Sequence[dict[str, Any]], inputs: Sequence[str], facts: dict[str, str]) -> list[dict[str, Any]]:
    """The sources plus those that the inputs name; `facts` (language, licence) are set on the named ones only.

    An input that is a source already gets the facts and is not added twice. Audio files of one folder become one source.
    Raises UserError for a path that does not exist.
    """
    found = [dict(source) for source in sources]
    fresh, seen = list[str](), set[str]()
    for place in map(_place, inputs):
        if place in seen:
            continue
        seen.add(place)
        mine = next((source for source in found if place in map(_known, _addresses(source))), None)
        if mine is None:
            fresh.append(place)
        elif set(map(_known, _addresses(mine))) <= {_place(one) for one in inputs}:
            mine |= facts
        elif any(mine.get(key) != value for key, value in facts.items()):
            fix = f"change it in the config, or by --set sources.{mine.get('name')}.{next(iter(facts))}=…"
            raise UserError(f"{public_address(place)} is one of several addresses of source `{mine.get('name')}`: {fix}")
    names = {str(source.get("name")) for source in found}
    for place, rest in _grouped(fresh):
        name = unique(_name(place, rest), names)
        names.add(name)
        found.append({"name": name, **_keys(place, rest), **facts})
    return found


def _place(given: str) -> str:
    """An input as it is written into a config: an address unchanged, a path made absolute. Raises UserError."""
    text = given.strip()
    if is_web(text):
        try:
            if urlsplit(text).hostname:
                return text
        except ValueError:
            pass
        raise UserError(f"{public_address(text)} is no web address: it names no host")
    if not is_openable(text):
        raise UserError(
            f"{public_address(text)} cannot be opened: give a local path, http(s)://, or one of {', '.join(STORES)}"
        )
    if not is_local(text):
        return text
    path = os.path.abspath(os.path.expanduser(file_path(text)))
    if not os.path.exists(path):
        raise UserError(f"no file or folder {given}: {_hint(text)}")
    if name_suffix(path) in ("yaml", "yml"):
        raise UserError(f"{given} is a config, not a source: --config {given}")
    return path


def _hint(text: str) -> str:
    if text in recipe_names():
        return f"the shipped recipe is --config {text}"
    if any(sign in text for sign in "*?["):
        return "nothing matches that pattern here"
    if (
        re.fullmatch(r"(?!\.)[\w-]+(\.[\w-]+)+(/.*)?", text)
        and not name_suffix(text.partition("/")[0]).isdigit()
        and "/" in text
    ):
        return f"a web address begins with https:// (https://{text})"
    return f"check the path; it is looked for in {os.getcwd()}" if not os.path.isabs(text) else "check the path"


def _addresses(source: dict[str, Any]) -> Iterator[str]:
    for key in ("url", "path"):
        if isinstance(source.get(key), str):
            yield source[key]
    urls = source.get("urls") or ()
    yield from (str(one) for one in ([urls] if isinstance(urls, str) else urls))


def _known(address: str) -> str:
    return os.path.abspath(os.path.expanduser(file_path(address))) if is_local(address) else address.strip()


def _grouped(places: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """(place, other places of the same source), in the order given: media files of one folder are one source, all else is by itself."""
    groups: dict[str, list[str]] = {}
    for place in places:
        alone = not is_local(place) or os.path.isdir(place) or kind_by_name(place) not in (None, "media") or told_kind(place)
        groups.setdefault(place if alone else f"files of {os.path.dirname(place)}", []).append(place)
    for first, *rest in groups.values():
        yield first, rest


def _keys(place: str, rest: Sequence[str]) -> dict[str, Any]:
    if not is_local(place):
        return {"url": place}
    if not rest and (told := told_kind(place)):
        return {"path": _written(place), "kind": told.kind}
    return {"urls": [_written(one) for one in (place, *rest)]} if rest else {"path": _written(place)}


def _written(path: str) -> str:
    """A path as YAML can hold it: a `file:` URI if it is not printable, not UTF-8, or looks like a URL."""
    plain = path.isprintable() and not path.startswith("file:") and "://" not in path and path == path.strip()
    return path if plain else file_uri(path)


def _name(place: str, rest: Sequence[str]) -> str:
    if not is_local(place):
        parts = urlsplit(public_address(place))
        stem = parts.path.rstrip("/").rpartition("/")[2].rpartition(".")[0] or parts.path.strip("/").rpartition("/")[2]
        return slug(" ".join(filter(None, (parts.hostname or "", stem))))
    inside = os.path.dirname(place) if rest else place
    name = os.path.basename(inside)
    return slug(name if os.path.isdir(inside) else name.rpartition(".")[0] or name)


def slug(text: str) -> str:
    """A name of letters and digits of any script with hyphens between, safe in `--set sources.NAME…`, in a shell and as a file name.

    >>> slug("My Talks (2024)"), slug("录音.v2"), slug("///")
    ('my-talks-2024', '录音-v2', 'source')
    """
    words = re.findall(r"\w+", unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode()).lower())
    return "-".join(words)[:LONGEST].strip("-_") or "source"


def unique(name: str, taken: Collection[str]) -> str:
    """The name, with a number appended if it is taken.

    >>> unique("talks", {"talks", "talks-2"})
    'talks-3'
    """
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found
