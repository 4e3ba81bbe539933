"""Writes files atomically: a file is visible with all its bytes or not at all, on a disk and in an object store.

A disk gets a temporary file and a link (`local_files.py`). An object store gets one PUT, which is atomic there; nothing temporary is ever
visible. Where a name must be new the store itself refuses the second writer: one request, and no look before it.

A name is committed once. The same name with other bytes is an error (`NondeterministicError`), unless the caller says
`replace=True` because the file is meant to change (a list of files, a shard that is being rebuilt). So a create that was carried out, whose
answer was lost, and that was sent again is refused by the store, finds its own bytes, and is a success.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO

from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from voxmill.manifests.errors import CheckFailed
from voxmill.manifests.storage.commit_events import Event, emit
from voxmill.manifests.storage.local_files import publish_local, staged
from voxmill.manifests.storage.locate import locate
from voxmill.manifests.storage.store_retry import StoreError

_BLOCK = 1 << 20
_LOOK_FIRST = 8 << 20
"""A file of so many bytes is not sent to a store before a look whether it is there."""


class NondeterministicError(CheckFailed):
    """A committed name would get other bytes: work that should repeat exactly did not."""

    def __init__(self, uri: str, old: str, new: str) -> None:
        super().__init__(
            f"{uri} is committed with sha256 {old[:16]}…, this attempt made {new[:16]}…: "
            "something upstream is not deterministic or changed without its version; "
            "delete the file to accept the new bytes, or raise the operator's version"
        )
        self.uri, self.old, self.new = uri, old, new

    def __reduce__(self) -> tuple[type[NondeterministicError], tuple[str, str, str]]:
        return type(self), (self.uri, self.old, self.new)  # the default would not survive the way back from a worker


def commit_bytes(
    uri: str | os.PathLike[str], data: bytes, on_event: Event | None = None, *, replace: bool = False, mode: int = 0o666
) -> bool:
    """Commits `data` under `uri`. Returns False where the same bytes were there already. On a disk, `mode` says who may read it.

    Raises NondeterministicError where other bytes are there and `replace` is off, StoreError where a store stays away.
    """
    fs, path = locate(uri)
    if isinstance(fs, LocalFileSystem):
        with staged(uri, mode) as temp:
            temp.write(data)
            return commit_file(temp, uri, on_event, replace=replace)
    tell = on_event or emit
    tell("staged", str(uri))
    upload = _Upload(fs, path, len(data), lambda **how: fs.pipe_file(path, data, **how), lambda: _sha256(io.BytesIO(data)))
    fresh = upload.replace() if replace else upload.create()
    tell("committed", str(uri))
    return fresh


def commit_file(temp: BinaryIO, uri: str | os.PathLike[str], on_event: Event | None = None, *, replace: bool = False) -> bool:
    """Commits a file that was written through `staged`, like `commit_bytes`; its size does not matter."""
    tell = on_event or emit
    fs, path = locate(uri)
    local = isinstance(fs, LocalFileSystem)
    temp.flush()
    if local:
        os.fsync(temp.fileno())
    tell("staged", str(uri))
    if local:
        fresh = publish_local(temp.name, path, replace) or same_or_raise(path, file_sha256(path), file_sha256(temp.name))
    else:
        size = os.path.getsize(temp.name)
        put: Callable[..., None] = lambda **how: fs.put_file(temp.name, path, **how)
        upload = _Upload(fs, path, size, put, lambda: file_sha256(temp.name))
        fresh = upload.replace() if replace else upload.create()
    tell("committed", str(uri))
    return fresh


def file_sha256(uri: str | os.PathLike[str]) -> str:
    """The sha256 of a file at a path or fsspec URL, in hex. Raises FileNotFoundError."""
    fs, path = locate(uri)
    with fs.open(path, "rb") as source:
        return _sha256(source)


def same_or_raise(uri: str, old: str, new: str) -> bool:
    """False where the sha256 of a committed file and of new bytes are the same. Raises NondeterministicError."""
    if old != new:
        raise NondeterministicError(uri, old, new)
    return False


class _Upload:
    """One object on its way into a store."""

    def __init__(self, fs: Any, path: str, size: int, put: Callable[..., None], sha256: Callable[[], str]) -> None:
        self._fs, self._path, self._size, self._put, self._sha256 = fs, path, size, put, sha256
        self._uri = fs.unstrip_protocol(path)

    def replace(self) -> bool:
        """Whatever is there gives way."""
        try:
            self._put()
        except FileNotFoundError as error:
            self._compare_after(error)
        return True

    def create(self) -> bool:
        """The store refuses where something is there, which may be what an earlier try of this same request wrote."""
        if (self._size >= _LOOK_FIRST or not _refuses(self._fs)) and self._fs.exists(self._path):
            return self._same_or_raise()
        try:
            self._put(mode="create")
        except FileExistsError:
            return self._same_or_raise()
        except FileNotFoundError as error:
            self._compare_after(error)
        except (TypeError, NotImplementedError, OSError) as error:
            if isinstance(error, OSError) and error.errno != errno.ENOSYS:
                raise
            return self._create_unguarded()
        return True

    def _create_unguarded(self) -> bool:
        """In a store without conditional writes a look is all there is; two writers at the same moment are not seen."""
        if self._fs.exists(self._path):
            return self._same_or_raise()
        self._put()
        return True

    def _compare_after(self, error: FileNotFoundError) -> None:
        """What was not found is the bucket; or the upload in parts, if its completion was sent again after a lost answer."""
        try:
            self._same_or_raise()
        except FileNotFoundError:
            raise StoreError(f"{self._uri} cannot be written ({error}): create the bucket, or give another place") from error

    def _same_or_raise(self) -> bool:
        small = self._size < _LOOK_FIRST  # then it takes one request
        old = _sha256(io.BytesIO(self._fs.cat_file(self._path))) if small else file_sha256(self._uri)
        return same_or_raise(self._uri, old, self._sha256())


def _refuses(fs: Any) -> bool:
    """Whether a filesystem is known to pass the condition of a create on to a store that heeds it."""
    return isinstance(fs, MemoryFileSystem) or hasattr(fs, "refuses_to_overwrite")


def _sha256(source: Any) -> str:
    hasher = hashlib.sha256()
    while block := source.read(_BLOCK):
        hasher.update(block)
    return hasher.hexdigest()
