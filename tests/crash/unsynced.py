"""A disk after a power cut: what was written and not synced is gone, and so is a name whose folder was not synced.

POSIX promises no more: bytes outlive a crash after `fsync` of their file, a name (and its removal) after `fsync` of its folder. File systems
usually keep more, and nobody should rely on it. In a process whose `os.fsync` is watched, `image` makes what would be found afterwards.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch


class SyncedDisk:
    """Watches one folder, which itself is there for good."""

    def __init__(self, root: Path, hoard: Path) -> None:
        self.root, self._hoard = root.resolve(), hoard
        self._folders: dict[Path, dict[str, int | None]] = {}
        """Names that would be found, by folder: the inode of a file, None for a folder."""
        self._sizes: dict[int, int] = {}
        """How much of a file would be found."""
        hoard.mkdir(parents=True, exist_ok=True)
        for folder, _, names in os.walk(self.root):
            for name in names:
                file = Path(folder, name)
                self._sizes[file.stat().st_ino] = file.stat().st_size
            self._sync_folder(Path(folder))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While the block runs, syncs are noted."""
        real = os.fsync

        def fsync(descriptor: int) -> None:
            real(descriptor)
            there, path = os.fstat(descriptor), Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            if stat.S_ISREG(there.st_mode):
                self._sizes[there.st_ino] = there.st_size
            elif path == self.root or self.root in path.parents:
                self._sync_folder(path)

        with patch.object(os, "fsync", fsync):
            yield

    def image(self, target: Path) -> None:
        """Writes what would be found after a power cut now."""
        self._rebuild(self.root, target)

    def has(self, file: Path) -> bool:
        """Whether a file as it is now would be found, with all its bytes."""
        there = file.stat()
        folders = [folder for folder in file.resolve().parents if folder == self.root or self.root in folder.parents]
        named = all(
            self._folders.get(folder.parent, {}).get(folder.name, 0) is None for folder in folders if folder != self.root
        )
        entry = self._folders.get(file.resolve().parent, {}).get(file.name)
        return named and entry == there.st_ino and self._sizes.get(there.st_ino) == there.st_size

    def _sync_folder(self, path: Path) -> None:
        entries: dict[str, int | None] = {}
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                entries[entry.name] = None
                continue
            entries[entry.name] = inode = entry.inode()
            kept = self._hoard / str(inode)
            if not kept.exists():
                os.link(entry.path, kept)  # its bytes stay, whatever becomes of its name
        self._folders[path] = entries

    def _rebuild(self, folder: Path, target: Path) -> None:
        target.mkdir()
        for name, inode in self._folders.get(folder, {}).items():
            if inode is None:
                self._rebuild(folder / name, target / name)
            else:
                shutil.copyfile(self._hoard / str(inode), target / name)
                os.truncate(target / name, self._sizes.get(inode, 0))
