"""Ids, derived from content and never counted, so that they are equal in every run.

No id holds a dot: WebDataset splits a member's name at its first dot.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import quote, urlsplit, urlunsplit

SHORT = 24
"""Hex digits of a recording id used inside a segment id: 96 bits."""


def segment_id(recording_id: str, start: int, end: int) -> str:
    """The id of a span `[start, end)`, in samples at 16 kHz. Sorts by recording, then by time.

    >>> segment_id("ab" * 32, 16000, 48000)
    'abababababababababababab-0000016000-0000048000'
    """
    return f"{recording_id[:SHORT]}-{start:010d}-{end:010d}"


def archive_key(url: str) -> str:
    """The identity of an address: host in lower case, no fragment, default ports removed, escapes in capitals.

    >>> archive_key("HTTP://Example.org:80/a b.mp3#t=3")
    'http://example.org/a%20b.mp3'
    >>> archive_key("https://example.org/%c3%a9") == archive_key("https://example.org/%C3%A9")
    True

    A text that is no valid address is returned as it is, stripped.

    >>> archive_key("http://[broken/a.mp3"), archive_key("http://a.org:99999/")
    ('http://[broken/a.mp3', 'http://a.org:99999/')
    """
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return url.strip()
    default = {"http": 80, "https": 443}.get(parts.scheme.lower())
    netloc = f"[{host}]" if ":" in host else host
    if port and port != default:
        netloc += f":{port}"
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    key = urlunsplit((parts.scheme.lower(), netloc, path, parts.query, ""))
    return re.sub("%[0-9a-f]{2}", lambda escape: escape[0].upper(), key, flags=re.IGNORECASE)


def digest(fields: Iterable[str | bytes]) -> str:
    """sha256 over length-prefixed fields, so that no two lists of fields collide by concatenation."""
    hasher = hashlib.sha256()
    for value in fields:
        blob = value.encode() if isinstance(value, str) else value
        hasher.update(len(blob).to_bytes(8, "big") + blob)
    return hasher.hexdigest()


def item_id(url: str) -> str:
    """The id of a listed item: a hash of its `archive_key`, so one address has one id in every run. 64 hex digits."""
    return digest(["item", archive_key(url)])
