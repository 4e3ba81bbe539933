"""A corpus's folder, on a disk or in a store: names in it, files of it, lines of its manifests. Never a list of all of it."""

from __future__ import annotations

import gzip
import io
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from typing import IO, Any

from fsspec.implementations.local import LocalFileSystem

from voxmill.manifests.storage import locate
from voxmill.operators.crawl.facts.urls import file_path, file_uri, is_local, is_web

LONGEST_LINE = 1 << 20
"""A longer line of a manifest (bytes) is no entry."""


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """One line of a text file: its place (`file, line 3`), and its text or what is wrong with it."""

    place: str
    text: str = ""
    wrong: str | None = None


class CorpusFolder:
    """A folder, or one file of it: then only that file is there."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/") or address
        self._fs, path = locate(file_path(self.address))
        self._only = None if self._fs.isdir(path) else posixpath.basename(path)
        self._root = path if self._only is None else posixpath.dirname(path)

    @cached_property
    def names(self) -> list[str]:
        """Names of the files directly in it, sorted by their bytes."""
        return [self._only] if self._only else self._inside("")[1]

    def matching(self, *patterns: str) -> list[str]:
        """Those of `names` that one of the patterns matches."""
        return [name for name in self.names if any(fnmatch(name, pattern) for pattern in patterns)]

    def beside(self, pattern: str) -> list[str]:
        """Files of the folder that the pattern matches, also where only one of its files is meant: archives that a manifest speaks of."""
        return [name for name in self._inside("")[1] if fnmatch(name, pattern)]

    def walk(self) -> Iterator[tuple[str, list[str]]]:
        """(folder inside this one, names of its files), folder by folder; links to folders are not followed."""
        waiting = [""]
        while waiting:
            inside = waiting.pop()
            folders, files = self._inside(inside)
            yield inside, files
            waiting += [posixpath.join(inside, name) for name in reversed(folders)]

    def _inside(self, folder: str) -> tuple[list[str], list[str]]:
        """Names of the folders and of the files in a folder of it."""
        folders, files = [], []
        try:
            entries = self._fs.ls(self._path(folder), detail=True)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return [], []
        for entry in entries:
            name = str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]
            if entry["type"] == "directory" and not entry.get("islink"):
                folders.append(name)
            elif entry["type"] != "directory" and name:
                files.append(name)
        return sorted(folders, key=_bytes), sorted(files, key=_bytes)

    def subfolder(self, name: str) -> CorpusFolder:
        """A folder in it."""
        return CorpusFolder(f"{self.address}/{name}")

    @property
    def folders(self) -> list[str]:
        """Names of the folders directly in it, sorted."""
        return [] if self._only else self._inside("")[0]

    def has(self, name: str) -> bool:
        """Whether a file (or folder) of that name is in it."""
        return bool(self._fs.exists(self._path(name)))

    def open(self, name: str) -> IO[bytes]:
        """A file of it, for reading from any place. Raises OSError."""
        file: IO[bytes] = self._fs.open(self._path(name), "rb")
        return file

    def uri(self, name: str) -> str:
        """The address of a file in it."""
        path = self._path(name)
        return file_uri(path) if isinstance(self._fs, LocalFileSystem) else str(self._fs.unstrip_protocol(path))

    def resolve(self, stated: str, above: int = 0) -> str | None:
        """The address that a manifest's entry means: a web address and an absolute path as they are, else a path from this folder.

        With `above`, also from so many folders above it, where a file is there. None for a path that only a store or a chain could open.
        """
        if is_web(stated):
            return stated
        if "::" in stated or ("://" in stated and not is_local(stated)):
            return (
                stated
                if stated.split("://", 1)[0] in ("s3", "gs", "s3a", "gcs", "az", "abfs", "abfss") and "::" not in stated
                else None
            )
        path = file_path(stated)
        if path.startswith("/"):
            return file_uri(path)
        folder = self._root
        for _ in range(above + 1):
            place = posixpath.normpath(posixpath.join(folder, path))
            if self._fs.exists(place):
                return file_uri(place) if isinstance(self._fs, LocalFileSystem) else str(self._fs.unstrip_protocol(place))
            folder = posixpath.dirname(folder)
        return self.uri(path)

    def lines(self, name: str) -> Iterator[ManifestLine]:
        """The lines of a text file, unpacked where its name ends in `.gz`; blank ones are left out."""
        with self.open(name) as raw:
            file: Any = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if name.endswith(".gz") else raw
            number = 0
            while True:
                number += 1
                place = f"{name}, line {number}"
                try:
                    line = file.readline(LONGEST_LINE + 1)
                    whole = len(line)
                    while line and not line.endswith(b"\n") and (more := file.readline(LONGEST_LINE)):
                        whole += len(more)
                        line = line[:1] if not more.endswith(b"\n") else line[:1] + b"\n"
                except (OSError, EOFError) as error:
                    yield ManifestLine(place, wrong=f"the file breaks off here ({error})")
                    return
                if not line:
                    return
                if whole > LONGEST_LINE + 1:
                    yield ManifestLine(place, wrong=f"a line of {whole} bytes; the limit is {LONGEST_LINE}")
                elif line.strip():
                    yield _decoded(place, line)

    def _path(self, name: str) -> str:
        return posixpath.join(self._root, name) if name else str(self._root)


def _decoded(place: str, line: bytes) -> ManifestLine:
    try:
        return ManifestLine(place, line.decode("utf-8-sig").rstrip("\r\n"))
    except UnicodeDecodeError as error:
        return ManifestLine(place, wrong=f"not UTF-8 (byte {error.start} of the line)")


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
