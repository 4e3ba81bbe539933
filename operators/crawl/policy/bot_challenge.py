"""Recognises a bot challenge (Cloudflare, AWS WAF, captchas). It is never solved: it opens the circuit breaker of the host."""

from __future__ import annotations

import re
from collections.abc import Mapping

_HEADERS = {
    "cf-mitigated": "challenge",
    "x-amzn-waf-action": "captcha challenge",
    "x-sucuri-block": "",
}
"""Header, and the values that mark a challenge; empty: any value does."""

_PAGES = re.compile(
    rb"cf-chl-|cf_chl_opt|challenge-platform/h/|_Incapsula_Resource|px-captcha|captcha-delivery\.com|<title>\s*Just a moment",
    re.IGNORECASE,
)
"""Found on challenges only, whatever the status."""

_WIDGETS = re.compile(
    rb"g-recaptcha|h-captcha|hcaptcha\.com|cf-turnstile|\bcaptcha\b"
    rb"|confirm you.{1,8}re not a bot|verify (?:that )?you are (?:a )?human|unusual traffic from your",
    re.IGNORECASE,
)
"""Also found on ordinary pages (a comment form, an article), so they count only with a refusing status."""

PEEK = 64 * 1024
"""Bytes of a page that are looked at."""


def challenge(status: int, headers: Mapping[str, str], body: bytes = b"") -> str | None:
    """The header or text that marks a response as a bot challenge, or None.

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
