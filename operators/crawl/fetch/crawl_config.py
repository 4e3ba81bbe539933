"""Settings of the crawl: how requests are made, in whose name, and what is fetched and kept."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from voxmill import __version__
from voxmill.manifests.errors import UserError
from voxmill.operators.crawl.fetch.address import check_entry
from voxmill.operators.crawl.policy.denylist import read_entries
from voxmill.operators.crawl.policy.host_limit import GateSettings

_CONTACT = re.compile(r"(https?://[^\s/@]+\.[^\s/@]+(/\S*)?|[^\s@()<>]+@[^\s@()<>]+\.[^\s@()<>]+)")


class NoContact(UserError):
    """The web is to be asked and `crawl.contact` is not set."""

    def __init__(self, asked: str) -> None:
        super().__init__(
            f"{asked}: `crawl.contact` is missing, a web page or an e-mail address that site owners can write to; "
            "set it in the config, or by --contact"
        )
        self.asked = asked

    def __reduce__(self) -> tuple[type[NoContact], tuple[str]]:
        return NoContact, (self.asked,)


def _contact(text: str) -> str:
    text = text.strip()
    if not text.isascii() or not _CONTACT.fullmatch(text):
        raise ValueError("say who crawls: `crawl.contact` is a web page or an e-mail address that site owners can write to")
    return text


class FetchSettings(GateSettings):
    """How requests are made: identity, time-outs, retries, deny-list, limits."""

    contact: Annotated[str, AfterValidator(_contact)] | None = None
    """Who runs this crawl, as a URL or an e-mail address: part of the user agent. Needed before anything is asked of the web; files
    and buckets of your own need none."""
    in_flight: int = Field(default=16, ge=1)
    """Requests that one worker runs at once, over all hosts. Waiting for a host's turn is not among them, so a slow host holds up none of the others."""
    timeout: float = Field(default=30.0, gt=0)
    """Seconds for a connection, for the headers of an answer, and for each pause between its bytes."""
    min_bytes_per_second: float = Field(default=256.0, ge=0)
    """A body that stays slower than this (bytes/s) over `timeout` seconds is given up."""
    retries: int = Field(default=3, ge=0)
    """Retries after a connection error, a broken body, or HTTP 408, 429, 500, 502, 503, 504."""
    backoff: float = Field(default=1.0, ge=0)
    """Seconds before the first retry; doubled before each further one."""
    allow_private: tuple[Annotated[str, AfterValidator(check_entry)], ...] = ()
    """Hosts, `host:port` pairs, addresses or CIDR blocks that may have private addresses: your own servers."""
    ca_file: str | None = None
    """Additional certificate authorities to trust (PEM), for your own servers."""
    deny: tuple[str, ...] = ()
    """Hosts, URLs, URL globs and `sha256:<hex>` contents that are never fetched or kept."""
    deny_files: tuple[str, ...] = ()
    """Files of such entries, one per line; text after a `#` is a comment."""
    max_page_bytes: int = Field(default=32 * 1024 * 1024, ge=1024)
    """Largest page, feed, playlist or list file that is read for its links (bytes)."""

    list_seconds: float = Field(default=600.0, gt=0)
    """Time limit for listing one address of a source, with everything it leads to and waits for hosts (s)."""
    read_seconds: float = Field(default=10.0, gt=0)
    """CPU time limit for parsing a page or playlist (s); six times as much for a feed or list."""

    @property
    def denied(self) -> tuple[str, ...]:
        """All deny-list entries, those of the files included.

        Raises UserError where a file cannot be read: nothing may run without it.
        """
        return self.deny + tuple(entry for path in self.deny_files for entry in read_entries(path))

    @property
    def user_agent(self) -> str:
        """The User-Agent header: `Voxmill/<version> (+<contact>)`."""
        return f"Voxmill/{__version__}" + (f" (+{self.contact})" if self.contact else "")


class CrawlConfig(FetchSettings):
    """The section `crawl` of the config: how requests are made, and what is fetched and kept."""

    obey_robots: Literal[True] = True
    """robots.txt is obeyed; this cannot be switched off."""
    obey_opt_outs: Literal[True] = True
    """X-Robots-Tag, TDMRep and robots meta tags are obeyed; this cannot be switched off."""
    max_bytes: int = Field(default=2 * 1024**3, ge=1)
    """Largest file that is fetched (bytes)."""
    max_seconds: float = Field(default=43_200.0, gt=0)
    """Longest recording (s), where a feed, an extractor or a playlist says how long it is."""
    copy_local: bool = False
    """Copy local files into the run; otherwise they are read where they are and must stay there."""
