"""What an address leads to: told from its suffix, else from the Content-Type and the first bytes of what comes."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias
from urllib.parse import unquote

Kind: TypeAlias = Literal["media", "page", "feed", "playlist", "list", "files", "manifest"]

MEDIA = frozenset(
    "mp3 mp2 mpga m4a m4b mp4 m4v mov 3gp aac ogg oga opus ogv flac wav wave w64 aif aiff aifc au snd caf amr "  # noqa: SIM905
    "webm weba mka mkv wma asf wmv avi flv ts mts mpg mpeg ac3 eac3 spx ape wv tta".split()
)
"""Suffixes of files that hold audio, alone or beside pictures."""

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(MEDIA, "media"),
    "m3u8": "playlist",
    "m3u": "list",
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
    """Of a file's name or path, whatever it holds."""
    head, dot, tail = name.rsplit("/", 1)[-1].rpartition(".")
    return tail.lower() if dot and head else ""


def is_media(address: str) -> bool:
    return suffix(address) in MEDIA


def is_hls(address: str) -> bool:
    return suffix(address) == "m3u8"


def kind_by_name(address: str) -> Kind | None:
    return _KINDS.get(suffix(address))


def kind_by_content(content_type: str, head: bytes) -> Kind | None:
    """None where neither the type nor the bytes tell. A playlist is HLS; a plain m3u is a list.

    >>> kind_by_content("application/octet-stream", b"<?xml version='1.0'?><rss>"), kind_by_content("audio/mpeg", b"ID3")
    ('feed', 'media')
    """
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:2048]
    lowered = start.lower()
    if start.startswith(b"#EXTM3U"):
        return "playlist" if b"#EXT-X-" in head else "list"
    if lowered.startswith((b"<!doctype html", b"<html")):
        return "page"
    if b"<rss" in lowered or b"<feed" in lowered or b"<rdf:rdf" in lowered:
        return "feed"
    if "mpegurl" in content_type:
        return "playlist"
    if content_type.startswith(("audio/", "video/")) or content_type == "application/ogg":
        return "media"
    if "html" in content_type:
        return "page"
    if "rss" in content_type or "atom" in content_type:
        return "feed"
    if (
        content_type in ("text/plain", "text/csv", "text/tab-separated-values")
        or "jsonl" in content_type
        or "ndjson" in content_type
    ):
        return "list"
    return None
