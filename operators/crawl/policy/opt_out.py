"""Machine-readable reservations of rights: X-Robots-Tag, robots meta tags, and TDMRep in its three forms.

TDMRep: https://www.w3.org/community/reports/tdmrep/CG-FINAL-tdmrep-20240510/. It lets a page's meta tag overrule the
response's header, and that the site's /.well-known/tdmrep.json. We are stricter: a reservation in any of the three stops us.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from protego import Protego

from voxmill.operators.crawl.policy.robots import TOKEN

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser

RESERVING = ("noai", "noml", "noimageai", "noindex", "none")
"""Directives that keep content out of a data set. `none` means noindex and nofollow."""

TDM_FILE = "/.well-known/tdmrep.json"
TDM_FILE_BYTES = 1024 * 1024

_VALUED = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")
_SCOPED = re.compile(r"^\s*([\w.*-]+)\s*:(.*)$", re.DOTALL)


def robots_directive(values: Iterable[str]) -> str | None:
    """The directive in X-Robots-Tag lines (or `robots` meta contents) that reserves the content, or None.

    A line may name an agent; it then holds for that agent up to the next name.

    >>> robots_directive(["otherbot: noai, noindex"]), robots_directive(["voxmill: NoAI"]), robots_directive(["all"])
    (None, 'noai', None)
    """
    for line in values:
        agent = "*"
        for entry in line.split(","):
            scoped = _SCOPED.match(entry)
            if scoped and scoped[1].lower() not in _VALUED:
                agent, entry = scoped[1].lower(), scoped[2]
            if agent in ("*", TOKEN) and entry.strip().lower() in RESERVING:
                return entry.strip().lower()
    return None


def tdm_value(text: str | None) -> bool | None:
    """`tdm-reservation`: True reserved, False released, None not stated (any other value counts as not stated)."""
    return {"1": True, "0": False}.get((text or "").strip())


def tdm_file(text: str, url: str) -> tuple[bool | None, str]:
    """What a tdmrep.json says of a URL, and the location pattern that says it: the first match. An invalid file says nothing.

    >>> tdm_file('[{"location": "/a/*.mp3$", "tdm-reservation": 1}]', "https://x.org/a/b.mp3")
    (True, '/a/*.mp3$')
    """
    try:
        rules = json.loads(text)
    except (ValueError, RecursionError):
        return None, ""
    for rule in rules if isinstance(rules, list) else []:
        location = rule.get("location") if isinstance(rule, dict) else None
        if isinstance(location, str) and _matches(location, url):
            return tdm_value(str(rule.get("tdm-reservation"))), location
    return None, ""


def _matches(location: str, url: str) -> bool:
    """TDMRep uses the patterns of robots.txt, so Protego matches them."""
    pattern = "".join(location.split())
    if not pattern.startswith(("/", "*")):
        pattern = "/" + pattern
    return not Protego.parse(f"User-agent: *\nDisallow: {pattern}").can_fetch(url, TOKEN)


def header_opt_out(x_robots: Iterable[str], tdm_reservation: str | None) -> str | None:
    """What in the headers reserves a response, as text, or None."""
    if directive := robots_directive(x_robots):
        return f"X-Robots-Tag: {directive}"
    return "tdm-reservation: 1 (header)" if tdm_value(tdm_reservation) else None


def page_opt_out(tree: LexborHTMLParser) -> str | None:
    """What in the meta tags reserves an HTML page, as text, or None."""
    meta: dict[str, list[str]] = {}
    for tag in tree.css("meta[name]"):
        meta.setdefault((tag.attributes.get("name") or "").strip().lower(), []).append(tag.attributes.get("content") or "")
    if directive := robots_directive([*meta.get("robots", []), *meta.get(TOKEN, [])]):
        return f'meta name="robots": {directive}'
    return 'meta name="tdm-reservation": 1' if any(map(tdm_value, meta.get("tdm-reservation", []))) else None
