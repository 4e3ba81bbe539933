"""Runs an export: part by part, each committed by a small record, so that it continues where it was stopped with the same bytes.

    OUT/LICENCE/SPLIT/…     the sets
    OUT/README.md           how to open them, and what is in them
    OUT/SHA256SUMS          of all other files but export.json; `sha256sum -c` proves them
    OUT/export.json         what was asked for, counts, the fingerprint; `complete` is true when all is there

Memory holds one sample, or a few; and one small row for each shard.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from voxmill.manifests.errors import UserError
from voxmill.manifests.storage import commit_bytes, exists, is_folder, locate, names_in, read_bytes, sweep
from voxmill.manifests.user_input import json_object
from voxmill.sharding.exports.export_files import ExportFiles, WrittenFile
from voxmill.sharding.exports.export_format import LABELLED, PARTS, ExportFormat, PartWriter, share_of
from voxmill.sharding.exports.export_plan import (
    ExportChoice,
    ExportedSet,
    ExportPart,
    fingerprint,
    part_samples,
    plan_export,
    sets_of,
)
from voxmill.sharding.exports.export_readme import readme
from voxmill.sharding.sample import PACKER
from voxmill.sharding.shard_files import beside

SUMMARY, SUMS, README = "export.json", "SHA256SUMS", "README.md"

OnPart = Callable[[int, int], None]
"""Called with the number of parts that are done, and of all."""


@dataclass(frozen=True, slots=True)
class DataExport:
    """What an export holds: the contents of `export.json`."""

    format: str
    fingerprint: str
    choice: ExportChoice
    prefix: str
    sets: tuple[ExportedSet, ...]


def export_data(
    root: str, out: str, layout: ExportFormat, choice: ExportChoice, *, prefix: str = "", on_part: OnPart | None = None
) -> DataExport:
    """Exports the shards below `root` into the folder `out`, or goes on with it; nothing is written where all is there.

    `prefix` stands before paths of audio files in lists whose readers do not resolve them. Raises UserError where `out` holds
    something else, and as `plan_export`.
    """
    choice = _for(layout, choice)
    parts = plan_export(root, choice)
    print_ = fingerprint(parts, choice, f"{layout.name} {layout.version} {PACKER} {prefix}")
    told = DataExport(layout.name, print_, choice, prefix, tuple(sets_of(parts)))
    complete = _open(out, told)
    if not complete:
        totals = {one.folder: one.parts for one in told.sets}
        for done, part in enumerate(parts):
            if not exists(_record(out, part)):
                _write_part(root, out, layout, choice, PartWriter(ExportFiles(out), part, totals[part.folder], prefix))
            if on_part:
                on_part(done + 1, len(parts))
        _finish(out, layout, parts, told)
    _clear(out)
    return told


def _for(layout: ExportFormat, choice: ExportChoice) -> ExportChoice:
    """The tiers that a format has a use for. Raises UserError where others are asked for."""
    if not layout.labelled_only:
        return choice
    if useless := [tier for tier in choice.tiers if tier not in LABELLED]:
        raise UserError(f"--tier {useless[0]}: {layout.name} has no use for samples without a text; leave it out")
    return ExportChoice(choice.tiers or LABELLED, choice.splits, choice.licences, choice.where)


def _open(out: str, told: DataExport) -> bool:
    """Whether all of this export is there. Raises UserError where something else is."""
    summary = beside(out, SUMMARY)
    if exists(summary):
        old = json_object(read_bytes(summary), summary, "give another folder")
        if old.get("fingerprint") != told.fingerprint:
            raise UserError(
                f"{out} holds another export ({old.get('format')}, {_short(old)}): give another folder, or remove it"
            )
        _sweep(out)
        return bool(old.get("complete"))
    if is_folder(out) and names_in(out):
        raise UserError(f"{out} is not empty, and holds no export: give another folder")
    commit_bytes(summary, _json({"complete": False, **asdict(told)}), replace=True)
    return False


def _sweep(out: str) -> None:
    """Takes away what killed writers left, in every folder."""
    fs, path = locate(out)
    if isinstance(fs, LocalFileSystem):
        for folder, _, _ in os.walk(path):
            sweep(folder)


def _short(old: dict[str, Any]) -> str:
    return str(old.get("fingerprint", "no fingerprint"))[:12]


def _write_part(root: str, out: str, layout: ExportFormat, choice: ExportChoice, writer: PartWriter) -> None:
    layout.write(writer, part_samples(root, writer.part, choice))
    mine = [asdict(file) for file in writer.files.written]
    commit_bytes(_record(out, writer.part), _json({"shard": writer.part.shard.name, "files": mine}), replace=True)


def _finish(out: str, layout: ExportFormat, parts: Sequence[ExportPart], told: DataExport) -> None:
    files = ExportFiles(out)
    for folder, mine in groupby(parts, key=lambda part: part.folder):
        group = list(mine)
        for name in layout.joined:
            files.join(f"{folder}/{name}", [share_of(part, name) for part in group])
        for name in layout.merged:
            files.merge(f"{folder}/{name}", [share_of(part, name) for part in group])
        if layout.derive:
            layout.derive(files, folder)
    files.put(README, readme(layout, told.sets, told.fingerprint).encode())
    late = list(files.written)
    with files.writing(SUMS) as sums:
        for file in (*_of_parts(out, parts), *late):
            sums.write(f"{file.sha256}  {file.name}\n".encode())
    commit_bytes(beside(out, SUMMARY), _json({"complete": True, **asdict(told)}), replace=True)


def _of_parts(out: str, parts: Sequence[ExportPart]) -> Iterator[WrittenFile]:
    for part in parts:
        for file in json.loads(read_bytes(_record(out, part)))["files"]:
            if not file["name"].startswith(f"{PARTS}/"):
                yield WrittenFile(**file)


def _clear(out: str) -> None:
    """What was in work is not needed any more."""
    fs, path = locate(beside(out, PARTS))
    if fs.isdir(path):
        fs.rm(path, recursive=True)


def _record(out: str, part: ExportPart) -> str:
    return beside(out, posixpath.join(PARTS, part.folder, f"{part.number:06d}.json"))


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
