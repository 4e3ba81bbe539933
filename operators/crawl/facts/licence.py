"""The licence of a recording, read from what its publisher wrote: a page, a feed, a Link header, or the config.

Only text that names a licence counts. A copyright notice alone, or two different licences in one place, give `unknown`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from voxmill.manifests.records import Licence

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser

UNKNOWN = Licence()

_CC_URL = re.compile(
    r"creativecommons\.org/(?:licenses/(?P<kind>[a-z-]+)/(?P<version>\d\.\d)(?:/(?P<ported>[a-z]{2,3})\b)?"
    r"|(?P<zero>publicdomain/zero)/(?P<zero_version>\d\.\d)|(?P<mark>publicdomain/mark|licenses/publicdomain))",
    re.IGNORECASE,
)
_CC_KINDS = ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd")
_CC_TEXT = re.compile(
    r"\bcc[\s_-]*(?P<kind>by(?:[\s_-]*(?:nc|nd|sa))*)(?:[\s_-]+v?(?P<version>[1-4]\.0|2\.5))?(?:-(?P<ported>[a-z]{2,3}))?\b"
    r"|\bcreative commons[\s:,-]+(?P<words>attribution[a-z\s-]*?)[\s,(-]*(?P<words_version>[1-4]\.0|2\.5)?(?=[^a-z\d-]|$)",
    re.IGNORECASE,
)
_CC_ZERO = re.compile(r"\bcc[\s_-]?0\b|\bcc[\s_-]zero\b", re.IGNORECASE)
_PUBLIC = re.compile(r"\bpublic[\s_-]domain\b", re.IGNORECASE)
_NOT_PUBLIC = re.compile(r"\bnot\b[^.]{0,20}\bpublic[\s_-]domain\b", re.IGNORECASE)
_RESERVED = re.compile(r"\ball rights reserved\b|\bproprietary\b|保留所有权利|版权所有", re.IGNORECASE)
_SPDX = re.compile(r"(?:apache|odc-by|odbl|pddl|gfdl|fal|mit|bsd|gpl|lgpl|cdla|ogl)[a-z\d.+-]*", re.IGNORECASE)
_WORDS = (("attribution", "by"), ("noncommercial", "nc"), ("noderiv", "nd"), ("sharealike", "sa"))


def normalise(text: str) -> str | None:
    """The licence that a URL, an SPDX identifier or words name, in lower case; None if they name none.

    >>> [normalise(t) for t in ("https://creativecommons.org/licenses/by-sa/3.0/de/", "CC BY-NC 4.0", "Public Domain Mark", "© me")]
    ['cc-by-sa-3.0-de', 'cc-by-nc-4.0', 'public-domain', None]
    """
    text = " ".join(text.split())
    if url := _CC_URL.search(text):
        if url["mark"]:
            return "public-domain"
        if url["zero"]:
            return f"cc0-{url['zero_version']}"
        kind = url["kind"].lower()
        if kind in _CC_KINDS:
            return "-".join(filter(None, ["cc", kind, url["version"], (url["ported"] or "").lower()]))
    if words := _CC_TEXT.search(text):
        kind, version = _cc_kind(words), words["version"] or words["words_version"]
        if kind in _CC_KINDS:
            return "-".join(filter(None, ["cc", kind, version, (words["ported"] or "").lower() if version else ""]))
    if _CC_ZERO.search(text):
        return "cc0-1.0"
    if _PUBLIC.search(text) and not _NOT_PUBLIC.search(text):
        return "public-domain"
    if _RESERVED.search(text):
        return "proprietary"
    return text.lower() if _SPDX.fullmatch(text) or text.lower() == "unknown" else None


def _cc_kind(words: re.Match[str]) -> str:
    if words["kind"]:
        parts = re.findall(r"by|nc|nd|sa", words["kind"].lower())
    else:
        squeezed = re.sub(r"[\s-]", "", words["words"].lower())
        parts = [short for word, short in _WORDS if word in squeezed]
    return "-".join(part for part in ("by", "nc", "nd", "sa") if part in parts)


def choose(statements: Iterable[tuple[str, str]], source: str, attribution: str | None = None) -> Licence:
    """The licence named by `statements`, pairs of (text, where it stood), strongest first.

    A later place counts only where earlier ones name no licence. Statements of one place that disagree give `unknown`.
    """
    by_place: dict[str, list[str]] = {}
    for text, place in statements:
        by_place.setdefault(place, []).append(text.strip())
    for place, texts in by_place.items():
        named = {name: text for text in texts if (name := normalise(text))}
        if len(named) == 1:
            name, text = next(iter(named.items()))
            return Licence(name, f"{place}: {text}"[:500], source, attribution)
        if named:
            return Licence(evidence=f"ambiguous {place}: {'; '.join(sorted(named.values()))}"[:500], attribution=attribution)
    kept = next((f"{place}: {text}"[:500] for place, texts in by_place.items() for text in texts if text), None)
    return Licence(evidence=kept, attribution=attribution)


def of_config(text: str) -> Licence:
    """The licence that the user states for a source; an identifier we do not know is kept as it is written."""
    return Licence(normalise(text) or "-".join(text.lower().split()), f"config: {text}", "config")


def of_headers(link: str | None) -> Licence:
    """The licence in a Link header with rel=license (RFC 8288, RFC 4946)."""
    targets = re.findall(r'<([^>]*)>[^,]*?;\s*rel="?[^",;]*\blicense\b', link or "", re.IGNORECASE)
    return choose([(target, "Link header") for target in targets], "media")


def of_page(tree: LexborHTMLParser) -> Licence:
    """The licence of an HTML page: rel=license, JSON-LD, Dublin Core, microdata; last, a link to Creative Commons."""
    return choose(_page_statements(tree), "page", _page_author(tree))


def of_feed(entry: Mapping[str, Any], channel: Mapping[str, Any]) -> Licence:
    """The licence of a feed entry, else of its channel. Keys are feedparser's."""
    author = entry.get("author") or channel.get("author") or (channel.get("publisher_detail") or {}).get("name")
    own = choose(_feed_statements(entry, "entry"), "feed", author)
    if own.name != "unknown" or (own.evidence or "").startswith("ambiguous"):
        return own
    whole = choose(_feed_statements(channel, "channel"), "feed", author)
    return whole if whole.evidence else own


