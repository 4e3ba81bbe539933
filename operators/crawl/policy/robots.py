"""robots.txt by RFC 9309, parsed by `protego`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from protego import Protego

TOKEN = "voxmill"
"""Our product token: the name to use in robots.txt and X-Robots-Tag."""

MAX_BYTES = 500 * 1024
"""Bytes of a robots.txt that are read: the least that RFC 9309 asks for."""

MAX_REDIRECTS = 5
KEEP_SECONDS = 24 * 3600.0
RETRY_SECONDS = 600.0
"""Seconds that a robots.txt is remembered, and one that could not be fetched."""


@dataclass(frozen=True, slots=True)
class RobotsFile:
    """The answer to /robots.txt. `status` 0: it could not be reached, and `text` says why."""

    status: int
    text: str = ""

    @property
    def reachable(self) -> bool:
        """Whether the rules are known. 4xx means there are none; 5xx, and 429, mean that we do not know them (RFC 9309, 2.3.1)."""
        return 200 <= self.status < 300 or (400 <= self.status < 500 and self.status != 429)

    def allows(self, url: str) -> bool:
        """Whether the rules allow this URL for our token; unknown rules allow nothing."""
        if not self.reachable:
            return False
        return self.status >= 300 or bool(_parse(self.text).can_fetch(url, TOKEN))

    @property
    def crawl_delay(self) -> float:
        """Seconds between requests, 0 where the file asks for none."""
        if not 200 <= self.status < 300:
            return 0.0
        rules = _parse(self.text)
        rate = rules.request_rate(TOKEN)
        return max(rules.crawl_delay(TOKEN) or 0.0, rate.seconds / rate.requests if rate else 0.0)

    def evidence(self, url: str) -> str:
        """One line for the records: which file, its status, and what it says of the URL.

        >>> RobotsFile(200, "User-agent: *\\nDisallow: /x").evidence("https://a.net/x/1")
        'https://a.net/robots.txt (200) disallows /x/1 for voxmill'
        """
        parts = urlsplit(url)
        place = f"{parts.scheme}://{parts.netloc}/robots.txt"
        if not self.reachable:
            return f"{place} ({self.status or 'unreachable'}): unknown rules disallow everything"
        if self.status >= 400:
            return f"{place} ({self.status}): no rules"
        return f"{place} ({self.status}) {'allows' if self.allows(url) else 'disallows'} {parts.path or '/'} for {TOKEN}"

    def to_json(self) -> str:
        """As text, to be remembered by the gate."""
        return json.dumps([self.status, self.text])

    @classmethod
    def from_json(cls, note: str) -> RobotsFile:
        """The inverse of `to_json`."""
        return cls(*json.loads(note))


@lru_cache(maxsize=256)
def _parse(text: str) -> Protego:
    return Protego.parse(text)


def decode(body: bytes) -> str:
    """The text of a robots.txt body, at most `MAX_BYTES`."""
    return body[:MAX_BYTES].decode("utf-8-sig", "replace")
