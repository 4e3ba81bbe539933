"""The fetcher inside the reader process: it asks the real `Fetcher`, in the parent, over the pipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

from urllib3 import HTTPHeaderDict

from voxmill.operators.crawl.facts.crawl_errors import TooLarge
from voxmill.operators.crawl.listing.reader_messages import error_of, receive, send
from voxmill.operators.crawl.policy.bot_challenge import challenge


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """The settings of the real fetcher that readers need."""

    retries: int
    max_page_bytes: int


class RemoteReply:
    """The part of `Reply` that readers of documents need."""

    def __init__(
        self, url: str, status: int, headers: HTTPHeaderDict, content: bytes = b"", remote: Remote | None = None
    ) -> None:
        self.url = url
        self.status = status
        self.headers = headers
        self.content = content
        self._remote = remote

    @property
    def content_type(self) -> str:
        """Media type in lower case, without parameters; empty where the host names none."""
        return self.headers.get("content-type", "").split(";", 1)[0].strip().lower()

    def blocks(self, limit: int) -> Iterator[bytes]:
        """The body in blocks; `limit` bytes at most, checked in the parent."""
        if self._remote is None:
            yield self.content
            return
        while block := self._remote.ask({"ask": "block", "limit": limit})[1]:
            yield block

    def read(self, limit: int) -> bytes:
        """Reads the whole body into `content`. Raises TooLarge."""
        body = bytearray()
        for block in self.blocks(limit):
            body += block
            if len(body) > limit:
                raise TooLarge(f"more than {limit} bytes at {self.url}")
        self.content = bytes(body)
        return self.content


class Remote:
    """Same interface as `Fetcher`; asks one thing at a time, and errors of the parent are raised here."""

    def __init__(self, source: BinaryIO, target: BinaryIO, settings: Mapping[str, int]) -> None:
        self.settings = RemoteSettings(**settings)
        self._source = source
        self._target = target

    @contextmanager
    def open(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Iterator[RemoteReply]:
        """See `Fetcher.open`."""
        asked = {"ask": "open", "url": url, "method": method, "headers": dict(headers or {}), "has_body": body is not None}
        head = self.ask(asked, body or b"")[0]
        yield RemoteReply(head["url"], head["status"], HTTPHeaderDict([tuple(pair) for pair in head["headers"]]), remote=self)

    def stop_at_bot_page(self, reply: RemoteReply, body: bytes) -> None:
        """See `Fetcher.stop_at_bot_page`."""
        if found := challenge(reply.status, reply.headers, body):
            self.refused_as_robot(reply.url, found, reply.status)

    def refused_as_robot(self, url: str, found: str, status: int = 200) -> None:
        """See `Fetcher.refused_as_robot`."""
        self.ask({"ask": "robot", "url": url, "found": found, "status": status})

    def ask(self, message: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """Sends one request to the parent and returns its answer. Raises the CrawlError that the parent met; exits if it is gone."""
        send(self._target, message, body)
        answer = receive(self._source)
        if answer is None:
            _gone()
        if "error" in answer[0]:
            raise error_of(answer[0])
        return answer


def _gone() -> NoReturn:
    raise SystemExit(0)
