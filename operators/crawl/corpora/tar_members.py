"""The members of a tar file one after the other, with the bytes that each of them is: nothing is unpacked, nothing kept in memory."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from voxmill.operators.crawl.corpora.corpus_folder import CorpusFolder
from voxmill.operators.crawl.corpora.utterance import BadEntry

SMALL = 1 << 20
"""Most bytes of a member that are read while listing: transcripts and JSON."""


class TarEntry(NamedTuple):
    """A file in a tar."""

    name: str
    start: int
    """Its first byte in the tar."""
    num_bytes: int
    content: bytes | None
    """Its bytes, where they were asked for and are few."""


def tar_entries(folder: CorpusFolder, tar: str, contents: tuple[str, ...] = ()) -> Iterator[TarEntry | BadEntry]:
    """The files of a tar of a folder, in its order; those whose name ends in one of `contents` with their bytes.

    A member with a path that leads out of the tar, a damaged end and a packed tar are entries that cannot be used.
    """
    try:
        with folder.open(tar) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # it keeps all of them otherwise
                if member.isdir():
                    continue
                name = member.name.removeprefix("./")
                if name.startswith("/") or ".." in name.split("/"):
                    yield BadEntry.of(f"{tar}, member {member.name}", "its path leads out of the tar")
                elif not member.isreg() or member.sparse is not None:
                    yield BadEntry.of(f"{tar}, member {member.name}", "a link or a device, no plain file")
                else:
                    wanted = name.endswith(contents) and member.size <= SMALL
                    handle = archive.extractfile(member) if wanted else None
                    yield TarEntry(name, member.offset_data, member.size, handle.read() if handle else None)
            file.seek(archive.offset)
            if (rest := file.read(tarfile.BLOCKSIZE)).strip(b"\0") or 0 < len(rest) < tarfile.BLOCKSIZE:
                yield BadEntry.of(tar, f"no member begins at byte {archive.offset}, where one should", "list.truncated")
    except tarfile.TarError as error:
        packed = (
            " (a packed tar gives no single member: unpack it)" if tar.endswith((".gz", ".tgz", ".bz2", ".xz", ".zst")) else ""
        )
        yield BadEntry.of(tar, f"it cannot be read further: {error}{packed}", "list.truncated")
