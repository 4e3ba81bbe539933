"""What libavformat reads a file through: it never raises inside libav, and tells the storage's errors from the decoder's.

PyAV calls `read` and `seek` from C, where an exception cannot pass: one that is raised there comes up in another call, or is printed
and dropped. So these answer as a C library wants it: a seek to where nothing can be is an error number, reading past the end gives
nothing. An error of the storage is kept, ends the reading, and is raised by the `with` block around the call into libav:

    with source:
        packet = next(packets, None)

Whatever else is raised in such a block is `Broken`: libav or PyAV could not do it, whichever way they say so.
"""

from __future__ import annotations

import errno
import os
from types import TracebackType
from typing import IO

REREAD = 16
"""How many times its own length a stretch may be read. A damaged index can send a demuxer round and round."""

SLACK = 1 << 26
"""Bytes that may be read beyond that, so that short files may be searched."""


class Broken(Exception):
    """libav, or PyAV around it, failed at what a file holds."""


class Undecodable(Exception):
    """The file does not give what is wanted of it; `reason` is one of `decode.*`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class ByteSource:
    """`[begin, end)` of a file, as a file of its own."""

    def __init__(self, raw: IO[bytes], begin: int, end: int) -> None:
        self._raw, self._begin = raw, begin
        self.num_bytes = end - begin
        self._place = 0
        self._left = REREAD * self.num_bytes + SLACK
        self._failed: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
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
        """The new place, or a negative error number."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.num_bytes}.get(whence)
        if origin is None or not 0 <= origin + offset < 1 << 62:
            return -errno.EINVAL
        self._place = origin + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def look(self, place: int, size: int) -> bytes:
        """Some of its bytes, beside all reading. Raises what the storage raises."""
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
