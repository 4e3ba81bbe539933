"""`Fetcher`: the only way to a network. Every byte that the crawl takes from one passes `Fetcher.open`.

For each request and each redirect: may the address be asked for (scheme, deny-list), does its site allow it (robots.txt,
tdmrep.json), is it our turn (the host gate), is the address public (the transport); then: did the host answer, refuse us,
or reserve its rights.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from urllib.parse import urldefrag, urljoin, urlsplit

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from voxmill.manifests.public_form import public_text
from voxmill.operators.contract.meter import METER
from voxmill.operators.crawl.facts.crawl_errors import (
    Blocked,
    BrokenBody,
    BudgetSpent,
    CrawlError,
    Denylisted,
    HttpError,
    Limit,
    NetworkError,
    NotFound,
    OptedOut,
    Redirects,
    Unsupported,
)
from voxmill.operators.crawl.fetch.address import AddressPolicy, Resolve, resolve_by_system
from voxmill.operators.crawl.fetch.crawl_config import FetchSettings, NoContact
from voxmill.operators.crawl.fetch.http_transport import Transport
from voxmill.operators.crawl.fetch.response import Reply
from voxmill.operators.crawl.fetch.side_by_side import FetchStopped
from voxmill.operators.crawl.policy.bot_challenge import PEEK, challenge
from voxmill.operators.crawl.policy.denylist import DenyList
from voxmill.operators.crawl.policy.gate_client import GateClient, HostTurn
from voxmill.operators.crawl.policy.host_limit import HostGate, Refused, Wait
from voxmill.operators.crawl.policy.opt_out import header_opt_out
from voxmill.operators.crawl.policy.permission import Permission, Permissions, origin_of

MAX_REDIRECTS = 10
_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}")
_RETRIED = (408, 429, 500, 502, 503, 504)


class Fetcher:
    """Fetches URLs politely: within the rules of the site and the turns that `gate` gives. Any number of threads may use it at once:

    at most `settings.in_flight` requests run at a time, and who waits (for a turn, or before another attempt) is not among them.
    """

    def __init__(
        self,
        settings: FetchSettings,
        gate: HostGate,
        *,
        resolve: Resolve = resolve_by_system,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.gate = GateClient(gate, settings, clock)
        self.deadline: float | None = None
        """In seconds of `time.monotonic`: after it every request raises Limit. Set while a source is listed."""
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._in_flight = threading.BoundedSemaphore(settings.in_flight)
        self._deny = DenyList(settings.denied)
        policy = AddressPolicy(settings.allow_private)
        self._transport = Transport(policy, settings.timeout, resolve, settings.ca_file, hosts=2 * settings.in_flight)
        self._permissions = Permissions(gate, self._peek, clock)

    @contextmanager
    def open(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Iterator[Reply]:
        """The response after redirects, with a status below 400 and its body unread; closed when the block ends.

        Raises a CrawlError that names why there is none.
        """
        reply = self._follow(url, method, headers or {}, body, guarded=True, max_redirects=MAX_REDIRECTS)
        try:
            if reserved := header_opt_out(reply.headers.getlist("x-robots-tag"), reply.headers.get("tdm-reservation")):
                raise OptedOut(f"{reply.url}: {reserved}")
            yield reply
        finally:
            reply.close()

    def read(
        self, url: str, skip: Callable[[Reply, bytes], bool] = lambda reply, head: False, *, partly: bool = False
    ) -> Reply:
        """The response to a GET of a small document (page, feed, playlist), read whole into `reply.content`.

        Where `skip(reply, first bytes)` is true, the rest stays unread. With `partly`, a body that broke off at every attempt is
        returned as far as it came, and `reply.cut` says why. Raises a CrawlError.
        """
        for attempt in range(self.settings.retries + 1):
            try:
                with self.open(url) as reply:
                    try:
                        reply.read(self.settings.max_page_bytes, skip)
                    except BrokenBody as error:
                        if not partly or attempt < self.settings.retries or not reply.content:
                            raise
                        reply.cut = error.detail
            except BrokenBody:
                if attempt == self.settings.retries:
                    raise
                self.pause(attempt)
            else:
                self.stop_at_bot_page(reply, reply.content)
                return reply
        raise AssertionError("unreachable")

    def stop_at_bot_page(self, reply: Reply, body: bytes) -> None:
        """Raises Blocked, and tells the gate, where the page is a bot challenge."""
        if found := challenge(reply.status, reply.headers, body):
            self.refused_as_robot(reply.url, found, reply.status)

    def refused_as_robot(self, url: str, found: str, status: int = 200) -> None:
        """Tells the gate that a reader found a bot challenge at `url`. Always raises Blocked."""
        found = public_text(found)  # the gate's notes are kept in the run
        refusal = self.gate.report(host_of(url), status, bot_page=found)
        raise Blocked(refusal.detail if refusal else f"a page for humans only ({found})")

    def pause(self, attempt: int) -> None:
        """Sleeps before another attempt: exponential back-off, at most a minute."""
        self._wait(min(60.0, self.settings.backoff * 2.0**attempt))

    def _wait(self, seconds: float) -> None:
        """Sleeps; raises Limit at once where the sleep would pass the deadline, FetchStopped once `stop` was called."""
        if self.deadline is not None and time.monotonic() + seconds > self.deadline:
            raise Limit("listing the source takes too long")
        self._sleep(seconds)
        self._go_on()

    def stop(self) -> None:
        """Ends what other threads fetch here: their next wait or block of bytes raises FetchStopped. What came is kept, to be resumed."""
        self._stopped.set()

    def resume(self) -> None:
        """Takes requests again after `stop`."""
        self._stopped.clear()

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise FetchStopped

    def close(self) -> None:
        """Closes all connections."""
        self.gate.flush()
        self._transport.close()

    def _peek(self, url: str, limit: int, max_redirects: int) -> tuple[int, bytes]:
        """Status and body of a site's own rules: asked for without asking those rules.

        Raises NetworkError, PrivateAddress, Blocked, BudgetSpent, Redirects, Denylisted.
        """
        try:
            reply = self._follow(url, "GET", {}, None, guarded=False, max_redirects=max_redirects)
        except HttpError as error:
            return error.status, b""
        except NotFound:
            return 404, b""
        try:
            return reply.status, reply.peek(limit)
        finally:
            reply.close()

    def _follow(
        self, url: str, method: str, headers: Mapping[str, str], body: bytes | None, *, guarded: bool, max_redirects: int
    ) -> Reply:
        seen: list[str] = []
        while True:
            url = self._admit(url)
            if url in seen:
                raise Redirects(f"{url} leads back to itself")
            if len(seen) > max_redirects:
                raise Redirects(f"more than {max_redirects} redirects, the last to {url}")
            seen.append(url)
            permission = self._permissions.check(url) if guarded else Permission()
            reply = self._attempts(url, method, headers, body, permission, guarded=guarded)
            location = reply.location
            if location is None:
                return reply
            reply.close()
            if not location:
                raise Redirects(f"{url}: HTTP {reply.status} without an address")
            try:
                url = urldefrag(urljoin(url, location))[0]
            except ValueError as error:  # `http://[::1/`: the standard library refuses to read it
                raise Redirects(f"{url} leads to what is no address: {error}") from error
            if reply.status == 303 or (reply.status in (301, 302) and method == "POST"):
                method, body = "GET", None

    def _admit(self, url: str) -> str:
        """The address in normal form. Raises Unsupported, Denylisted."""
        try:
            parsed = parse_url(url.strip())
        except (LocationParseError, UnicodeError) as error:
            raise Unsupported(f"no valid address: {error}") from error
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise Unsupported(f"only http and https: {url[:200]}")
        if parsed.auth:
            raise Unsupported("an address with a user name or password")
        if entry := self._deny.address(parsed.url):
            raise Denylisted(f"{parsed.url} is denied by {entry!r}")
        plain = parsed._replace(path=parsed.path or "/", fragment=None).url
        # urllib3 does this too, unless yt-dlp is imported, which patches it: an address must not depend on that.
        return _ESCAPE.sub(lambda escape: escape[0].upper(), plain)

    def _attempts(
        self,
        url: str,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        permission: Permission,
        *,
        guarded: bool,
    ) -> Reply:
        """One hop: requests until the response is final, with retries."""
        for attempt in range(self.settings.retries + 1):
            last = attempt == self.settings.retries or method not in ("GET", "HEAD")
            turn = self._turn(url, permission.crawl_delay)
            try:
                response = self._transport.send(method, url, self._headers(headers), body)
            except BaseException as error:
                turn.end(0)
                if last or not isinstance(error, NetworkError):
                    raise
                self.pause(attempt)
                continue
            reply = Reply(url, response, permission.evidence, self.settings, turn, self._go_on, self.deadline)
            try:
                if self._answered(reply, response, guarded=guarded, last=last):
                    return reply
            except BaseException:
                reply.close()
                raise
            reply.close()
            if _retry_after(response) is None:
                self.pause(attempt)
        raise AssertionError("unreachable")

    def _answered(self, reply: Reply, response: BaseHTTPResponse, *, guarded: bool, last: bool) -> bool:
        """True: use the response. False: retry. Raises the CrawlError of the status.

        A 403 for robots.txt does not count for the breaker (buckets answer 403 for missing files); a bot page always does.
        """
        status = reply.status
        page = _error_page(reply) if status >= 400 else b""
        found = challenge(status, reply.headers, page)
        counted = status if guarded or status != 403 else 404
        host, retry_after = host_of(reply.url), _retry_after(response)
        if status < 400 and not found:
            self.gate.fine(host)
            return True
        if refusal := self.gate.report(host, counted, retry_after=retry_after, bot_page=found):
            raise _as_error(refusal)
        if status < 400 or status == 416:
            return True
        if status in _RETRIED and not last:
            return False
        if status in (404, 410):
            raise NotFound(f"HTTP {status} at {reply.url}")
        raise HttpError(f"HTTP {status} at {reply.url}", status)

    def _turn(self, url: str, crawl_delay: float) -> HostTurn:
        """Waits for a turn whose request has begun when this returns. Raises Blocked, BudgetSpent, NoContact, FetchStopped."""
        if self.settings.contact is None:
            raise NoContact(url)
        host, ticket = host_of(url), self.gate.ticket()
        while True:
            self._enter()
            turn = None
            try:
                answer = self.gate.ask(host, crawl_delay, ticket)
                if isinstance(answer, HostTurn):
                    if answer.begin(on_end=self._in_flight.release):
                        turn = answer
                    else:
                        answer.end(0)
            finally:
                if turn is None:
                    self._in_flight.release()
            if turn is not None:
                return turn
            if isinstance(answer, Refused):
                raise _as_error(answer)
            seconds = answer.seconds if isinstance(answer, Wait) else 0.0
            self._wait(seconds)
            METER.waited(host, seconds)

    def _enter(self) -> None:
        """Waits until one more request may run in this process. Raises FetchStopped."""
        while not self._in_flight.acquire(timeout=0.5):
            self._go_on()
        if self._stopped.is_set():
            self._in_flight.release()
            raise FetchStopped

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Our User-Agent cannot be overridden. No compression, so that Content-Length is the length of the file."""
        asked = {name: value for name, value in headers.items() if name.lower() not in ("user-agent", "accept-encoding")}
        return {"Accept": "*/*", **asked, "Accept-Encoding": "identity", "User-Agent": self.settings.user_agent}


def host_of(url: str) -> str:
    """The host that the gate counts: with its port, unless that is the default of the scheme.

    >>> host_of("https://A.org:443/x"), host_of("http://127.0.0.1:8000/")
    ('a.org', '127.0.0.1:8000')
    """
    return urlsplit(origin_of(url)).netloc


def _error_page(reply: Reply) -> bytes:
    try:
        return reply.peek(PEEK)
    except BrokenBody:
        return b""


def _retry_after(response: BaseHTTPResponse) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3); None where there is none, or it is in the past.

    A date is compared with the `Date` header of the host, and with our clock only where that is missing.
    """
    asked = response.headers.get("retry-after", "").strip()
    if not asked:
        return None
    if asked.isascii() and asked.isdigit():
        return float(asked[:12])
    until, now = (_date(text) for text in (asked, response.headers.get("date", "")))
    if until is None:
        return None
    pause = until - (time.time() if now is None else now)
    return pause if pause > 0 else None


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _as_error(refusal: Refused) -> CrawlError:
    return BudgetSpent(refusal.detail) if refusal.reason == "crawl.budget" else Blocked(refusal.detail)
