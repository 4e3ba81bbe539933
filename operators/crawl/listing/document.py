"""What a document that lists media says, however it is written: the answer of the reader (`sandboxed_reader.py`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from voxmill.manifests.records import Licence, Rejection
from voxmill.operators.crawl.facts.candidate import Candidate
from voxmill.operators.crawl.listing.url_list import Row


@dataclass(frozen=True, slots=True)
class RawDocument:
    """A document to read."""

    kind: Literal["feed", "page", "playlist", "xml_list"]
    url: str
    """The address that was asked for."""
    final_url: str
    """The one that answered."""
    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    limit: int | None = None
    """No more entries than this are needed."""


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    found: tuple[Candidate, ...] = ()
    """Its entries, in its order; one that leads to no media is there with its rejection."""
    rows: tuple[Row, ...] = ()
    """Addresses that have yet to be looked at: lines of a list, feeds that it names."""
    next_url: str | None = None
    """The next part of a paged feed (RFC 5005)."""
    cut: str | None = None
    """How one sees that a part of it is missing."""


def packed(document: ParsedDocument) -> dict[str, Any]:
    """As JSON can hold it; `unpacked` is the inverse."""
    return asdict(document)


def unpacked(fields: dict[str, Any]) -> ParsedDocument:
    return ParsedDocument(
        found=tuple(map(_found, fields["found"])),
        rows=tuple(Row(**row) for row in fields["rows"]),
        next_url=fields["next_url"],
        cut=fields["cut"],
    )


def _found(fields: dict[str, Any]) -> Candidate:
    rejection = fields["rejection"]
    parts = {"licence": Licence(**fields["licence"]), "rejection": Rejection(**rejection) if rejection else None}
    return Candidate(**{**fields, **parts})
