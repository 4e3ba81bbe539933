"""Files on a disk, of this machine or shared: a temporary file in the same folder, fsync, one atomic link or rename, fsync of the folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

from fsspec.implementations.local import LocalFileSystem

from voxmill.manifests.storage.locate import locate

_TEMP = ".tmp"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY)
"""What filesystems without locks answer: Lustre without `-o flock`, some FUSE mounts, NFS without a lock manager."""


@contextlib.contextmanager
def staged(uri: str | os.PathLike[str], mode: int = 0o666) -> Iterator[BinaryIO]:
    """A temporary file for the bytes of `uri`: beside it where that is local, else in the system's temporary folder.

    It is locked while it is open, so that `sweep` can tell a file in work from one whose writer died.
    """
    fs, path = locate(uri)
    local = isinstance(fs, LocalFileSystem)
    folder = Path(path).parent if local else Path(tempfile.gettempdir())
    make_folder(folder)
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


def sweep(folder: str | os.PathLike[str], name: str = "") -> int:
    """Deletes temporary files whose writer died, in one local folder, for names starting with `name`. Returns how many.

    Where the filesystem has no locks nobody can tell, and nothing is deleted.
    """
    fs, path = locate(folder)
    if not isinstance(fs, LocalFileSystem) or not Path(path).is_dir():
        return 0
    swept = 0
    for entry in sorted(Path(path).iterdir()):
        if entry.name.startswith(f".{name}") and entry.name.endswith(_TEMP):
            # Locked, or gone: somebody else's. NFS locks a file exclusively only for one who may write it.
            with contextlib.suppress(OSError), entry.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                entry.unlink()
                swept += 1
    return swept


def publish_local(temp: str, path: str, replace: bool) -> bool:
    """Gives a complete temporary file its name for good. Returns False where the name is taken and `replace` is off."""
    if replace:
        os.replace(temp, path)
        fresh = True
    else:
        fresh = _link(temp, path)
    sync_folder(Path(path).parent)
    return fresh


def _link(temp: str, path: str) -> bool:
    """A hard link is the rename that refuses to overwrite."""
    try:
        os.link(temp, path)
    except FileExistsError:
        return False
    except OSError:  # a filesystem without hard links
        if os.path.exists(path):
            return False
        os.replace(temp, path)
    return True


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it; their names outlive a crash of the machine, or what is committed in them would go with them."""
    fresh = list(takewhile(lambda one: not one.exists(), (folder, *folder.parents)))
    folder.mkdir(parents=True, exist_ok=True)
    for one in fresh:
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder outlive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_locked(folder: Path, name: str, mode: int) -> BinaryIO:
    while True:
        path = folder / f".{name}.{os.getpid()}-{secrets.token_hex(4)}{_TEMP}"
        file = open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))  # noqa: SIM115 - the caller closes it
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                file.close()
                raise
        if os.fstat(file.fileno()).st_nlink:  # else a sweep came between the two lines above
            return file
        file.close()
