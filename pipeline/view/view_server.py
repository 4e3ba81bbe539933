"""The page of a run on 127.0.0.1: its files, questions as GET, and one POST, which marks a segment.

Who may ask: addresses have a random part that only the printed link knows; the Host header must name this machine, so that no web site
can rebind its own name to it; and a mark must come from the page itself. The page may load nothing from anywhere else.
"""

from __future__ import annotations

import json
import secrets
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from voxmill.manifests.errors import UserError
from voxmill.pipeline.reports.stats import for_json
from voxmill.pipeline.view.answers import Viewer
from voxmill.pipeline.view.listening import mark
from voxmill.pipeline.view.page_files import FILES, page_file
from voxmill.pipeline.view.run_view import no_place

HOST = "127.0.0.1"
LONGEST_BODY = 100_000
"""Bytes of a POST."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; media-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class ViewServer(ThreadingHTTPServer):
    """Serves one run (or two) until it is shut down. `port` 0 takes a free one. Raises OSError where the port is taken."""

    daemon_threads = True

    def __init__(self, viewer: Viewer, port: int = 0) -> None:
        self.viewer = viewer
        self.path = f"/{secrets.token_urlsafe(12)}/"
        super().__init__((HOST, port), _Handler)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.server_port}{self.path}"

    @property
    def names(self) -> set[str]:
        """Host headers that are answered."""
        return {f"{HOST}:{self.server_port}", f"localhost:{self.server_port}"}


class _Handler(BaseHTTPRequestHandler):
    server: ViewServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """A file of the page, an answer, or a clip."""
        if (name := self._name()) is None:
            return
        params = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        try:
            if name.startswith("api/audio"):
                self._send(HTTPStatus.OK, self.server.viewer.sound(params), "audio/flac")
            elif name.startswith("api/"):
                self._json(HTTPStatus.OK, self.server.viewer.answer(name.removeprefix("api/"), params))
            elif (file := name or "index.html") in FILES:
                self._send(HTTPStatus.OK, page_file(file, live=True), FILES[file])
            else:
                self._refuse(HTTPStatus.NOT_FOUND, "there is no such file")
        except (UserError, ValueError) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, no_place(str(error)))
        except BrokenPipeError:
            self.close_connection = True
        except Exception as error:  # noqa: BLE001 - a page that asks in vain says so, and the server goes on
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, no_place(f"{type(error).__name__}: {error}"))

    def do_POST(self) -> None:
        """A mark."""
        if (name := self._name()) is None:
            return
        length = self.headers.get("Content-Length", "")
        if name != "api/mark":
            self._refuse(HTTPStatus.NOT_FOUND, "nothing is posted there")
        elif self.headers.get("Origin") not in {f"http://{host}" for host in self.server.names}:
            self._refuse(HTTPStatus.FORBIDDEN, "a mark comes from the page itself")
        elif self.headers.get_content_type() != "application/json" or not length.isdecimal() or int(length) > LONGEST_BODY:
            self._refuse(HTTPStatus.BAD_REQUEST, f"a mark is JSON of at most {LONGEST_BODY} bytes")
        else:
            try:
                asked = json.loads(self.rfile.read(int(length)))
                if not isinstance(asked, dict):
                    raise UserError("a mark is a JSON object")
                self._json(HTTPStatus.OK, for_json(mark(self.server.viewer.view, self.server.viewer.marks, asked)))
            except (UserError, ValueError) as error:
                self._refuse(HTTPStatus.BAD_REQUEST, no_place(str(error)))
            except OSError as error:
                self._refuse(
                    HTTPStatus.INTERNAL_SERVER_ERROR, f"the mark is not kept: {error.strerror}; --marks names another folder"
                )

    def _name(self) -> str | None:
        """What is asked for, below the random part; None where it was refused."""
        if self.headers.get("Host") not in self.server.names:
            self._refuse(HTTPStatus.FORBIDDEN, "this page is for this machine alone")
            return None
        path = urlsplit(self.path).path
        if not secrets.compare_digest(path[: len(self.server.path)].encode(), self.server.path.encode()):
            self._refuse(HTTPStatus.NOT_FOUND, "open the address that `voxmill view` printed")
            return None
        return path[len(self.server.path) :]

    def _json(self, status: HTTPStatus, value: Any) -> None:
        self._send(status, json.dumps(value, ensure_ascii=False).encode(), "application/json")

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self.close_connection = True  # what else was sent with the request is not read
        self._json(status, {"error": why})

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind if kind.startswith("audio") else f"{kind}; charset=utf-8")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Nothing of what runs here."""
        return "voxmill"

    def log_message(self, *told: Any) -> None:
        """Nothing: addresses hold the random part."""
