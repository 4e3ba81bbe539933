"""A web server on 127.0.0.1 that does what it is told, honest or not, and remembers every request."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TypeAlias
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""
    at: float = field(default=0.0, compare=False)
    """When it came, in seconds of `time.monotonic`."""


@dataclass(frozen=True)
class Answer:
    """What is sent, and how."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    """Content-Length as claimed; None: the truth, negative: none at all."""
    cut: int | None = None
    """The connection drops after so many bytes of the body."""
    pause: float = 0.0
    """Seconds before the answer."""
    drip: float = 0.0
    """Seconds between single bytes of the body."""
    stall: float = 0.0
    """Seconds of silence after the body: with a `length` beyond it, the rest is never sent."""
    header_drip: float = 0.0
    """Seconds between single bytes of the headers."""
    ranges: bool = False
    """Honours Range, and names an ETag."""


Route: TypeAlias = Answer | Callable[[Asked], Answer]


def redirect(location: str, status: int = 302) -> Answer:
    return Answer(status=status, headers={"Location": location})


def html(text: str, **headers: str) -> Answer:
    return Answer(text.encode(), headers={"Content-Type": "text/html; charset=utf-8", **_names(headers)})


def typed(body: bytes | str, content_type: str, **headers: str) -> Answer:
    return Answer(body.encode() if isinstance(body, str) else body, headers={"Content-Type": content_type, **_names(headers)})


def in_turn(*answers: Answer) -> Callable[[Asked], Answer]:
    """The first answer to the first request, and so on; the last one stays."""
    left = list(answers)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


class Website:
    """`with Website({"/a.mp3": Answer(b"...")}) as site:`; what is not in `routes` is 404."""

    def __init__(self, routes: Mapping[str, Route] | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.routes: dict[str, Route] = dict(routes or {})
        self.log: list[Asked] = []
        self.most_at_once = 0
        """Most requests that were being answered at one time."""
        self._busy = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.site = self
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.port = self._server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"

    def __enter__(self) -> Website:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def asked(self, path: str | None = None) -> list[Asked]:
        with self._lock:
            return [asked for asked in self.log if path is None or asked.path == path]

    def paths(self, *, rules: bool = False) -> list[str]:
        """Paths in the order they were asked for; without robots.txt and tdmrep.json unless `rules`."""
        hidden = () if rules else ("/robots.txt", "/.well-known/tdmrep.json")
        return [asked.path for asked in self.asked() if asked.path not in hidden]

    @contextmanager
    def busy(self) -> Iterator[Callable[[], None]]:
        """While a request is being answered, or until its client has hung up, or the answer calls what this yields: before its last bytes."""
        left = [1]

        def leave() -> None:
            with self._lock:
                self._busy -= left.pop() if left else 0

        with self._lock:
            self._busy += 1
            self.most_at_once = max(self.most_at_once, self._busy)
        try:
            yield leave
        finally:
            leave()

    def note(self, asked: Asked) -> Answer:
        with self._lock:
            self.log.append(asked)
        route = self.routes.get(asked.path) or self.routes.get(urlsplit(asked.path).path)
        if route is None:
            return Answer(b"not here", 404, {"Content-Type": "text/plain"})
        return route if isinstance(route, Answer) else route(asked)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    site: Website

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every second write waits 40 ms for an acknowledgement
    server: _Server

    def do_GET(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, self.rfile.read(size) if size else b"", time.monotonic())
        with self.server.site.busy() as leave:
            self._send(asked, self.server.site.note(asked), leave)

    do_HEAD = do_POST = do_GET

    def _send(self, asked: Asked, answer: Answer, leave: Callable[[], None]) -> None:
        time.sleep(answer.pause)
        status, body, headers = answer.status, answer.body, dict(answer.headers)
        if answer.ranges:
            status, body, headers = _part(asked, body, headers)
        if answer.length is None or answer.length >= 0:
            headers["Content-Length"] = str(len(body) if answer.length is None else answer.length)
        else:
            self.close_connection = True
        lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        if not answer.drip:
            leave()  # its client may begin the next request before this thread has another turn
        self._write("\r\n".join(lines).encode("latin-1"), answer.header_drip)
        if asked.method != "HEAD":
            self._write(body if answer.cut is None else body[: answer.cut], answer.drip)
        time.sleep(answer.stall)
        if answer.cut is not None or (answer.length or 0) > len(body):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _write(self, data: bytes, drip: float) -> None:
        if not drip:
            self.wfile.write(data)
            return
        for i in range(len(data)):
            self.wfile.write(data[i : i + 1])
            time.sleep(drip)

    def log_message(self, format: str, *args: object) -> None:
        """`Website.log` says it all."""


def _part(asked: Asked, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
    tag = headers.setdefault("ETag", f'"{hashlib.sha256(body).hexdigest()[:12]}"')
    wanted = asked.headers.get("range", "")
    if not wanted or asked.headers.get("if-range", tag) != tag:
        return 200, body, headers
    start = int(wanted.removeprefix("bytes=").split("-")[0])
    if start >= len(body):
        return 416, b"", {**headers, "Content-Range": f"bytes */{len(body)}"}
    return 206, body[start:], {**headers, "Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}


def _names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
