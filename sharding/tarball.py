"""A tar whose bytes depend on its members' names and contents only, written as a stream, with the offset of each member.

The standard library writes it: webdataset's TarWriter gives the same members but no digest, and importing it loads torch
into every packing worker.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from types import TracebackType
from typing import BinaryIO


class TarSink:
    """Appends members to a file that is open for writing; counts and hashes what goes through.

    Headers are plain ustar with mode 0644, owner 0, no names and time 0. The digest is complete after the `with` block.
    """

    def __init__(self, target: BinaryIO) -> None:
        self._through = _HashingWriter(target)
        self._tar = tarfile.open(fileobj=self._through, mode="w|", format=tarfile.USTAR_FORMAT)  # type: ignore[call-overload]  # noqa: SIM115

    def add(self, name: str, data: bytes) -> int:
        """Returns the offset of the member's data from the start of the tar."""
        info = tarfile.TarInfo(name)  # its defaults are the fixed headers
        info.size = len(data)
        offset: int = self._tar.offset + tarfile.BLOCKSIZE  # the header is one block: names are short
        self._tar.addfile(info, io.BytesIO(data))
        return offset

    def __enter__(self) -> TarSink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._tar.close()

    @property
    def num_bytes(self) -> int:
        """Bytes written so far; the size of the tar after the `with` block."""
        return self._through.num_bytes

    @property
    def sha256(self) -> str:
        """The sha256 of what was written so far, in hex."""
        return self._through.hasher.hexdigest()


class _HashingWriter:
    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self.hasher = hashlib.sha256()
        self.num_bytes = 0

    def write(self, data: bytes) -> int:
        self.hasher.update(data)
        self.num_bytes += len(data)
        return self._target.write(data)
