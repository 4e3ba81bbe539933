"""The sandboxed process that parses documents for `sandboxed_reader.py`: `python -m voxmill.operators.crawl.listing.reader_process`.

It reaches a network only by asking its parent, and its memory and CPU time are limited.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import sys

from voxmill.operators.crawl.facts.crawl_errors import CrawlError
from voxmill.operators.crawl.listing.document import RawDocument, packed
from voxmill.operators.crawl.listing.read_document import read_document
from voxmill.operators.crawl.listing.reader_messages import error_fields, receive, send
from voxmill.operators.crawl.listing.remote_fetcher import Remote

MEMORY = 4 * 1024**3
"""Bytes of address space."""


def main() -> None:
    """Reads documents from standard input until it closes, and writes what they list, or an error, to standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is no answer
    _limit(resource.RLIMIT_AS, MEMORY)
    _limit(resource.RLIMIT_CORE, 0)
    while request := receive(sys.stdin.buffer):
        message, body = request
        _limit(resource.RLIMIT_CPU, math.ceil(_used() + message["seconds"]))
        given = RawDocument(**{**message["given"], "body": body})
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
    """Sets a soft limit, where the system has it."""
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


if __name__ == "__main__":
    main()
