"""The ways to answer a request badly (and the one good way), each a function of the open connection."""

from __future__ import annotations

import gzip
import re

from benchmarks.faults.server import Behaviour, Exchange, Host


def body(content: bytes, content_type: str = "audio/wav", status: int = 200, **headers: str) -> Behaviour:
    """A whole, honest answer. Header names are written with underscores."""

    def answer(exchange: Exchange) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        exchange.head(status, {"Content-Type": content_type, "Content-Length": str(len(content)), **named})
        exchange.send(content)

    return answer


def status(code: int, **headers: str) -> Behaviour:
    return body(b"no\n", "text/plain", code, **headers)


def redirect(to: str) -> Behaviour:
    return status(302, Location=to)


def at_first(times: int, bad: Behaviour, good: Behaviour) -> Behaviour:
    """Bad so many times, then good."""
    return lambda exchange: (bad if exchange.number <= times else good)(exchange)


def deeper(exchange: Exchange) -> None:
    """A redirect to a path that was never seen before, and so on without end."""
    number = int(re.sub(r"\D", "", exchange.path) or 0)
    redirect(f"/deeper/{number + 1}")(exchange)


def elsewhere(hosts: list[Host]) -> Behaviour:
    """A redirect to the next host, at a new path, and so on without end."""

    def answer(exchange: Exchange) -> None:
        number = int(exchange.path.rpartition("/")[2]) + 1
        redirect(f"{hosts[number % len(hosts)].url}/hop/{number}")(exchange)

    return answer


def silence(exchange: Exchange) -> None:
    """Takes the request and says nothing."""
    while exchange.wait(0.5):
        exchange.send(b"")


def slow_head(exchange: Exchange) -> None:
    """Slow loris: headers that drip and never end."""
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nX-Drip: ")
    while exchange.wait(0.3):
        exchange.send(b"a")


def slow_body(content: bytes) -> Behaviour:
    """A body that drips: a byte comes within every time-out, and the whole would take hours."""

    def answer(exchange: Exchange) -> None:
        exchange.head(200, {"Content-Type": "audio/wav", "Content-Length": str(len(content))})
        for byte in content:
            if not exchange.wait(0.3):
                return
            exchange.send(bytes([byte]))

    return answer


def lies(content: bytes, declared: int) -> Behaviour:
    """Content-Length says `declared`, whatever is sent."""

    def answer(exchange: Exchange) -> None:
        exchange.head(200, {"Content-Type": "audio/wav", "Content-Length": str(declared)})
        exchange.send(content)

    return answer


def breaks(content: bytes, after: int) -> Behaviour:
    """The connection is reset in the middle of the transfer."""

    def answer(exchange: Exchange) -> None:
        exchange.head(200, {"Content-Type": "audio/wav", "Content-Length": str(len(content)), "ETag": '"one"'})
        exchange.send(content[:after])
        exchange.wait(0.3)  # what was sent must arrive before the reset overtakes it
        exchange.reset()

    return answer


def resumes(content: bytes, after: int) -> Behaviour:
    """Breaks off the whole body; gives the rest to whoever asks for it by Range and If-Range."""

    def answer(exchange: Exchange) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", exchange.headers.get("Range", ""))
        if not wanted or exchange.headers.get("If-Range") != '"one"':
            breaks(content, after)(exchange)
            return
        start = int(wanted[1])
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        headers = {"Content-Range": span, "Content-Length": str(len(content) - start), "ETag": '"one"'}
        exchange.head(206, {"Content-Type": "audio/wav", **headers})
        exchange.send(content[start:])

    return answer


def endless(exchange: Exchange) -> None:
    """A body without a length and without an end."""
    exchange.head(200, {"Content-Type": "audio/wav"})
    while exchange.wait(0):
        exchange.send(b"\0" * 65536)


def inflates(num_bytes: int) -> Behaviour:
    """A small body that says it is compressed, and is zeros a thousand times its size."""
    packed = gzip.compress(b"\0" * num_bytes, 9)
    return body(packed, Content_Encoding="gzip")


def huge_header(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nX-Much: " + b"a" * 10_000_000 + b"\r\n\r\n")


def garbage(exchange: Exchange) -> None:
    exchange.send(bytes(range(256)) * 16)


def hangs_up(exchange: Exchange) -> None:
    """Closes the connection without a word."""
