"""A document to read (`RawDocument`) and what it lists (`ParsedDocument`): what goes to the sandboxed reader and comes back."""

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
    """The address that answered, after redirects."""
    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    limit: int | None = None
    """Most entries that are needed."""


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What a document lists."""

    found: tuple[Candidate, ...] = ()
    """Its entries, in order; one without media carries a rejection."""
    rows: tuple[Row, ...] = ()
    """Addresses still to be expanded: lines of a list, feeds that a page names."""
    next_url: str | None = None
    """Address of the next page of a paged feed (RFC 5005)."""
    cut: str | None = None
    """Why a part of it is missing, or None."""


def packed(document: ParsedDocument) -> dict[str, Any]:
    """The document as JSON types; `unpacked` is the inverse."""
    return asdict(document)


def unpacked(fields: dict[str, Any]) -> ParsedDocument:
    """The inverse of `packed`."""
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
