"""Writes files atomically: a file is visible with all its bytes or not at all, on a local disk and in an object store.

Local: a temporary file in the same folder, fsync, one atomic link or rename, fsync of the folder.
Object store (any fsspec URL): one PUT, which is atomic there; nothing temporary is ever visible.

A name is committed once. The same name with other bytes is an error (`NondeterministicError`), unless the caller says
`replace=True` because the file is meant to change (a list of files, a shard that is being rebuilt).

Every step that a crash can separate from the next one is announced to `events`, so that a test can kill the process there:
`staged` (the bytes are safe, the name does not exist yet), `committed` (the name exists), `removed`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import io
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from voxmill.manifests.errors import CheckFailed, UserError

Event = Callable[[str, str], None]
"""Called with the name of the event and the URI that it is about."""

events: list[Event] = []
"""Listeners of this process. Worker processes are reached by VOXMILL_ON_COMMIT=module:function in their environment."""

_TEMP = ".tmp"
_BLOCK = 1 << 20


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


def emit(event: str, uri: str) -> None:
    """Calls every listener, those of VOXMILL_ON_COMMIT included."""
    for listener in (*events, *_listeners_from(os.environ.get("VOXMILL_ON_COMMIT", ""))):
        listener(event, uri)


def locate(uri: str | os.PathLike[str]) -> tuple[Any, str]:
    """The fsspec filesystem of a path or URL, and the path in it. Never answers from a cached listing. Raises UserError."""
    try:
        fs, path = url_to_fs(os.fspath(uri), use_listings_cache=False)
    except ValueError as error:  # of the kind `Protocol not known`
        raise UserError(
            f"{uri}: no such kind of store ({error}): give a folder, or an address such as s3://bucket/prefix"
        ) from None
    return fs, path


def commit_bytes(
    uri: str | os.PathLike[str], data: bytes, on_event: Event | None = None, *, replace: bool = False, mode: int = 0o666
) -> bool:
    """Commits `data` under `uri`. Returns False where the same bytes were there already. On a disk, `mode` says who may read it.

    Raises NondeterministicError where other bytes are there and `replace` is off.
    """
    fs, path = locate(uri)
    if isinstance(fs, LocalFileSystem):
        with staged(uri, mode) as temp:
            temp.write(data)
            return commit_file(temp, uri, on_event, replace=replace)
    tell = on_event or emit
    tell("staged", str(uri))
    fresh = _publish_remote(
        fs, path, replace, lambda **mode: fs.pipe_file(path, data, **mode), lambda: _sha256(io.BytesIO(data))
    )
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
        fresh = _publish_local(temp.name, path, replace)
    else:
        fresh = _publish_remote(
            fs, path, replace, lambda **mode: fs.put_file(temp.name, path, **mode), lambda: file_sha256(temp.name)
        )
    tell("committed", str(uri))
    return fresh


@contextlib.contextmanager
def staged(uri: str | os.PathLike[str], mode: int = 0o666) -> Iterator[BinaryIO]:
    """A temporary file for the bytes of `uri`: beside it where that is local, else in the system's temporary folder.

    It is locked while it is open, so that `sweep` can tell a file in work from one whose writer died.
    """
    fs, path = locate(uri)
    local = isinstance(fs, LocalFileSystem)
    folder = Path(path).parent if local else Path(tempfile.gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    with _named(uri), _open_locked(folder, Path(path).name, mode) as temp:
        try:
            yield temp
        finally:
            Path(temp.name).unlink(missing_ok=True)


@contextlib.contextmanager
def _named(uri: str | os.PathLike[str]) -> Iterator[None]:
    """A full disk does not say which file it has no room for."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(uri)
        raise


def remove(uri: str | os.PathLike[str], on_event: Event | None = None) -> bool:
    """Removes a file for good (the folder is synced). Returns False where it was not there."""
    fs, path = locate(uri)
    try:
        if isinstance(fs, LocalFileSystem):
            Path(path).unlink()
            _sync_folder(Path(path).parent)
        else:
            fs.info(path)  # object stores delete what is not there without a word
            fs.rm_file(path)
    except FileNotFoundError:
        return False
    (on_event or emit)("removed", str(uri))
    return True


def sweep(folder: str | os.PathLike[str], name: str = "") -> int:
    """Deletes temporary files whose writer died, in one local folder, for names starting with `name`. Returns how many."""
    fs, path = locate(folder)
    if not isinstance(fs, LocalFileSystem) or not Path(path).is_dir():
        return 0
    swept = 0
    for entry in sorted(Path(path).iterdir()):
        if entry.name.startswith(f".{name}") and entry.name.endswith(_TEMP):
            with contextlib.suppress(OSError), entry.open("rb") as file:  # locked, or gone: somebody else's
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                entry.unlink()
                swept += 1
    return swept


def file_sha256(uri: str | os.PathLike[str]) -> str:
    """The sha256 of a file at a path or fsspec URL, in hex. Raises FileNotFoundError."""
    fs, path = locate(uri)
    with fs.open(path, "rb") as source:
        return _sha256(source)


def _open_locked(folder: Path, name: str, mode: int) -> BinaryIO:
    while True:
        path = folder / f".{name}.{os.getpid()}-{secrets.token_hex(4)}{_TEMP}"
        file = open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))  # noqa: SIM115 - the caller closes it
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:  # else a sweep came between the two lines above
            return file
        file.close()


def _publish_local(temp: str, path: str, replace: bool) -> bool:
    if replace:
        os.replace(temp, path)
        fresh = True
    else:
        fresh = _link(temp, path)
    _sync_folder(Path(path).parent)
    return fresh


def _link(temp: str, path: str) -> bool:
    """A hard link is the rename that refuses to overwrite."""
    try:
        os.link(temp, path)
    except FileExistsError:
        return _same_or_raise(path, file_sha256(temp))
    except OSError:  # a filesystem without hard links
        if os.path.exists(path):
            return _same_or_raise(path, file_sha256(temp))
        os.replace(temp, path)
    return True


def _publish_remote(fs: Any, path: str, replace: bool, put: Callable[..., None], sha256: Callable[[], str]) -> bool:
    if replace:
        put()
        return True
    uri = fs.unstrip_protocol(path)
    if fs.exists(path):
        return _same_or_raise(uri, sha256())
    try:
        put(mode="create")  # If-None-Match: the store itself refuses a second writer
    except FileExistsError:
        return _same_or_raise(uri, sha256())
    except (TypeError, NotImplementedError):  # a store without conditional writes
        put()
    return True


def _same_or_raise(uri: str, new: str) -> bool:
    old = file_sha256(uri)
    if old != new:
        raise NondeterministicError(uri, old, new)
    return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(source: Any) -> str:
    hasher = hashlib.sha256()
    while block := source.read(_BLOCK):
        hasher.update(block)
    return hasher.hexdigest()


@cache
def _listeners_from(spec: str) -> tuple[Event, ...]:
    """`module:function` -> that function; nothing -> nobody."""
    if not spec:
        return ()
    module, _, name = spec.partition(":")
    return (getattr(importlib.import_module(module), name),)
