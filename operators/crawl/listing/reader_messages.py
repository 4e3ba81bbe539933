"""Messages between `sandboxed_reader.py` and the process it starts: a line of JSON, and as many bytes as its `"bytes"` says."""

from __future__ import annotations

import json
from typing import IO, Any

from voxmill.operators.crawl.facts import crawl_errors
from voxmill.operators.crawl.facts.crawl_errors import CrawlError, HttpError


def send(stream: IO[bytes], message: dict[str, Any], body: bytes = b"") -> None:
    """Writes one message with its body."""
    stream.write(json.dumps({**message, "bytes": len(body)}).encode() + b"\n")
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """The next message and its body; None where the other side is gone."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    message: dict[str, Any] = json.loads(line)
    body = stream.read(message["bytes"])
    return (message, body) if len(body) == message["bytes"] else None


def error_fields(error: CrawlError) -> dict[str, Any]:
    """An error as JSON types; `error_of` is the inverse."""
    return {"error": type(error).__name__, "detail": error.detail, "status": getattr(error, "status", 0)}


def error_of(fields: dict[str, Any]) -> CrawlError:
    """The error that `error_fields` described."""
    kind: type[CrawlError] = getattr(crawl_errors, fields["error"])
    return kind(fields["detail"], fields["status"]) if issubclass(kind, HttpError) else kind(fields["detail"])
