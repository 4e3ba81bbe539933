"""Why an address was not listed or fetched, as exceptions. Each class has the public reason that its rejection carries.

The sandboxed reader sends these errors to its parent by class name (`listing/reader_messages.py`).
"""

from __future__ import annotations

from typing import ClassVar

from voxmill.manifests.public_form import public_text
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Rejection


class CrawlError(Exception):
    """The address, its host or its answer is at fault; never a bug of ours. `detail` holds no secrets."""

    reason: ClassVar[str] = "crawl.failed"

    def __init__(self, detail: str = "") -> None:
        self.detail = public_text(detail)
        """What happened, with secrets removed."""
        super().__init__(self.detail)

    def rejection(self) -> Rejection:
        """The rejection that the item or recording gets: `reason` and `detail`."""
        return reject(self.reason, self.detail)


class Unreadable(CrawlError):
    """A list, feed, page or folder cannot be read, or holds no media."""

    reason = "list.unreadable"


class Limit(CrawlError):
    """Listing took more time, depth or memory than it may."""

    reason = "list.limit"


class Disallowed(CrawlError):
    """robots.txt (RFC 9309) disallows the address."""

    reason = "crawl.robots"


class OptedOut(CrawlError):
    """The publisher reserves its rights in machine-readable form (TDMRep, X-Robots-Tag, robots meta tag)."""

    reason = "crawl.opt_out"


class Denylisted(CrawlError):
    """The address or the content is on the deny-list of the config."""

    reason = "crawl.denied"


class Tombstoned(CrawlError):
    """The item or its content was revoked earlier; it is never fetched or kept again."""

    reason = "crawl.revoked"


class PrivateAddress(CrawlError):
    """The host resolves to an address that is not public (SSRF protection)."""

    reason = "crawl.private_address"


class Blocked(CrawlError):
    """The host refuses us (403, 429, a bot challenge) and its circuit breaker is open."""

    reason = "crawl.blocked"


class NotFound(CrawlError):
    """HTTP 404 or 410, or no such file."""

    reason = "crawl.not_found"


class HttpError(CrawlError):
    """Any other HTTP error; `status` is its code."""

    reason = "crawl.http_error"

    def __init__(self, detail: str = "", status: int = 0) -> None:
        super().__init__(detail)
        self.status = status


class NetworkError(CrawlError):
    """No connection, no answer in time, or a broken TLS handshake."""

    reason = "crawl.network"


class BrokenBody(NetworkError):
    """The answer began and broke off; a retry may resume it."""


class Redirects(CrawlError):
    """Too many redirects, a loop, or one without a valid address."""

    reason = "crawl.redirects"


class TooLarge(CrawlError):
    """More bytes than `crawl.max_bytes` or `crawl.max_page_bytes`."""

    reason = "crawl.too_large"


class TooLong(CrawlError):
    """Longer than `crawl.max_seconds`, by what the feed or playlist states."""

    reason = "crawl.too_long"


class BudgetSpent(CrawlError):
    """The run's `crawl.byte_budget` is used up."""

    reason = "crawl.budget"


class Unsupported(CrawlError):
    """Encrypted, live, not media, or an address of a kind that is not fetched."""

    reason = "crawl.unsupported"
