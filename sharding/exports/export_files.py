"""Writes the files of an export, each whole or not at all, and remembers their sizes and digests.

What becomes one file of a set is first written part by part, then joined: in the order of the parts, or merged where lines have to be sorted.
"""

from __future__ import annotations

import hashlib
import heapq
import io
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from voxmill.manifests.storage import commit_file, locate, staged
from voxmill.sharding.shard_files import beside

FAN_IN = 128
"""Files that are merged at once."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of an export, by its name below the folder of the export."""

    name: str
    num_bytes: int
    sha256: str


@dataclass(slots=True)
class ExportFiles:
    """The files that are written below `out`, a folder or an fsspec URL."""

    out: str
    written: list[WrittenFile] = field(default_factory=list)

    @contextmanager
    def writing(self, name: str) -> Iterator[HashedFile]:
        """A file that gets its name when the block ends well."""
        uri = beside(self.out, name)
        with staged(uri) as temp:
            sink = HashedFile(temp)
            yield sink
            commit_file(temp, uri, replace=True)
        self.written.append(WrittenFile(name, sink.num_bytes, sink.hasher.hexdigest()))

    def put(self, name: str, data: bytes) -> None:
        """A file of these bytes."""
        with self.writing(name) as sink:
            sink.write(data)

    @contextmanager
    def reading(self, name: str) -> Iterator[Any]:
        """A file that was written before."""
        fs, path = locate(beside(self.out, name))
        with fs.open(path, "rb") as source:
            yield source

    def join(self, name: str, parts: Iterable[str]) -> None:
        """One file of many, in their order."""
        with self.writing(name) as sink:
            for part in parts:
                with self.reading(part) as source:
                    shutil.copyfileobj(source, sink)

    def merge(self, name: str, parts: Sequence[str]) -> None:
        """One file of many whose lines are sorted by their bytes: sorted as well. Opens at most `FAN_IN` files at once."""
        with tempfile.TemporaryDirectory(prefix="voxmill-merge-") as folder, self.writing(name) as sink:
            files = [(locate(beside(self.out, part))) for part in parts]
            level = 0
            while len(files) > FAN_IN:
                merged = []
                for first in range(0, len(files), FAN_IN):
                    path = Path(folder) / f"{level}-{first}"
                    with path.open("wb") as run:
                        run.writelines(_merged(files[first : first + FAN_IN]))
                    merged.append(locate(str(path)))
                files, level = merged, level + 1
            for line in _merged(files):
                sink.write(line)


class HashedFile(io.RawIOBase):
    """A file that is being written, and the digest of what went into it. Closing it leaves the file open: its block ends it."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self.hasher = hashlib.sha256()
        self.num_bytes = 0

    def writable(self) -> bool:
        """It is for writing alone."""
        return True

    def write(self, data: Any) -> int:
        """Appends bytes."""
        view = memoryview(data)
        self.hasher.update(view)
        self.num_bytes += view.nbytes
        self._target.write(view)
        return view.nbytes

    def tell(self) -> int:
        """Bytes so far."""
        return self.num_bytes


def _merged(files: Sequence[tuple[Any, str]]) -> Iterator[bytes]:
    with ExitStack() as stack:
        yield from heapq.merge(*(stack.enter_context(fs.open(path, "rb")) for fs, path in files))
