"""Documents that are gzip files themselves: `feed.xml.gz`, or a body whose header does not say that it is compressed."""

from __future__ import annotations

import zlib

_MAGIC = b"\x1f\x8b\x08"


def gunzip(body: bytes, limit: int) -> tuple[bytes, str | None]:
    """The first `limit` bytes of an unpacked body, and what is missing of it or None. A body that is not gzip is returned unchanged.

    >>> import gzip
    >>> gunzip(gzip.compress(b"<rss>"), 99), gunzip(gzip.compress(b"<rss>")[:-9], 99)[1], gunzip(b"<rss>", 2)
    ((b'<rss>', None), 'its gzip stream is cut off', (b'<rss>', None))
    """
    if not body.startswith(_MAGIC):
        return body, None
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(body, limit)
    except zlib.error as error:
        return b"", f"its gzip stream is broken: {error}"
    if unpacker.unconsumed_tail:
        return plain, f"it unpacks to more than {limit} bytes"
    return plain, None if unpacker.eof else "its gzip stream is cut off"
