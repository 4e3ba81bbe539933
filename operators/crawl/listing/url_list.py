"""Lists of addresses: plain text, m3u, pls, CSV, TSV and JSON lines."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from voxmill.operators.crawl.facts.crawl_errors import Unreadable
from voxmill.operators.crawl.facts.media_types import Kind, decoded, suffix

_ADDRESS = ("url", "address", "path", "audio_url")
"""Names of the column with the address; the first that exists is used."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a list; fields that it does not state are None."""

    url: str
    kind: Kind | None = None
    title: str | None = None
    author: str | None = None
    language: str | None = None
    domain: str | None = None
    licence: str | None = None
    broken: str | None = None
    """Why the line names no address; `url` is empty then."""


def read_list(body: bytes, name: str) -> Iterator[Row]:
    """The rows, in order. `name` tells the format by its suffix; anything unknown is one address a line.

    Raises Unreadable.
    """
    text = decoded(body)
    form = suffix(name)
    if text.lstrip()[:10].lower() == "[playlist]":
        return _pls(text)
    if form in ("csv", "tsv"):
        return _table(text, "\t" if form == "tsv" else ",")
    if form in ("jsonl", "ndjson"):
        return _json_lines(text)
    return _lines(text)


def _lines(text: str) -> Iterator[Row]:
    title = None
    for line in _split(text):
        if line.startswith("#EXTINF:"):
            title = _readable(_TITLE.sub("", line)).strip() or None
        elif line and not line.startswith("#"):
            yield Row(line, title=title)
            title = None


_TITLE = re.compile(r'^#EXTINF:(?:[^,"]|"[^"]*"?)*,?')
"""The part of EXTINF before the title: seconds, and attributes with quoted commas."""


def _pls(text: str) -> Iterator[Row]:
    said: dict[str, dict[int, str]] = {"file": {}, "title": {}}
    for line in _split(text):
        match = re.match(r"(file|title)\s*([0-9]{0,9})\s*=(.*)", line, re.IGNORECASE)
        if match:
            numbered = said[match[1].lower()]
            number = int(match[2] or 0)
            if number in numbered and match[1].lower() == "file":  # without a number, or one that comes twice
                number = max(numbered) + 1_000_000_000
            numbered.setdefault(number, match[3].strip())
    for number in sorted(said["file"].keys() | said["title"].keys()):
        address, title = said["file"].get(number, ""), _readable(said["title"].get(number, "")) or None
        yield Row(address, title=title, broken=None if address else f"entry {number} names no file")


def _split(text: str) -> Iterator[str]:
    """Lines split at CR and LF only: other Unicode line ends may be part of a name."""
    return (line.strip().lstrip("\ufeff") for line in re.split(r"\r\n|\r|\n", text))


def _readable(text: str) -> str:
    """A title; bytes that are not UTF-8 are read as Windows-1252, as in old playlists."""
    try:
        return text.encode("utf-8", "surrogateescape").decode()
    except UnicodeDecodeError:
        return text.encode("utf-8", "surrogateescape").decode("cp1252", "replace")


def _table(text: str, delimiter: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns = [(column or "").strip().lower() for column in reader.fieldnames or []]
    except csv.Error as error:
        raise Unreadable(f"no table: {error}") from error
    if not set(columns) & set(_ADDRESS):
        raise Unreadable(f"no column `url` among {', '.join(columns)[:200] or 'no columns at all'}")
    reader.fieldnames = columns
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row("", broken=f"line {reader.line_num}: {error}")
            continue
        values.pop(None, None)  # more cells than columns
        yield _row(values) or Row("", broken=f"line {reader.line_num} has no `url`")


def _json_lines(text: str) -> Iterator[Row]:
    for number, line in enumerate(_split(text), 1):
        if not line:
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Row("", broken=f"line {number} is no JSON: {error}")
            continue
        row = Row(value) if isinstance(value, str) else _row(value) if isinstance(value, dict) else None
        yield row or Row("", broken=f"line {number} has no `url`")


def _row(values: Mapping[str, Any]) -> Row | None:
    said = {key: str(value).strip() for key, value in values.items() if key and value not in (None, "")}
    address = next((said[column] for column in _ADDRESS if isinstance(values.get(column), str) and column in said), None)
    kind = next((k for k in get_args(Kind) if k == said.get("kind")), None)
    get = said.get
    if not address:
        return None
    return Row(address, kind, get("title"), get("author"), get("language"), get("domain"), get("licence") or get("license"))
