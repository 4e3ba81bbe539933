"""One HTTP exchange over a connection whose address was checked: no redirects, no retries, no proxy, no cookies."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from http.client import HTTPException
from typing import Any

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection
from urllib3.util.ssl_ import create_urllib3_context

from voxmill.operators.crawl.facts.crawl_errors import NetworkError, Unsupported
from voxmill.operators.crawl.fetch.address import AddressPolicy, Resolve, resolve_by_system

MAX_ADDRESSES = 4
"""Addresses of one host that are tried before it counts as unreachable."""


class Transport:
    """Pooled connections to checked addresses, for any number of threads. `timeout` (s) bounds the connection, the headers and each wait

    for bytes; `hosts` is to how many hosts connections are kept.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        timeout: float,
        resolve: Resolve = resolve_by_system,
        ca_file: str | None = None,
        hosts: int = 32,
    ) -> None:
        self._timeout = timeout
        self._pools = PoolManager(num_pools=max(32, hosts), maxsize=4, ssl_context=_tls(ca_file))
        self._pools.pool_classes_by_scheme = _pool_classes(policy, resolve)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> BaseHTTPResponse:
        """The response with its body unread; the caller closes it.

        Raises PrivateAddress, NetworkError, Unsupported.
        """
        try:
            return self._pools.request(
                method,
                url,
                headers=headers,
                body=body,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=Timeout(connect=self._timeout, read=self._timeout),
            )
        except LocationParseError as error:
            raise Unsupported(f"no valid address: {error}") from error
        except (HTTPError, HTTPException, OSError, UnicodeError) as error:
            raise NetworkError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Closes all pooled connections."""
        self._pools.clear()


@lru_cache
def _tls(ca_file: str | None) -> ssl.SSLContext:
    """The system's certificates and certifi's: a bare machine may have only the second."""
    context = create_urllib3_context()
    context.load_default_certs()
    with contextlib.suppress(ImportError):
        import certifi

        context.load_verify_locations(certifi.where())
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _pool_classes(policy: AddressPolicy, resolve: Resolve) -> dict[str, Any]:
    """urllib3's pools, their connections dialled by `_dial`. TLS and the Host header still see the host's name."""

    class PlainConnection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _dial(self, policy, resolve)

        def getresponse(self) -> Any:
            with _hang_up(self.sock, self.timeout):
                return super().getresponse()

    class SecureConnection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _dial(self, policy, resolve)

        def getresponse(self) -> Any:
            with _hang_up(self.sock, self.timeout):
                return super().getresponse()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": PlainPool, "https": SecurePool}


def _dial(conn: HTTPConnection, policy: AddressPolicy, resolve: Resolve) -> socket.socket:
    """A socket to the first checked address that answers. Addresses are literals here: nothing is looked up again."""
    host, port = conn._dns_host, conn.port or conn.default_port
    try:
        addresses = policy.check(host, port, resolve(host, port))
    except (socket.gaierror, UnicodeError) as error:
        raise NameResolutionError(host, conn, socket.gaierror(str(error))) from error
    fault: OSError = OSError(f"{host} has no address")
    for address in addresses[:MAX_ADDRESSES]:
        try:
            return create_connection((address, port), conn.timeout, socket_options=conn.socket_options)
        except OSError as error:
            fault = error
    if isinstance(fault, TimeoutError):
        raise ConnectTimeoutError(conn, f"{host} does not answer within {conn.timeout} s") from fault
    raise NewConnectionError(conn, f"{host}: {fault}") from fault


@contextlib.contextmanager
def _hang_up(sock: socket.socket | None, seconds: Any) -> Iterator[None]:
    """Closes the connection after `seconds`: a socket time-out restarts with every byte.

    Raises TimeoutError then: headers that were cut off would otherwise pass for whole ones.
    """
    if sock is None or not isinstance(seconds, (int, float)):
        yield
        return
    late = threading.Event()
    timer = threading.Timer(float(seconds), _shutdown, (sock, late))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if late.is_set():
        raise TimeoutError(f"the headers did not end within {seconds} s")


def _shutdown(sock: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # of the plain socket: an SSLSocket's own is not safe here