def _page_statements(tree: LexborHTMLParser) -> Iterator[tuple[str, str]]:
    for node in tree.css("a[rel~=license i], link[rel~=license i], area[rel~=license i]"):
        yield node.attributes.get("href") or node.text(), "rel=license"
    for node in tree.css("script[type='application/ld+json']"):
        yield from ((text, "schema.org license") for text in _json_ld(node.text()))
    for node in tree.css("meta[name], meta[property]"):
        name = (node.attributes.get("name") or node.attributes.get("property") or "").lower().replace(":", ".")
        if name in ("dc.rights", "dcterms.rights", "dc.rights.license", "dcterms.license", "license", "cc.license", "rights"):
            yield node.attributes.get("content") or "", f"meta {name}"
    for node in tree.css("[itemprop~=license]"):
        yield node.attributes.get("href") or node.attributes.get("content") or node.text(), "itemprop=license"
    for node in tree.css("a[href*='creativecommons.org/']"):
        yield node.attributes.get("href") or "", "link"


def _json_ld(text: str) -> Iterator[str]:
    try:
        todo: list[Any] = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    for node in todo:  # which grows
        if isinstance(node, list):
            todo += node
        elif isinstance(node, dict):
            stated = node.get("license")
            for value in stated if isinstance(stated, list) else [stated]:
                found = value.get("@id") or value.get("url") or value.get("name") if isinstance(value, dict) else value
                if isinstance(found, str):
                    yield found
            todo += [value for key, value in node.items() if key != "license"]


def _page_author(tree: LexborHTMLParser) -> str | None:
    for name in ("author", "dc.creator", "dcterms.creator"):
        for node in tree.css("meta[name]"):
            if (node.attributes.get("name") or "").lower() == name and node.attributes.get("content"):
                return (node.attributes["content"] or "").strip()[:200] or None
    return None


def _feed_statements(node: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    """creativeCommons:license and cc:license, podcast:license, media:license, then rights and copyright in words."""
    for link in node.get("links") or []:
        if link.get("rel") == "license":
            yield link.get("href") or "", f"{where} license"
    for key in ("license", "creativecommons_license", "cc_license"):
        if isinstance(node.get(key), str):
            yield node[key], f"{where} license"
    for key in ("podcast_license", "media_license"):
        value = node.get(key)
        for text in (value,) if isinstance(value, str) else tuple(value.values()) if value else ():
            if text:
                yield text, f"{where} {key.replace('_', ':')}"
    for key in ("rights", "copyright", "dc_rights"):
        if isinstance(node.get(key), str) and node[key].strip():
            yield node[key], f"{where} {key}"
