"""Addresses of the web, of object stores and of this machine: which of them one is, and how records write it."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory")
"""fsspec protocols that may be read, with the user's own credentials. `http`, `ftp` and others are left out: everything from
the open web goes through `Fetcher`, which is polite."""


def is_web(address: str) -> bool:
    """Whether the address is http(s)."""
    return address.lower().startswith(("http://", "https://"))


def is_openable(address: str) -> bool:
    """Whether the address is a local path, a `file:` URI or the URL of a store in `STORES`.

    An fsspec chain (`memory://x::https://…`) is not: it could lead to any protocol.
    """
    scheme, mark, rest = address.partition("://")
    return not mark or scheme.lower() == "file" or (scheme.lower() in STORES and "::" not in rest)


def is_local(address: str) -> bool:
    """Whether the address is a path or `file:` URI."""
    return "://" not in address or address.lower().startswith("file:")


def absolute(base: str, address: str) -> str:
    """The address that a link on the page `base` leads to. A malformed link is returned unchanged; fetching it will fail.

    >>> absolute("http://a.net/x/", "../b.mp3"), absolute("http://a.net/x/", "http://[broken/b.mp3")
    ('http://a.net/b.mp3', 'http://[broken/b.mp3')
    """
    try:
        return urljoin(base, address)
    except ValueError:
        return address


def beside(base: str, name: str) -> str:
    """The address of a file that a list on a disk or in a store names, relative to the list's own folder. Names are no URLs: `#`, `?` and `%` are
    letters of them, but for a name that exists only with its `%20` read as a blank.

    >>> beside("file:///talks/list.txt", "b #1?.wav"), beside("s3://bucket/lists/a.txt", "../x%20y.wav")
    ('file:///talks/b%20%231%3F.wav', 's3://bucket/x%20y.wav')
    """
    if is_local(base):
        folder = os.path.dirname(file_path(base))
        path = os.path.join(folder, name)
        if "%" in name and not os.path.exists(path):
            decoded = os.path.join(folder, os.fsdecode(unquote_to_bytes(os.fsencode(name))))
            path = decoded if os.path.exists(decoded) else path
        return file_uri(path)
    scheme, _, place = base.partition("://")
    return f"{scheme}://{posixpath.normpath(posixpath.join(posixpath.dirname(place), name))}"


def storable_url(url: str) -> str:
    """An address that a record (UTF-8) can hold: bytes that are not UTF-8 are percent-encoded.

    >>> storable_url("http://a.net/caf\\udce9.mp3"), storable_url("http://a.net/é.mp3")
    ('http://a.net/caf%E9.mp3', 'http://a.net/é.mp3')
    """
    return _SURROGATE.sub(lambda match: quote(_bytes(match[0])), url)


def _bytes(surrogate: str) -> bytes:
    """The byte behind a lone surrogate; U+FFFD where the surrogate stands for none."""
    return bytes([ord(surrogate) - 0xDC00]) if "\udc80" <= surrogate <= "\udcff" else "\ufffd".encode()


_SURROGATE = re.compile("[\ud800-\udfff]")


def file_uri(path: str | os.PathLike[str]) -> str:
    """The `file:` URI of a path, its bytes percent-encoded: names need not be UTF-8, records must be."""
    return Path(os.path.abspath(path)).as_uri()


def file_path(uri: str) -> str:
    """The path of a `file:` URI; anything else is returned unchanged.

    >>> file_path("file:///a%20b%FF.wav").encode("utf-8", "surrogateescape")
    b'/a b\\xff.wav'
    """
    return os.fsdecode(unquote_to_bytes(urlsplit(uri).path)) if uri.lower().startswith("file:") else uri
