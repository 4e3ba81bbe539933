"""The file object that libavformat reads through: it never raises inside libav, and keeps storage errors apart from decoding errors.

PyAV calls `read` and `seek` from C, where an exception cannot pass: it would come up in another call, or be printed and dropped.
So these answer as a C library expects: an impossible seek returns an error number, reading past the end returns nothing. A
storage error is kept, ends the reading, and is raised by the `with` block around the call into libav:

    with source:
        packet = next(packets, None)

Any other exception in such a block becomes `Broken`: libav or PyAV could not do it.
"""

from __future__ import annotations

import errno
import os
from types import TracebackType
from typing import IO

REREAD = 16
"""How many times its length a stretch may be read: a damaged index can make a demuxer loop."""

SLACK = 1 << 26
"""Bytes allowed beyond that, so that short files can be searched."""


class Broken(Exception):
    """libav, or PyAV around it, failed on the content of the file."""


class Undecodable(Exception):
    """The file does not hold what is asked of it; `reason` is one of `decode.*` or `frames.*`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class ByteSource:
    """Bytes `[begin, end)` of a file, as a file object of its own."""

    def __init__(self, raw: IO[bytes], begin: int, end: int) -> None:
        self._raw, self._begin = raw, begin
        self.num_bytes = end - begin
        self._place = 0
        self._left = REREAD * self.num_bytes + SLACK
        self._failed: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes (all for -1); empty at the end, after a storage error, or when `REREAD` is used up."""
        wanted = self.num_bytes - self._place if size < 0 else min(size, self.num_bytes - self._place)
        if wanted <= 0 or self._left <= 0 or self._failed:
            return b""
        try:
            self._raw.seek(self._begin + self._place)
            data = bytes(self._raw.read(wanted))[:wanted]
        except BaseException as error:  # noqa: BLE001 - raised again as soon as libav has returned, an interrupt as well
            self._failed = error
            return b""
        self._place += len(data)
        self._left -= len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """The new position, or a negative error number."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.num_bytes}.get(whence)
        if origin is None or not 0 <= origin + offset < 1 << 62:
            return -errno.EINVAL
        self._place = origin + offset
        return self._place

    def tell(self) -> int:
        """The position."""
        return self._place

    def look(self, place: int, size: int) -> bytes:
        """Bytes at `place` without moving the position. Raises storage errors."""
        self._raw.seek(self._begin + place)
        return self._raw.read(max(0, min(size, self.num_bytes - place)))

    def __enter__(self) -> ByteSource:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._failed:
            raise self._failed
        if isinstance(error, Exception) and not isinstance(error, (Broken, Undecodable)):
            words = getattr(error, "strerror", None) or " ".join(str(error).split()) or "no more is said"
            raise Broken(f"{type(error).__name__}: {words}"[:200]) from error
