"""Lists of addresses: plain text, m3u, CSV, TSV and JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from voxmill.operators.crawl.errors import Unreadable
from voxmill.operators.crawl.kinds import Kind, suffix

_ADDRESS = ("url", "address", "path", "audio_url")
"""Columns that hold the address: the first of these that is there."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a list; what it does not say is None."""

    url: str
    kind: Kind | None = None
    title: str | None = None
    author: str | None = None
    language: str | None = None
    domain: str | None = None
    licence: str | None = None


def read_list(body: bytes, name: str) -> Iterator[Row]:
    """The rows, in order. `name` tells the format by its suffix; anything unknown is one address a line.

    Raises Unreadable.
    """
    text = body.decode("utf-8-sig", "surrogateescape")
    form = suffix(name)
    if form in ("csv", "tsv"):
        return _table(text, "\t" if form == "tsv" else ",")
    if form in ("jsonl", "ndjson"):
        return _json_lines(text)
    return _lines(text)


def _lines(text: str) -> Iterator[Row]:
    title = None
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#EXTINF:"):
            title = line.partition(",")[2].strip() or None
        elif line and not line.startswith("#"):
            yield Row(line, title=title)
            title = None


def _table(text: str, delimiter: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = [(column or "").strip().lower() for column in reader.fieldnames or []]
    if not set(columns) & set(_ADDRESS):
        raise Unreadable(f"no column `url` among {', '.join(columns) or 'no columns at all'}")
    reader.fieldnames = columns
    for values in reader:
        if row := _row(values):
            yield row


def _json_lines(text: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise Unreadable(f"line {number} is no JSON: {error}") from error
        row = Row(value) if isinstance(value, str) else _row(value) if isinstance(value, dict) else None
        if row is None:
            raise Unreadable(f"line {number} has no `url`")
        yield row


def _row(values: Mapping[str, Any]) -> Row | None:
    said = {key: str(value).strip() for key, value in values.items() if key and value not in (None, "")}
    address = next((said[column] for column in _ADDRESS if column in said), None)
    kind = next((k for k in get_args(Kind) if k == said.get("kind")), None)
    get = said.get
    if not address:
        return None
    return Row(address, kind, get("title"), get("author"), get("language"), get("domain"), get("licence") or get("license"))
