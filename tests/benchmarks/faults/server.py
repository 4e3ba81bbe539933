"""A web server that misbehaves on request: hosts on ports of their own, each path answered by a function that holds the socket."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.client import parse_headers

OURS, INSIDE = "127.0.0.1", "127.0.0.2"
"""The address that the benchmark's config allows, and a private one that it does not: nothing may ever ask there."""

RULES = ("/robots.txt", "/.well-known/tdmrep.json")
"""Where a site says what may be done with it."""


@dataclass
class Exchange:
    """One request, and the connection to answer it on, byte by byte if need be."""

    host: Host
    path: str
    headers: Message
    number: int
    """How often this path has been asked for by now, this time included."""
    connection: socket.socket

    def send(self, raw: bytes) -> None:
        self.connection.sendall(raw)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """The status line and the headers; the body is the caller's."""
        reason = HTTPStatus(status).phrase
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{k}: {v}" for k, v in headers.items()), "Connection: close", "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))

    def wait(self, seconds: float) -> bool:
        """Sleeps; False where the server is stopping and there is no use in going on."""
        return not self.host.stopping.wait(seconds)

    def reset(self) -> None:
        """Breaks the connection as a crashed peer does: without a goodbye."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


Behaviour = Callable[[Exchange], None]


@dataclass
class Host:
    """One origin. Paths without a behaviour get `otherwise`, or 404."""

    address: str
    port: int
    stopping: threading.Event
    paths: dict[str, Behaviour] = field(default_factory=dict)
    otherwise: Behaviour | None = None
    asked: Counter[str] = field(default_factory=Counter)
    """Requests by path."""
    forbidden: set[str] = field(default_factory=set)
    """Paths that must not be asked for."""
    most: int | None = None
    """How many requests there may be, those for the rules of the site not counted."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def at(self, path: str, behaviour: Behaviour, *, forbidden: bool = False) -> str:
        """Puts a behaviour at a path; returns its URL."""
        self.paths[path] = behaviour
        self.forbidden |= {path} if forbidden else set()
        return self.url + path

    def serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as stream:
            words = stream.readline(65536).decode("latin-1").split()
            if len(words) != 3:
                return
            with self.lock:
                self.asked[words[1]] += 1
                number = self.asked[words[1]]
            exchange = Exchange(self, words[1], parse_headers(stream), number, connection)
            behaviour = self.paths.get(words[1]) or (None if words[1] in RULES else self.otherwise) or _missing
            behaviour(exchange)


def _missing(exchange: Exchange) -> None:
    exchange.head(404, {"Content-Length": "9"})
    exchange.send(b"not here\n")


@dataclass
class Site:
    """Hosts that come and go together."""

    stopping: threading.Event = field(default_factory=threading.Event)
    hosts: list[Host] = field(default_factory=list)
    servers: list[socketserver.BaseServer] = field(default_factory=list)

    def host(self, address: str = OURS, port: int = 0) -> Host:
        """A new origin on a port of its own: what one input does to its host concerns no other."""
        host = Host(address, port, self.stopping)
        server = _Server((address, port), host)
        host.port = server.server_address[1]
        self.hosts.append(host)
        self.servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return host

    def twin(self, host: Host) -> Host:
        """The same port at the private address: where a name leads that changes its mind."""
        return self.host(INSIDE, host.port)

    def trespasses(self) -> list[str]:
        """What was asked for though it is private or forbidden: should be nothing."""
        found = [f"{h.url}{path}" for h in self.hosts for path in h.asked if h.address == INSIDE or path in h.forbidden]
        for host in self.hosts:
            asked = sum(count for path, count in host.asked.items() if path not in RULES)
            found += (
                [f"{host.url}: {asked} requests, {host.most} at most"] if host.most is not None and asked > host.most else []
            )
        return found


@contextmanager
def site() -> Iterator[Site]:
    served = Site()
    try:
        yield served
    finally:
        served.stopping.set()
        for server in served.servers:
            server.shutdown()
            server.server_close()


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], host: Host) -> None:
        self.host = host
        super().__init__(address, socketserver.BaseRequestHandler)

    def finish_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self.host.serve(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news here."""
