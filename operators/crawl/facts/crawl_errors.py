"""Why a fetch did not happen, as exceptions. Each carries the public name of its reason."""

from __future__ import annotations

from typing import ClassVar

from voxmill.manifests.public_form import public_text
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Rejection


class CrawlError(Exception):
    """Something about the address, its host or its answer: data, never a bug of ours."""

    reason: ClassVar[str] = "crawl.failed"

    def __init__(self, detail: str = "") -> None:
        self.detail = public_text(detail)
        """Whatever it was given, without secrets."""
        super().__init__(self.detail)

    def rejection(self) -> Rejection:
        return reject(self.reason, self.detail)


class Unreadable(CrawlError):
    reason = "list.unreadable"


class Limit(CrawlError):
    """Listing took more time, depth or memory than it may."""

    reason = "list.limit"


class Disallowed(CrawlError):
    reason = "crawl.robots"


class OptedOut(CrawlError):
    reason = "crawl.opt_out"


class Denylisted(CrawlError):
    reason = "crawl.denied"


class Tombstoned(CrawlError):
    reason = "crawl.revoked"


class PrivateAddress(CrawlError):
    reason = "crawl.private_address"


class Blocked(CrawlError):
    reason = "crawl.blocked"


class NotFound(CrawlError):
    reason = "crawl.not_found"


class HttpError(CrawlError):
    reason = "crawl.http_error"

    def __init__(self, detail: str = "", status: int = 0) -> None:
        super().__init__(detail)
        self.status = status


class NetworkError(CrawlError):
    reason = "crawl.network"


class BrokenBody(NetworkError):
    """The answer began well and broke off: worth resuming."""


class Redirects(CrawlError):
    reason = "crawl.redirects"


class TooLarge(CrawlError):
    reason = "crawl.too_large"


class TooLong(CrawlError):
    reason = "crawl.too_long"


class BudgetSpent(CrawlError):
    reason = "crawl.budget"


class Unsupported(CrawlError):
    reason = "crawl.unsupported"
