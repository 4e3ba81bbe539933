"""One address to one file: streamed, hashed on the way, resumed where a transfer broke off.

`<name>.part` holds the bytes so far and `<name>.part.json` what they belong to. Only a server that can prove, by ETag or
Last-Modified and If-Range, that it still has the same bytes is asked for the rest of them; any other starts again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from itertools import chain
from pathlib import Path
from typing import IO, BinaryIO

from voxmill.manifests.ids import digest
from voxmill.manifests.public_form import public_address, public_text, secrets_of
from voxmill.manifests.secret_patterns import sure_name
from voxmill.operators.crawl.facts.crawl_errors import (
    Blocked,
    BrokenBody,
    BudgetSpent,
    CrawlError,
    HttpError,
    NetworkError,
    TooLarge,
    Unsupported,
)
from voxmill.operators.crawl.fetch.fetcher import Fetcher
from voxmill.operators.crawl.fetch.response import Reply

RESUMABLE = (NetworkError, HttpError, Blocked, BudgetSpent)
"""Errors after which the part file is kept, to be resumed."""

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class ResponseFacts:
    """Facts of an HTTP response for records and evidence, without secrets. A resumed transfer gives the same as an undisturbed one."""

    final_url: str
    content_type: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    link: str | None = None
    """The Link header, which may hold a licence."""
    permission: str | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    """All response headers except cookies and tokens: evidence, not part of a record."""

    @classmethod
    def of(cls, reply: Reply) -> ResponseFacts:
        """The facts of a response."""
        get = reply.headers.get
        link = get("link")
        return cls(
            public_address(reply.url),
            reply.content_type or None,
            get("etag"),
            get("last-modified"),
            public_text(link) if link else link,
            public_text(reply.permission, secrets_of(reply.url)),  # of an address it has the path alone
            reply.status,
            {name.lower(): public_text(value) for name, value in reply.headers.items() if not sure_name(name)},
        )

    @property
    def validator(self) -> str | None:
        """The value for If-Range: a strong ETag, else Last-Modified."""
        return self.etag if self.etag and self.etag.startswith('"') else self.last_modified


@dataclass(frozen=True, slots=True)
class Download:
    """A finished transfer."""

    sha256: str
    num_bytes: int
    facts: ResponseFacts
    resumed_at: int = 0
    """Bytes that were there from an earlier attempt."""


def download(fetcher: Fetcher, url: str, part: BinaryIO, limit: int) -> Download:
    """Fetches `url` into the open file `part`, resuming after what it already holds (RFC 9110 range requests).

    Raises a CrawlError; `part` keeps what came, and its notes allow the next attempt to resume.
    """
    for attempt in range(fetcher.settings.retries + 1):
        try:
            return _attempt(fetcher, url, part, limit)
        except BrokenBody:
            if attempt == fetcher.settings.retries:
                raise
            fetcher.pause(attempt)
    raise AssertionError("unreachable")


@contextlib.contextmanager
def part_file(folder: Path, name: str) -> Iterator[BinaryIO]:
    """Opens `<name>.part` for reading and writing under a lock; while another process holds it, a fresh file of our own.

    What it holds is kept for the next attempt, unless the error makes one pointless (not in `RESUMABLE`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        path = folder / f"{name}.part"
        file = stack.enter_context(_open(path))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            path = folder / f"{name}.{os.getpid()}.part"
            file = stack.enter_context(_open(path))
            stack.callback(discard, path)
        try:
            yield file
        except RESUMABLE:
            if file.seek(0, os.SEEK_END) == 0:
                discard(path)
            raise
        except CrawlError:
            discard(path)
            raise


def discard(path: Path) -> None:
    """Removes a part file and its notes."""
    path.unlink(missing_ok=True)
    _notes(path).unlink(missing_ok=True)


def sha256_of(file: IO[bytes]) -> str:
    """SHA-256 of the whole file, from its start."""
    file.seek(0)
    hasher = hashlib.sha256()
    while block := file.read(_BLOCK):
        hasher.update(block)
    return hasher.hexdigest()


def _attempt(fetcher: Fetcher, url: str, part: BinaryIO, limit: int) -> Download:
    path = Path(part.name)
    size, noted = part.seek(0, os.SEEK_END), _read_notes(path, url)
    headers = {}
    if size and noted and noted.validator:
        headers = {"Range": f"bytes={size}-", "If-Range": noted.validator}
    with fetcher.open(url, headers=headers) as reply:
        start, total = content_range(reply)
        if noted and reply.status == 416 and total == size:
            return Download(sha256_of(part), size, noted, size)  # the part file was complete already
        if reply.status == 416 or (reply.status == 206 and start != size):
            part.truncate(0)
            raise BrokenBody(f"{reply.url} answers {reply.status} to a range that it offered")
        if not (noted and reply.status == 206):
            part.truncate(0)
            size, noted = 0, ResponseFacts.of(reply)
            if "content-encoding" in reply.headers or "bytes" not in reply.headers.get("accept-ranges", "bytes"):
                _notes(path).unlink(missing_ok=True)
            else:
                _notes(path).write_text(json.dumps({"of": digest([url]), **asdict(noted)}))
        elif total is not None and total > limit:
            raise TooLarge(f"{total} bytes at {reply.url}, the limit is {limit}")
        hasher = hashlib.sha256()
        part.seek(0)
        while block := part.read(_BLOCK):
            hasher.update(block)
        num_bytes = size
        try:
            for block in _media_only(fetcher, reply, reply.blocks(limit - size)):
                hasher.update(block)
                num_bytes += part.write(block)
        finally:
            part.flush()
    return Download(hasher.hexdigest(), num_bytes, noted, size)


def _media_only(fetcher: Fetcher, reply: Reply, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks; raises Blocked where they are a bot challenge, Unsupported where they are another web page."""
    if "html" in reply.content_type:
        first = next(blocks, b"")
        if first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            fetcher.stop_at_bot_page(reply, first)
            raise Unsupported(f"a web page, not media, at {reply.url}: list it with `kind: page`")
        blocks = chain([first], blocks)
    return blocks


def content_range(reply: Reply) -> tuple[int | None, int | None]:
    """Start and total of the Content-Range header; None where one is not given."""
    match = _CONTENT_RANGE.fullmatch(reply.headers.get("content-range", "").strip())
    if not match:
        return None, None
    return (int(match[1]) if match[1] else None), (int(match[2]) if match[2] != "*" else None)


def _open(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    os.close(descriptor)
    return open(path, "r+b")


def _notes(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _read_notes(path: Path, url: str) -> ResponseFacts | None:
    try:
        noted = json.loads(_notes(path).read_text())
    except (OSError, ValueError):
        return None
    known = {f.name for f in fields(ResponseFacts)}
    return ResponseFacts(**{k: v for k, v in noted.items() if k in known}) if noted.get("of") == digest([url]) else None
