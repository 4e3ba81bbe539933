"""`Reply`: an HTTP response whose body is streamed once, within limits of size, speed and time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from voxmill.operators.contract.meter import METER
from voxmill.operators.crawl.facts.crawl_errors import BrokenBody, Limit, TooLarge
from voxmill.operators.crawl.fetch.crawl_config import FetchSettings
from voxmill.operators.crawl.policy.gate_client import HostTurn

_BLOCK = 64 * 1024
_HEAD = 4096
"""Bytes that are waited for before `skip` is asked: a first packet may be a single byte."""


class Reply:
    """Status, headers and a body that is streamed once, within limits. Closing it ends its turn at the host gate."""

    def __init__(
        self,
        url: str,
        response: BaseHTTPResponse,
        permission: str,
        settings: FetchSettings,
        turn: HostTurn,
        go_on: Callable[[], None],
        deadline: float | None = None,
    ) -> None:
        """`go_on` is called before every block of bytes, and raises where no more are wanted."""
        self.url = url
        """The address that answered, after redirects."""
        self.status = response.status
        self.headers = response.headers
        self.permission = permission
        """What allowed the request, as text."""
        self.content = b""
        """The body, once `read`."""
        self.cut: str | None = None
        """Why `content` is not the whole body."""
        self.num_bytes = 0
        """Bytes of the body taken so far."""
        self._response = response
        self._settings = settings
        self._deadline = deadline
        self._turn = turn
        self._go_on = go_on

    @property
    def content_type(self) -> str:
        """Lower case, without parameters; empty where the host names none."""
        return self.headers.get("content-type", "").split(";", 1)[0].strip().lower()

    @property
    def location(self) -> str | None:
        """Target of a redirect ("" if it names none); None if this is no redirect."""
        if self.status not in (301, 302, 303, 307, 308):
            return None
        text = self.headers.get("location", "")
        try:
            return text.encode("latin-1").decode("utf-8")  # headers arrive as Latin-1, addresses are mostly UTF-8
        except UnicodeError:
            return text

    @property
    def length(self) -> int | None:
        """Content-Length of a body without Content-Encoding, or None."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() and "content-encoding" not in self.headers else None

    def blocks(self, limit: int) -> Iterator[bytes]:
        """The body as it arrives. Raises TooLarge past `limit` bytes, BrokenBody where it breaks off, stalls or ends early, Limit past the deadline."""
        if (self.length or 0) > limit:
            raise TooLarge(f"Content-Length {self.length} at {self.url}, the limit is {limit}")
        since, taken, taken_before = time.monotonic(), 0, 0
        try:
            while True:
                self._go_on()
                if not self._turn.held:
                    raise BrokenBody(f"the turn at the host was lost after {taken} bytes")
                block = self._response.read1(_BLOCK, decode_content=True)
                if not block:
                    break
                taken += len(block)
                self.num_bytes += len(block)
                METER.fetched(len(block))
                if taken > limit:
                    raise TooLarge(f"more than {limit} bytes at {self.url}")
                if self._deadline is not None and time.monotonic() > self._deadline:
                    raise Limit("listing the source takes too long")
                elapsed = time.monotonic() - since
                if elapsed > self._settings.timeout:
                    if (taken - taken_before) / elapsed < self._settings.min_bytes_per_second:
                        raise BrokenBody(f"{taken - taken_before} bytes in {elapsed:.0f} s from {self.url}")
                    since, taken_before = time.monotonic(), taken
                yield block
        except (HTTPError, OSError) as error:
            raise BrokenBody(f"the body broke off after {taken} bytes ({type(error).__name__}: {error})") from error
        self.close()

    def read(self, limit: int, skip: Callable[[Reply, bytes], bool] | None = None) -> bytes:
        """Reads the whole body into `content`, as far as it comes; only its start where `skip(self, start)` is true.

        Raises TooLarge, BrokenBody.
        """
        body = bytearray()
        try:
            for block in self.blocks(sys.maxsize):
                body += block
                if skip and len(body) >= _HEAD:
                    if skip(self, bytes(body)):
                        break
                    skip = None
                if max(len(body), self.length or 0) > limit:
                    raise TooLarge(f"more than {limit} bytes at {self.url}")
        finally:
            self.content = bytes(body)
        return self.content

    def peek(self, limit: int) -> bytes:
        """Reads the first `limit` bytes of the body into `content`. Raises BrokenBody."""
        body = bytearray()
        for block in self.blocks(sys.maxsize):
            body += block
            if len(body) >= limit:
                break
        self.content = bytes(body[:limit])
        return self.content

    def close(self) -> None:
        """Ends the response and its turn; safe to call twice."""
        self._response.close()
        self._turn.end(self.num_bytes)
