"""A static web server on 127.0.0.1 that understands Range and remembers every request."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

CONTENT_TYPES = {
    ".aac": "audio/aac",
    ".flac": "audio/flac",
    ".html": "text/html; charset=utf-8",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".ts": "video/mp2t",
    ".txt": "text/plain; charset=utf-8",
    ".wav": "audio/wav",
    ".xml": "application/rss+xml; charset=utf-8",
}
BASE = b"{{base}}"
"""In pages and feeds this stands for the site's own address, which is known only when it is served."""


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the log."""

    method: str
    path: str
    status: int
    num_bytes: int
    range: str | None
    user_agent: str | None


@dataclass
class Served:
    """A running site."""

    url: str
    """Without a trailing slash."""
    requests: list[Request] = field(default_factory=list)

    def requested(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]


@contextmanager
def serve(directory: Path, port: int = 0, log: Path | None = None) -> Iterator[Served]:
    """Serves `directory` on 127.0.0.1 from threads; port 0 picks a free one. `log` gets a JSON line for each request, appended."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler, bind_and_activate=False)
    server.daemon_threads = True
    server.server_bind()
    server.server_activate()
    served = Served(f"http://127.0.0.1:{server.server_address[1]}")
    stream = open(log, "a", encoding="utf8") if log else None  # noqa: SIM115 - closed below, after the last thread
    server.site = _Site(directory.resolve(), served, stream)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        if stream:
            stream.close()


@dataclass
class _Site:
    root: Path
    served: Served
    stream: IO[str] | None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def file(self, url_path: str) -> Path | None:
        """The file behind a path; None outside the root or where there is none."""
        path = (self.root / unquote(urlsplit(url_path).path).lstrip("/")).resolve()
        path = path / "index.html" if path.is_dir() else path
        return path if path.is_file() and path.is_relative_to(self.root) else None

    def note(self, request: Request) -> None:
        with self.lock:
            self.served.requests.append(request)
            if self.stream and not self.stream.closed:
                self.stream.write(json.dumps(asdict(request)) + "\n")
                self.stream.flush()


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """`[start, end)` of a Range header with one range; None for the whole body (RFC 9110, 14.1.2).

    Raises ValueError where no byte satisfies it.

    >>> byte_range("bytes=2-3", 10), byte_range("bytes=8-99", 10), byte_range("bytes=-4", 10), byte_range("bytes=0-1,4-5", 10)
    ((2, 4), (8, 10), (6, 10), None)
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header or "")
    if not match or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, end = max(size - int(match[2]), 0), size
    else:
        start, end = int(match[1]), min(int(match[2] or size) + 1, size)
    if start >= size or end <= start:
        raise ValueError(header)
    return start, end


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "demo-site"
    sys_version = ""

    def do_GET(self) -> None:
        site: _Site = self.server.site  # type: ignore[attr-defined]
        path = site.file(self.path)
        if path is None:
            return self._answer(HTTPStatus.NOT_FOUND, b"not here\n", {"Content-Type": "text/plain"})
        body = (
            path.read_bytes().replace(BASE, site.served.url.encode()) if path.suffix in {".html", ".xml"} else path.read_bytes()
        )
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {
            "Content-Type": CONTENT_TYPES.get(path.suffix, "application/octet-stream"),
            "ETag": tag,
            "Accept-Ranges": "bytes",
        }
        wanted = self.headers.get("Range") if self.headers.get("If-Range", tag) == tag else None
        try:
            part = byte_range(wanted, len(body))
        except ValueError:
            return self._answer(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", {"Content-Range": f"bytes */{len(body)}"})
        if part is None:
            return self._answer(HTTPStatus.OK, body, headers)
        start, end = part
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
        return self._answer(HTTPStatus.PARTIAL_CONTENT, body[start:end], headers)

    do_HEAD = do_GET

    def _answer(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        agent, asked = self.headers.get("User-Agent"), self.headers.get("Range")
        sent = 0 if self.command == "HEAD" else len(body)
        # noted before it is sent: whoever has the answer finds it in the log
        self.server.site.note(Request(self.command, self.path, int(status), sent, asked, agent))  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if sent:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The request log says it all; nothing on stderr."""
