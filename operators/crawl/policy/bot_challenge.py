"""Recognising a page meant to keep robots out. It is never solved or passed by: it stops the host."""

from __future__ import annotations

import re
from collections.abc import Mapping

_HEADERS = {
    "cf-mitigated": "challenge",
    "x-amzn-waf-action": "captcha challenge",
    "x-sucuri-block": "",
}
"""Header to the words that make it a challenge; an empty text: its mere presence does."""

_PAGES = re.compile(
    rb"cf-chl-|cf_chl_opt|challenge-platform/h/|_Incapsula_Resource|px-captcha|captcha-delivery\.com|<title>\s*Just a moment",
    re.IGNORECASE,
)
"""Only ever found on a challenge, whatever the status."""

_WIDGETS = re.compile(
    rb"g-recaptcha|h-captcha|hcaptcha\.com|cf-turnstile|\bcaptcha\b"
    rb"|confirm you.{1,8}re not a bot|verify (?:that )?you are (?:a )?human|unusual traffic from your",
    re.IGNORECASE,
)
"""Also found on honest pages (a comment form, an article), so they count only beside a refusal."""

PEEK = 64 * 1024
"""Bytes of a page that are looked at."""


def challenge(status: int, headers: Mapping[str, str], body: bytes = b"") -> str | None:
    """What gave the bot page away, or None.

    >>> challenge(200, {}, b"<p>about captcha design</p>"), challenge(403, {}, b"<div class=g-recaptcha>")
    (None, 'g-recaptcha')
    """
    for name, words in _HEADERS.items():
        value = headers.get(name)
        if value is not None and (not words or value.lower() in words.split()):
            return f"{name}: {value}"
    found = _PAGES.search(body[:PEEK])
    if not found and status in (401, 403, 429, 503):
        found = _WIDGETS.search(body[:PEEK])
    return found.group().decode("ascii", "replace").strip() if found else None
