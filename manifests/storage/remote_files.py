"""Reading, listing and removing at a path or URL; in a store each takes one request, or one for a thousand names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from voxmill.manifests.storage.commit_events import Event, emit
from voxmill.manifests.storage.local_files import sync_folder
from voxmill.manifests.storage.locate import locate


def exists(uri: str | os.PathLike[str]) -> bool:
    """Whether a file is there (on a disk, or a folder)."""
    fs, path = locate(uri)
    return bool(fs.exists(path))


def is_folder(uri: str | os.PathLike[str]) -> bool:
    """Whether a folder is there; in a store, whether any name begins with this one and a slash."""
    fs, path = locate(uri)
    return bool(fs.isdir(path))


def read_bytes(uri: str | os.PathLike[str]) -> bytes:
    """A whole file. Raises FileNotFoundError."""
    fs, path = locate(uri)
    blob: bytes = fs.cat_file(path)
    return blob


def open_file(uri: str | os.PathLike[str]) -> Any:
    """A binary file for reading, from which a store sends the parts that are asked for. Raises FileNotFoundError."""
    fs, path = locate(uri)
    return fs.open(path, "rb")


def names_in(uri: str | os.PathLike[str]) -> set[str]:
    """Names of the entries of a folder; empty where there is none. Always asks the store, never a cache."""
    fs, path = locate(uri)
    try:
        return {str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in fs.ls(path, detail=False)}
    except FileNotFoundError:
        return set()


def remove(uri: str | os.PathLike[str], on_event: Event | None = None) -> bool:
    """Removes a file for good (the folder is synced). Returns False where it was not there."""
    fs, path = locate(uri)
    try:
        if isinstance(fs, LocalFileSystem):
            Path(path).unlink()
            sync_folder(Path(path).parent)
        elif not fs.exists(path):  # S3 deletes what is not there without a word
            return False
        else:
            fs.rm_file(path)
    except FileNotFoundError:
        return False
    (on_event or emit)("removed", str(uri))
    return True


def remove_all(uris: Iterable[str], on_event: Event | None = None) -> None:
    """Removes many files of one run for good; those that are not there are no error. In S3 a thousand go in one request."""
    found = [(uri, *locate(uri)) for uri in uris]
    tell = on_event or emit
    if found and hasattr(found[0][1], "remove_all"):
        found[0][1].remove_all([path for _, _, path in found])
        for uri, _, _ in found:
            tell("removed", uri)
    else:
        for uri, _, _ in found:
            remove(uri, tell)
