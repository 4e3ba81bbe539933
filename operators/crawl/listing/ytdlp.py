"""yt-dlp with our fetcher as its only network. Import it late: yt-dlp is large.

It reads pages and playlists only: it opens no connection, starts no program, sends no cookies and does not change its user agent.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from yt_dlp import YoutubeDL
from yt_dlp.globals import all_plugins_loaded, plugin_dirs
from yt_dlp.networking.common import Request, RequestHandler, Response
from yt_dlp.networking.exceptions import HTTPError, TransportError

from voxmill.operators.crawl.facts.crawl_errors import BrokenBody, CrawlError, HttpError, NotFound
from voxmill.operators.crawl.fetch.fetcher import Fetcher
from voxmill.operators.crawl.fetch.response import Reply
from voxmill.operators.crawl.listing.remote_fetcher import Remote, RemoteReply

_HEADERS = ("accept", "accept-language", "content-type", "range", "referer")
"""Headers that an extractor may add to ours. No cookies, no credentials, no forged client address."""

_DOCUMENTS = ("text/", "html", "json", "xml", "mpegurl", "javascript")

_PROGRAM_STARTERS = ("-douyu.*", "-iqiyi", "-iq\\.com", "-pornhub.*")
"""Extractors that hand an address to a browser (PhantomJS), which would fetch it by itself."""

OPTIONS: dict[str, Any] = {
    "quiet": True,
    "no_warnings": True,
    "noprogress": True,
    "color": "never",
    "cachedir": False,
    "fixup": "never",
    "format": "ba[protocol^=http][protocol!*=dash]/ba[protocol^=m3u8]/b[protocol^=http][protocol!*=dash]"
    "/b[protocol^=m3u8][height<=480]/b[protocol^=m3u8]",
    "ignoreerrors": True,
    "allow_unplayable_formats": False,
    "allowed_extractors": ["default", *_PROGRAM_STARTERS],
    "updatetime": False,
    # The fetcher retries requests; yt-dlp, by `retries` below, only bodies that broke off.
    "extractor_retries": 0,
    # No evasion: no forged client address, no foreign cookies, no JavaScript engine to solve challenges with.
    "geo_bypass": False,
    "cookiesfrombrowser": None,
    "js_runtimes": {},
    "remote_components": (),
    "enable_file_urls": False,
}


class Log:
    """Logger for yt-dlp that keeps its errors."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def debug(self, message: str) -> None:
        """Ignored."""

    def info(self, message: str) -> None:
        """Ignored."""

    def warning(self, message: str) -> None:
        """Ignored."""

    def error(self, message: str) -> None:
        """Keeps the message."""
        self.errors.append(message.removeprefix("ERROR: "))


class FetchedYoutubeDL(YoutubeDL):  # type: ignore[misc]
    """A YoutubeDL whose only way to a network is `fetcher`. Plugins and config files are not read."""

    def __init__(self, fetcher: Fetcher | Remote, **options: Any) -> None:
        plugin_dirs.value = []
        all_plugins_loaded.value = True  # as far as yt-dlp is concerned
        self._fetcher = fetcher
        self.log = Log()
        super().__init__({**OPTIONS, "logger": self.log, "retries": fetcher.settings.retries, **options})
        self.handler: FetcherRH = self._request_director.handlers["Fetcher"]

    def build_request_director(self, handlers: Any, preferences: Any = None) -> Any:
        """Gives yt-dlp one request handler, ours."""
        director = super().build_request_director([])
        director.add_handler(FetcherRH(logger=self.log, fetcher=self._fetcher))
        return director


class FetcherRH(RequestHandler):  # type: ignore[misc]
    """yt-dlp's requests, made by our fetcher. Documents are asked for once; media is streamed as it is read."""

    _SUPPORTED_URL_SCHEMES = ("http", "https")
    _SUPPORTED_PROXY_SCHEMES = None
    _SUPPORTED_FEATURES = None

    def __init__(self, *, fetcher: Fetcher | Remote, **options: Any) -> None:
        super().__init__(**options)
        self.faults: list[CrawlError] = []
        """Why requests failed, in order."""
        self._fetcher = fetcher
        self._documents: dict[str, Reply | RemoteReply] = {}
        self._failed: dict[str, CrawlError] = {}
        """What the fetcher gave up on is not tried again."""
        self._open = ExitStack()

    def keep(self, url: str, reply: Reply | RemoteReply) -> None:
        """Remembers a document that was fetched already, so that it is not requested again."""
        self._documents[url] = reply

    def close(self) -> None:
        """Closes the response that is open."""
        self._open.close()

    def _check_extensions(self, extensions: dict[str, Any]) -> None:
        extensions.clear()  # cookies, impersonation, time-outs: asked for, and not given

    def _send(self, request: Request) -> Response:
        self._open.close()  # one request at a time: what was not read to its end is not going to be
        plain = request.method == "GET" and "Range" not in request.headers
        if plain and request.url in self._documents:
            return _response(self._documents[request.url])
        try:
            if request.url in self._failed:
                raise self._failed[request.url]
            reply = self._open.enter_context(self._ask(request))
            if plain and any(mark in reply.content_type for mark in _DOCUMENTS):
                reply.read(self._fetcher.settings.max_page_bytes)
                self._fetcher.stop_at_bot_page(reply, reply.content)  # type: ignore[arg-type]
                self.keep(request.url, reply)
                return _response(reply)
        except CrawlError as error:
            self.faults.append(error)
            if not isinstance(error, BrokenBody):
                self._failed[request.url] = error
            if isinstance(error, (NotFound, HttpError)):
                status = error.status if isinstance(error, HttpError) else 404
                raise HTTPError(Response(io.BytesIO(), request.url, {}, status)) from error
            raise TransportError(cause=error) from error
        return Response(io.BufferedReader(_Body(self._counted(reply))), reply.url, dict(reply.headers), reply.status)

    def _ask(self, request: Request) -> AbstractContextManager[Reply | RemoteReply]:
        headers = {k: v for k, v in request.headers.items() if k.lower() in _HEADERS}
        body = request.data if isinstance(request.data, bytes) or request.data is None else b"".join(request.data)
        return self._fetcher.open(request.url, method=request.method, headers=headers, body=body)

    def _counted(self, reply: Reply | RemoteReply) -> Iterator[bytes]:
        try:
            yield from reply.blocks(self._fetcher.settings.max_page_bytes)
        except CrawlError as error:
            self.faults.append(error)
            raise


class _Body(io.RawIOBase):
    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._blocks, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _response(reply: Reply | RemoteReply) -> Response:
    return Response(io.BytesIO(reply.content), reply.url, dict(reply.headers), reply.status)
