"""The fetched originals, named by their content: `<audio_dir>/ab/<sha256><suffix>`, on a disk or in an object store."""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from fsspec.implementations.local import LocalFileSystem

from voxmill.manifests.storage import NondeterministicError, commit_bytes, commit_file, exists, locate, make_folder, read_bytes
from voxmill.operators.crawl.facts.urls import is_local

_SIGNATURES = (
    (0, b"RIFF", ".wav"),
    (0, b"RF64", ".wav"),
    (0, b"fLaC", ".flac"),
    (0, b"OggS", ".ogg"),
    (0, b"ID3", ".mp3"),
    (4, b"ftyp", ".mp4"),
    (0, b"\x1a\x45\xdf\xa3", ".mkv"),
    (0, b"FORM", ".aiff"),
    (0, b"caff", ".caf"),
    (0, b"#!AMR", ".amr"),
    (0, b".snd", ".au"),
    (0, b"\x30\x26\xb2\x75", ".asf"),
    (0, b"FLV", ".flv"),
)
"""Offset, bytes, suffix."""


STORE_THREADS = 4
"""Threads that talk to object stores: fsspec opens a client, with connections of its own, for every thread that does."""

R = TypeVar("R")


class AudioStore:
    """Content-addressed files under `root`, each committed whole or not at all. Any number of threads may use it at once."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self._inside = threading.local()

    def near(self, address: str, work: Callable[[], R]) -> R:
        """What `work()` returns, which reads or writes `address`: done in this thread on a disk, else in one of `STORE_THREADS`."""
        if is_local(address) or getattr(self._inside, "yes", False):
            return work()
        return self._threads.submit(work).result()

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(STORE_THREADS, "store", initializer=lambda: setattr(self._inside, "yes", True))

    @property
    def scratch(self) -> Path:
        """Folder for unfinished transfers: inside the store where it is a local disk, so that committing is a rename."""
        if is_local(self.root):
            return Path(locate(self.root)[1]) / ".parts"
        return Path(tempfile.gettempdir()) / "voxmill-parts"

    def put(self, file: BinaryIO, sha256: str, hint: str | None = None) -> str:
        """Commits a file; returns its name under the root. The suffix follows the bytes, so equal bytes get one name.

        `hint` is the suffix where the bytes say nothing: see `decode/telephony_formats.py`.
        """
        file.seek(0)
        suffix = suffix_of(file.read(512))
        name = f"{sha256[:2]}/{sha256}{f'.{hint}' if hint and suffix == '.bin' else suffix}"
        self.near(self.root, lambda: self._put(file, name))
        return name

    def _put(self, file: BinaryIO, name: str) -> None:
        if not self.has(name):
            self._folder(name)
            # Renamed, not linked: a part file that shared its bytes with a committed one could still be written to.
            commit_file(file, self.uri(name), replace=True)

    def write_once(self, name: str, content: dict[str, Any]) -> None:
        """Writes a JSON file unless one is there already."""
        blob = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False).encode()
        with contextlib.suppress(NondeterministicError):
            self.near(self.root, lambda: commit_bytes(self.uri(name), blob))

    def read(self, name: str) -> dict[str, Any] | None:
        """A JSON file of the store, or None."""
        with contextlib.suppress(FileNotFoundError):
            content: dict[str, Any] = json.loads(self.near(self.root, lambda: read_bytes(self.uri(name))))
            return content
        return None

    def has(self, name: str) -> bool:
        """Whether a file of that name is stored."""
        return self.near(self.root, lambda: exists(self.uri(name)))

    def uri(self, name: str) -> str:
        """The URI of a name in the store."""
        return f"{self.root}/{name}"

    def _folder(self, name: str) -> None:
        fs, path = locate(self.uri(name))
        if isinstance(fs, LocalFileSystem):
            make_folder(Path(path).parent)


def suffix_of(head: bytes) -> str:
    """A suffix for people and players, from the first bytes alone. Decoding never looks at it.

    >>> suffix_of(b"fLaC\\x00"), suffix_of(b"\\xff\\xfb\\x90\\x00"), suffix_of(b"hello")
    ('.flac', '.mp3', '.bin')
    """
    for offset, signature, suffix in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return ".webm" if suffix == ".mkv" and b"webm" in head[:64] else suffix
    if len(head) > 188 and head[0] == head[188] == 0x47:
        return ".ts"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return ".aac"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return ".mp3"
    return ".bin"
