"""Checks that nothing revoked is left in a run, by comparing every file with the tombstones.

The check does not rely on known columns: every string that looks like an id, a content hash or an address is looked up in the tombstones, in file
names, in every text column of every table at any depth, in JSON and text files, and in the JSON documents inside every tar. `run.json` holds the
user's config, so only hashes are searched there.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from voxmill.manifests.storage import locate
from voxmill.manifests.tombstones import HEX, Tombstones
from voxmill.pipeline.state.chunks import damaged
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import read_bytes
from voxmill.sharding.sidecar import ShardError

ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s\"'<>\\]+")
PLAIN = (".json", ".jsonl", ".sql", ".txt", ".tsv", ".csv", ".verdict", ".md", ".yaml")


@dataclass(frozen=True, slots=True)
class Trace:
    """Something revoked that was found."""

    file: str
    """Path relative to the run; for a member of a tar, `TAR:MEMBER`."""
    what: str
    """`name`, `hash` or `address`."""

    def __str__(self) -> str:
        return f"revoked: {self.file}: its {self.what} is still there; run `voxmill revoke` again"


def find_traces(run: Run, stones: Tombstones) -> Iterator[Trace]:
    """All traces of revoked recordings, one for each file and kind. Reads every table, text file and tar of the run."""
    if not stones:
        return
    for path in run.files():
        if path.startswith("tombstones/"):
            continue
        if stones.hash(path):
            yield Trace(path, "name")
        for where, texts in texts_of(run, path):
            hashes, addresses = _look(texts, stones, urls=path not in ("run.json", "private/config.json"))
            if hashes:
                yield Trace(where, "hash")
            if addresses:
                yield Trace(where, "address")


def revoked_rows(stones: Tombstones) -> Callable[[pa.Table], bool]:
    """A test whether a table holds anything with a revoked id: what a worker made before a revocation may come after it."""
    return lambda rows: bool(stones) and any(map(stones.hash, _strings(rows)))


def _look(texts: Iterable[str], stones: Tombstones, *, urls: bool) -> tuple[bool, bool]:
    seen, found = set[str](), [False, False]
    for text in texts:
        for token in HEX.findall(text):
            if not found[0] and token not in seen:
                seen.add(token)
                found[0] = stones.has("hash", token)
        if urls and not found[1]:
            found[1] = any(stones.address(url) for url in set(ADDRESS.findall(text)))
    return found[0], found[1]


def texts_of(run: Run, path: str) -> Iterator[tuple[str, Iterable[str]]]:
    """(location, strings) of one file of a run; nothing for audio, whose name and digest are in other files.

    Raises ShardError, DamagedError where it cannot be read.
    """
    if path.endswith(".parquet"):
        try:
            table = pq.read_table(io.BytesIO(read_bytes(run.uri(path))))
        except pa.ArrowException as error:
            raise damaged(run.uri(path), error) from None
        yield path, list(_strings(table))
    elif path.endswith(".tar"):
        try:
            yield from _members(run, path)
        except (tarfile.TarError, EOFError, UnicodeDecodeError) as error:
            raise ShardError(run.uri(path), f"it is damaged or cut short ({error})") from None
    elif path.endswith(PLAIN):
        yield path, [read_bytes(run.uri(path)).decode(errors="replace")]


def _members(run: Run, path: str) -> Iterator[tuple[str, list[str]]]:
    fs, full = locate(run.uri(path))
    with fs.open(full, "rb") as raw, tarfile.open(fileobj=raw, mode="r|") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name.endswith(".json") else None
            yield f"{path}:{member.name}", [member.name, file.read().decode() if file else ""]


def _strings(table: pa.Table) -> Iterator[str]:
    """The distinct strings of every column of a table, nested ones included."""
    for column in table.columns:
        for leaf in _leaves(column):
            yield from filter(None, pc.unique(leaf).to_pylist())


def _leaves(column: Any) -> Iterator[Any]:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield column
    elif pa.types.is_list(kind):
        yield from _leaves(pc.list_flatten(column))
    elif pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            yield from _leaves(pc.struct_field(column, place))
