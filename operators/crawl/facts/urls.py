"""Addresses of the web, of stores and of this machine: what kind one is, and how it is written in a record."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory")
"""fsspec protocols that may be read. They carry the user's own credentials to the user's own buckets; what comes from the
open web is fetched by `Fetcher` alone, so `http`, `ftp` and the rest of fsspec are not among them."""


def is_web(address: str) -> bool:
    return address.lower().startswith(("http://", "https://"))


def is_openable(address: str) -> bool:
    """A local path, a `file:` URI, or a URL of a store; no fsspec chain (`memory://x::https://…`), which could lead anywhere."""
    scheme, mark, rest = address.partition("://")
    return not mark or scheme.lower() == "file" or (scheme.lower() in STORES and "::" not in rest)


def is_local(address: str) -> bool:
    return "://" not in address or address.lower().startswith("file:")


def absolute(base: str, address: str) -> str:
    """What a link on the page `base` leads to. One that cannot be read stays as it is, and is refused when it is fetched.

    >>> absolute("http://a.net/x/", "../b.mp3"), absolute("http://a.net/x/", "http://[broken/b.mp3")
    ('http://a.net/b.mp3', 'http://[broken/b.mp3')
    """
    try:
        return urljoin(base, address)
    except ValueError:
        return address


def storable_url(url: str) -> str:
    """An address that a record can hold: bytes that are no UTF-8 are percent-encoded as they came.

    >>> storable_url("http://a.net/caf\\udce9.mp3"), storable_url("http://a.net/é.mp3")
    ('http://a.net/caf%E9.mp3', 'http://a.net/é.mp3')
    """
    return _SURROGATE.sub(lambda match: quote(_bytes(match[0])), url)


def _bytes(surrogate: str) -> bytes:
    """What a decoder escaped; what was never a byte is the sign for it."""
    return bytes([ord(surrogate) - 0xDC00]) if "\udc80" <= surrogate <= "\udcff" else "\ufffd".encode()


_SURROGATE = re.compile("[\ud800-\udfff]")


def file_uri(path: str | os.PathLike[str]) -> str:
    """A `file:` URI of any path, its bytes percent-encoded: names need not be UTF-8, records must be."""
    return Path(os.path.abspath(path)).as_uri()


def file_path(uri: str) -> str:
    """The inverse of `file_uri`, and what it is given if that is no `file:` URI.

    >>> file_path("file:///a%20b%FF.wav").encode("utf-8", "surrogateescape")
    b'/a b\\xff.wav'
    """
    return os.fsdecode(unquote_to_bytes(urlsplit(uri).path)) if uri.lower().startswith("file:") else uri
