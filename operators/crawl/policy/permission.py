"""What a site says of an address before it is asked for: robots.txt and tdmrep.json, each fetched once per run and origin."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from voxmill.operators.crawl.facts.crawl_errors import Disallowed, NetworkError, OptedOut, Redirects
from voxmill.operators.crawl.policy import opt_out, robots
from voxmill.operators.crawl.policy.host_limit import HostGate
from voxmill.operators.crawl.policy.origin_notes import OriginNotes
from voxmill.operators.crawl.policy.robots import RobotsFile

Peek: TypeAlias = Callable[[str, int, int], tuple[int, bytes]]
"""`peek(url, size limit, redirect limit)` gives status and body; it asks the gate, but not the rules of the site."""


@dataclass(frozen=True, slots=True)
class Permission:
    """Permission to fetch, `crawl_delay` seconds after the last request; `evidence` is the rule that allows it."""

    evidence: str = ""
    crawl_delay: float = 0.0


class Permissions:
    """Reads the rules of each origin once; the gate remembers them for all workers. Any number of threads may ask at once."""

    def __init__(self, gate: HostGate, peek: Peek, clock: Callable[[], float] = time.monotonic) -> None:
        self._notes = OriginNotes(gate, clock)
        self._peek = peek

    def check(self, url: str) -> Permission:
        """The permission to fetch `url`.

        Raises Disallowed, OptedOut, NetworkError where robots.txt cannot be had, and what `peek` raises.
        """
        rules = self._robots(origin_of(url))
        if rules.status == 0:
            raise NetworkError(f"robots.txt cannot be had, so nothing else may be: {rules.text}")
        if not rules.allows(url):
            raise Disallowed(rules.evidence(url))
        reserved, location = opt_out.tdm_file(self._tdm_file(origin_of(url)), url)
        if reserved:
            raise OptedOut(f"{origin_of(url)}{opt_out.TDM_FILE} reserves {location}")
        said = f"tdmrep.json releases {location}" if reserved is False else "no tdmrep.json reservation"
        return Permission(f"{rules.evidence(url)}; {said}", rules.crawl_delay)

    def _robots(self, origin: str) -> RobotsFile:
        def fetch() -> tuple[str, float]:
            try:
                status, body = self._peek(f"{origin}/robots.txt", robots.MAX_BYTES, robots.MAX_REDIRECTS)
                found = RobotsFile(status, robots.decode(body) if status < 300 else "")
            except Redirects:
                found = RobotsFile(404)  # RFC 9309: after five redirects a crawler may assume that there is none
            except NetworkError as error:
                found = RobotsFile(0, error.detail)
            return found.to_json(), robots.KEEP_SECONDS if found.reachable else robots.RETRY_SECONDS

        return RobotsFile.from_json(self._notes.get(origin, "robots", fetch))

    def _tdm_file(self, origin: str) -> str:
        """The site's tdmrep.json, or empty: a site that fails to serve one does not take part in the protocol."""

        def fetch() -> tuple[str, float]:
            try:
                status, body = self._peek(f"{origin}{opt_out.TDM_FILE}", opt_out.TDM_FILE_BYTES, robots.MAX_REDIRECTS)
                text = body.decode("utf-8-sig", "replace") if status < 300 else ""
            except (Redirects, NetworkError):
                text = ""
            return text, robots.KEEP_SECONDS

        return self._notes.get(origin, "tdmrep", fetch)


def origin_of(url: str) -> str:
    """Scheme, host and non-default port of a URL.

    >>> origin_of("HTTPS://A.org:443/x?y"), origin_of("http://[::1]:8000/")
    ('https://a.org', 'http://[::1]:8000')
    """
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    netloc = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}.get(scheme)
    return f"{scheme}://{netloc}" + (f":{parts.port}" if parts.port and parts.port != default else "")
