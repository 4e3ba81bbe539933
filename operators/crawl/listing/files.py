"""Audio files in folders, on this machine or in a store that fsspec opens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatch

from voxmill.manifests import storage
from voxmill.operators.crawl.facts.candidate import Candidate
from voxmill.operators.crawl.facts.crawl_errors import Unreadable
from voxmill.operators.crawl.facts.media_types import MEDIA, name_suffix
from voxmill.operators.crawl.facts.urls import file_path, file_uri, is_local
from voxmill.operators.crawl.listing.unlisted import Unlisted


def is_folder(address: str) -> bool:
    """Whether the address is a folder."""
    if is_local(address):
        return os.path.isdir(file_path(address))
    return storage.is_folder(address)


def read_file(address: str) -> bytes:
    """The bytes of a file. Raises Unreadable."""
    try:
        if is_local(address):
            with open(file_path(address), "rb") as file:
                return file.read()
        return storage.read_bytes(address)
    except (OSError, ValueError) as error:
        raise Unreadable(f"{address}: {error}") from error


def walk(address: str, glob: str | None, unlisted: Unlisted | None = None) -> Iterator[Candidate]:
    """The files of a folder and the folders in it, in the order of their names' bytes.

    `glob` is matched against the path inside the folder and against the bare name; without one, media files are taken.
    Links to folders are not followed: they could lead out of it, or round in circles. Nor is a folder below that holds a run of voxmill looked
    into, which `voxmill run . -o run` makes: what it has fetched would be listed again. What else is left out is counted in `unlisted`.

    Raises Unreadable.
    """
    unlisted = unlisted or Unlisted()
    if is_local(address):
        yield from _walk_disk(file_path(address), glob, unlisted)
        return
    try:
        fs, path = storage.locate(address)
        names = sorted(fs.find(path))
    except (OSError, ValueError, ImportError) as error:
        raise Unreadable(f"{address}: {error}") from error
    for name in names:
        inside = name[len(path) :].strip("/")
        if _wanted(inside or name.rsplit("/", 1)[-1], glob):
            yield Candidate(fs.unstrip_protocol(name), "file", page_url=address, host=address.split("/")[2])
        else:
            unlisted.by_name(name)


def unordered_files(folder: str, glob: str | None) -> Iterator[str]:
    """Paths of the files that `walk` would give of a local folder, in no order: the first comes at once, however many there are."""
    for inside, below, names in os.walk(folder):
        _leave_out_runs(inside, below)
        for name in names:
            path = os.path.join(inside, name)
            if _wanted(os.path.relpath(path, folder), glob) and os.path.isfile(path):
                yield path


def _walk_disk(root: str, glob: str | None, unlisted: Unlisted) -> Iterator[Candidate]:
    if not os.path.isdir(root):
        raise Unreadable(f"{root!r} is no folder")
    paths = []
    for folder, below, names in os.walk(root):
        _leave_out_runs(folder, below)
        paths += [os.path.join(folder, name) for name in names]
    for path in sorted(paths, key=os.fsencode):
        if not _wanted(os.path.relpath(path, root), glob):
            unlisted.by_name(path)
        elif os.path.isfile(path):
            yield Candidate(file_uri(path), "file", page_url=file_uri(root))
        elif os.path.exists(path):
            unlisted.special += 1
        else:
            unlisted.dead_links += 1


def _leave_out_runs(folder: str, below: list[str]) -> None:
    below[:] = [name for name in below if not is_run(os.path.join(folder, name))]


def is_run(folder: str) -> bool:
    """Whether a folder of this machine holds a run of voxmill."""
    return os.path.isfile(os.path.join(folder, "run.json")) and os.path.isdir(os.path.join(folder, "ledger"))


def _wanted(inside: str, glob: str | None) -> bool:
    if glob is None:
        return name_suffix(inside) in MEDIA
    return fnmatch(inside, glob) or fnmatch(inside.rsplit("/", 1)[-1], glob.removeprefix("**/"))
