"""The process that reads documents for `sandboxed_reader.py`: `python -m voxmill.operators.crawl.listing.reader_process`.

It has no way to a network but through its parent, and little memory. Messages are a line of JSON (`"bytes"`: how many follow it).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import sys
from typing import IO, Any

from voxmill.operators.crawl.facts.crawl_errors import CrawlError, HttpError
from voxmill.operators.crawl.listing.document import packed
from voxmill.operators.crawl.listing.read_document import Given, read_document
from voxmill.operators.crawl.listing.remote_fetcher import Remote

MEMORY = 4 * 1024**3
"""Bytes of address space."""


def send(stream: IO[bytes], message: dict[str, Any], body: bytes = b"") -> None:
    stream.write(json.dumps({**message, "bytes": len(body)}).encode() + b"\n")
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """None where the other side is gone."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    message: dict[str, Any] = json.loads(line)
    body = stream.read(message["bytes"])
    return (message, body) if len(body) == message["bytes"] else None


def error_fields(error: CrawlError) -> dict[str, Any]:
    return {"error": type(error).__name__, "detail": error.detail, "status": getattr(error, "status", 0)}


def error_of(fields: dict[str, Any]) -> CrawlError:
    from voxmill.operators.crawl.facts import crawl_errors as errors

    kind: type[CrawlError] = getattr(errors, fields["error"])
    return kind(fields["detail"], fields["status"]) if issubclass(kind, HttpError) else kind(fields["detail"])


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is no answer
    _limit(resource.RLIMIT_AS, MEMORY)
    _limit(resource.RLIMIT_CORE, 0)
    while request := receive(sys.stdin.buffer):
        message, body = request
        _limit(resource.RLIMIT_CPU, math.ceil(_used() + message["seconds"]))
        given = Given(**{**message["given"], "body": body})
        try:
            send(answers, {"document": packed(read_document(given, Remote(sys.stdin.buffer, answers, message["settings"])))})
        except CrawlError as error:
            send(answers, error_fields(error))
        except MemoryError:
            send(answers, {"error": "Limit", "detail": f"reading it needs more than {MEMORY >> 20} MB", "status": 0})
        except Exception as error:  # noqa: BLE001 - whatever a parser makes of bytes from anywhere is a fact about them
            send(answers, {"error": "Unreadable", "detail": f"{type(error).__name__}: {error}"[:300], "status": 0})


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _limit(what: int, value: int) -> None:
    """The soft limit; not every system has every one."""
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


if __name__ == "__main__":
    main()
