"""What an address leads to (media, page, feed, list, …): by its suffix, or by Content-Type and the first bytes of the answer."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias
from urllib.parse import unquote

Corpus: TypeAlias = Literal["webdataset", "nemo", "lhotse", "kaldi", "hf", "common-voice", "librispeech"]
"""Layouts of corpora: see `operators/crawl/corpora`."""

Kind: TypeAlias = Literal["media", "page", "feed", "playlist", "list", "files", "manifest", Corpus]

MEDIA = frozenset(
    "mp3 mp2 mpga m4a m4b mp4 m4v mov 3gp aac ogg oga ogx opus ogv flac wav wave w64 aif aiff aifc au snd caf amr "  # noqa: SIM905
    "webm weba mka mkv wma asf wmv avi flv f4v f4a ts mts m2ts mpg mpeg vob mp1 m2a ac3 eac3 dts spx ape wv tta tak mpc 3g2 ra rm rmvb "
    "sph nist gsm g722 722 g729 sln ul ulaw al alaw qcp shn voc vox awb dss pvf ircam sox oma lbc "
    "mlp thd ec3 adx nut mxf gxf swf dv wtv latm loas rf64 bwf dsf wve xwma m4r".split()
)
"""Suffixes of files that hold audio, with or without video."""

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(MEDIA, "media"),
    "m3u8": "playlist",
    "m3u": "list",
    "pls": "list",
    "xspf": "list",
    "opml": "list",
    "asx": "list",
    "wax": "list",
    "wvx": "list",
    "wpl": "list",
    "smil": "list",
    "rss": "feed",
    "atom": "feed",
    "xml": "feed",
    "html": "page",
    "htm": "page",
    "xhtml": "page",
    "txt": "list",
    "csv": "list",
    "tsv": "list",
    "jsonl": "list",
    "ndjson": "list",
    "parquet": "manifest",
}


def suffix(address: str) -> str:
    """The last suffix of the path of a URL or link, lower case, without its dot. In stores `#` and `?` are parts of a name.

    >>> suffix("https://a.net/x.tar/b%2EMP3?c=d.wav#e"), suffix("s3://bucket/a#1.wav")
    ('mp3', 'wav')
    """
    scheme, mark, _ = address.lower().partition("://")
    store = bool(mark) and scheme not in ("http", "https", "file")
    return name_suffix(address if store else unquote(re.split("[?#]", address, maxsplit=1)[0]))


def name_suffix(name: str) -> str:
    """The suffix of a file name or path, lower case, without its dot; empty where it has none."""
    head, dot, tail = name.rsplit("/", 1)[-1].rpartition(".")
    return tail.lower() if dot and head else ""


def is_media(address: str) -> bool:
    """Whether the suffix is that of a file with audio in it."""
    return suffix(address) in MEDIA


def is_hls(address: str) -> bool:
    """Whether the suffix is `m3u8`: an HTTP Live Streaming playlist (RFC 8216)."""
    return suffix(address) == "m3u8"


def kind_by_name(address: str) -> Kind | None:
    """The kind that the suffix tells, or None."""
    return _KINDS.get(suffix(address))


def kind_by_content(content_type: str, head: bytes) -> Kind | None:
    """The kind by Content-Type and first bytes, or None. `playlist` is HLS; a plain m3u is a `list`.

    >>> kind_by_content("application/octet-stream", b"<?xml version='1.0'?><rss>"), kind_by_content("audio/mpeg", b"ID3")
    ('feed', 'media')
    """
    lowered = unmarked(head)
    if lowered.startswith(b"#extm3u"):
        return "playlist" if b"#ext-x-" in lowered else "list"
    if lowered.startswith((b"<!doctype html", b"<html")):
        return "page"
    if is_xml_list(head) or lowered.startswith(b"[playlist]"):
        return "list"
    heard = content_type.startswith(("audio/", "video/")) and not lowered.startswith(b"<")
    if (_FEED.search(lowered[:_HEAD]) and not heard) or (lowered.startswith(b"{") and b"jsonfeed.org/version" in lowered):
        return "feed"
    if "mpegurl" in content_type or content_type == "audio/x-scpls":
        return "list"
    if content_type.startswith(("audio/", "video/")) or content_type == "application/ogg":
        return "media"
    if "html" in content_type:
        return "page"
    if (
        content_type in ("text/plain", "text/csv", "text/tab-separated-values")
        or "jsonl" in content_type
        or "ndjson" in content_type
    ):
        return "list"
    if "rss" in content_type or "atom" in content_type or content_type.endswith(("xml", "json")):
        return "feed"
    return None


_HEAD = 16_384
"""Bytes at the start of a document within which its first element must come, after comments and style sheets."""
_FEED = re.compile(rb"<(?:[\w.-]+:)?(?:rss|feed|rdf)[\s>]")
_XML_LIST = re.compile(rb"<opml[\s>]|<\?wpl|<smil[\s>]|<asx[\s>]|<playlist[\s>]")


def is_xml_list(head: bytes) -> bool:
    """Whether a document is OPML, XSPF, WPL, SMIL or ASX, by its first element."""
    lowered = unmarked(head)[:_HEAD]
    match = _XML_LIST.search(lowered) if lowered.startswith(b"<") else None
    return match is not None and not _FEED.search(lowered, 0, match.start())


def unmarked(body: bytes) -> bytes:
    """The start of a document as lower-case ASCII text, whatever its encoding, without its byte order mark.

    >>> unmarked("\ufeff <RSS>".encode("utf-16-le"))
    b'<rss>'
    """
    head = body[: 4 * _HEAD]
    return decoded(head).lstrip().lower().encode("ascii", "replace")


def decoded(body: bytes) -> str:
    """A document as text: by its byte order mark, as UTF-16 where every other byte is zero, else as UTF-8.

    Bytes that are not UTF-8 become lone surrogates (`surrogateescape`).
    """
    for mark, codec in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "surrogateescape" if codec == "utf-8" else "replace")
    if body[1:8:2] == b"\0\0\0\0" and b"\0" not in body[:8:2]:
        return body.decode("utf-16-le", "replace")
    if body[:8:2] == b"\0\0\0\0" and b"\0" not in body[1:8:2]:
        return body.decode("utf-16-be", "replace")
    return body.decode("utf-8", "surrogateescape")
