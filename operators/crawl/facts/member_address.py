"""Addresses of recordings that lie inside a tar file or a table: `<address of the file>!/<member>`, as other archives have them."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote

_MARK = "!/"


class ArchiveMember(NamedTuple):
    """A member of a file: bytes of a tar, or one cell of a table."""

    container: str
    """Address of the tar file or table."""
    name: str
    """Of the member; of a cell its column."""
    start: int | None = None
    """First byte in a tar."""
    end: int | None = None
    """One past its last byte."""
    row: int | None = None
    """Of a table, from 0."""


def tar_member(container: str, name: str, start: int, num_bytes: int) -> str:
    """The address of a member of a tar file, with the bytes that it is.

    >>> tar_member("file:///a.tar", "x/1.flac", 512, 100)
    'file:///a.tar!/x/1.flac#bytes=512-612'
    """
    return f"{container}{_MARK}{quote(name)}#bytes={start}-{start + num_bytes}"


def table_cell(container: str, column: str, row: int) -> str:
    """The address of one cell of a Parquet or Arrow file. The row is in its path as well: ids of items leave the part after `#` out.

    >>> table_cell("file:///a.parquet", "audio", 17)
    'file:///a.parquet!/audio/17#row=17'
    """
    return f"{container}{_MARK}{quote(column)}/{row}#row={row}"


def parse_member(address: str) -> ArchiveMember | None:
    """The parts of such an address; None where it is none.

    >>> parse_member("file:///a.tar!/x/1.flac#bytes=512-612")
    ArchiveMember(container='file:///a.tar', name='x/1.flac', start=512, end=612, row=None)
    """
    container, mark, rest = address.rpartition(_MARK)
    name, _, place = rest.rpartition("#")
    key, _, value = place.partition("=")
    if not mark or not container:
        return None
    if key == "row" and value.isdigit():
        return ArchiveMember(container, unquote(name.rpartition("/")[0]), row=int(value))
    start, _, end = value.partition("-")
    if key == "bytes" and start.isdigit() and end.isdigit():
        return ArchiveMember(container, unquote(name), int(start), int(end))
    return None
