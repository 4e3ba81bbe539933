"""Parses documents of strangers (pages, feeds, playlists) in a separate process with limits of time and memory.

Parsers are C code and regular expressions that Python cannot interrupt, and some inputs hang or crash them. The process is
started when first needed and reused; the kernel ends one that uses too much CPU time, and the next document gets another. It
receives bytes and returns JSON: nothing from it is executed or unpickled here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from voxmill.operators.crawl.facts.crawl_errors import CrawlError, Limit, Unreadable
from voxmill.operators.crawl.fetch.fetcher import Fetcher
from voxmill.operators.crawl.fetch.response import Reply
from voxmill.operators.crawl.listing.document import ParsedDocument, RawDocument, unpacked
from voxmill.operators.crawl.listing.reader_messages import error_fields, error_of, receive, send


class SandboxedReader:
    """`SandboxedReader(fetcher, seconds)(document)`. Requests that the document leads to are made by `fetcher` in this process."""

    def __init__(self, fetcher: Fetcher, seconds: float) -> None:
        self._fetcher = fetcher
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, given: RawDocument) -> ParsedDocument:
        """What the document lists. Raises a CrawlError: Limit where reading took too long, Unreadable where it failed."""
        process = self._process or self._start()
        settings = {"retries": self._fetcher.settings.retries, "max_page_bytes": self._fetcher.settings.max_page_bytes}
        fields = {key: value for key, value in asdict(given).items() if key != "body"}
        seconds = self._seconds * (1 if given.kind in ("page", "playlist") else 6)
        message, body = {"given": fields, "settings": settings, "seconds": seconds}, given.body
        with ExitStack() as open_replies:
            asked = _Asked(self._fetcher, open_replies)
            while True:
                answer = self._exchange(process, message, body, seconds, given.url)
                if "document" in answer[0]:
                    return unpacked(answer[0]["document"])
                if "error" in answer[0]:
                    raise error_of(answer[0])
                message, body = asked.serve(*answer)

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self._process is not None:
            process, self._process = self._process, None
            _stop(process)

    def _exchange(
        self, process: subprocess.Popen[bytes], message: Mapping[str, Any], body: bytes, seconds: float, url: str
    ) -> tuple[dict[str, Any], bytes]:
        """Sends one message and returns the answer. Raises Limit or Unreadable after the process is killed."""
        assert process.stdin
        assert process.stdout
        late = threading.Event()
        deadline = self._fetcher.deadline
        patience = 10 * seconds if deadline is None else max(0.1, min(10 * seconds, deadline - time.monotonic()))

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(patience, end)
        timer.daemon = True
        timer.start()
        try:
            send(process.stdin, dict(message), body)
            answer = receive(process.stdout)
        except (OSError, ValueError):
            answer = None
        finally:
            timer.cancel()
        if answer is None or late.is_set():
            self.close()
            if late.is_set() or process.returncode == -signal.SIGXCPU:
                raise Limit(f"reading it takes more than {seconds:.0f} s: {url}")
            raise Unreadable(f"its reader broke on it: {url}")
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            [sys.executable, "-m", "voxmill.operators.crawl.listing.reader_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        weakref.finalize(self, _stop, process)
        self._process = process
        return process


class _Asked:
    """Serves the requests of the process, with one response open at a time."""

    def __init__(self, fetcher: Fetcher, replies: ExitStack) -> None:
        self._fetcher = fetcher
        self._replies = replies
        self._reply: Reply | None = None
        self._blocks: Iterator[bytes] | None = None

    def serve(self, message: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        try:
            if message["ask"] == "open":
                return self._open(message, body), b""
            if message["ask"] == "block":
                return {}, self._block(message["limit"])
            self._fetcher.refused_as_robot(message["url"], message["found"], message["status"])
            return {}, b""
        except CrawlError as error:
            return error_fields(error), b""

    def _open(self, message: Mapping[str, Any], body: bytes) -> dict[str, Any]:
        self._replies.close()
        sent = body if message["has_body"] else None
        ask = self._fetcher.open(message["url"], method=message["method"], headers=message["headers"], body=sent)
        reply = self._replies.enter_context(ask)
        self._reply, self._blocks = reply, None
        return {"url": reply.url, "status": reply.status, "headers": list(reply.headers.items())}

    def _block(self, limit: int) -> bytes:
        if self._reply is None:
            return b""
        if self._blocks is None:
            self._blocks = self._reply.blocks(limit)
        return next(self._blocks, b"")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Closes the pipes, at which an idle process ends; a busy one is killed after half a second."""
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if pipe:
                pipe.close()
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
