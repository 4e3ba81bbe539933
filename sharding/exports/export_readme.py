"""The README of an export: what is in it and how it is opened."""

from __future__ import annotations

from collections.abc import Sequence

from voxmill.sharding.exports.export_format import ExportFormat
from voxmill.sharding.exports.export_plan import ExportedSet


def readme(layout: ExportFormat, sets: Sequence[ExportedSet], print_: str) -> str:
    """Markdown. The same export has the same words."""
    rows = "".join(f"| `{s.folder}` | {s.licence} | {s.split} | {s.samples} | {s.seconds / 3600:.3f} |\n" for s in sets)
    first = sets[0]
    config, split = first.folder.split("/")
    code = layout.opened_by.format(set=first.folder, config=config, split=split, last=first.parts - 1)
    return f"""{layout.card(sets) if layout.card else ""}# Speech data

Written by `voxmill export-data --to {layout.name}`: {layout.what}. Fingerprint `{print_}`: an export with the same one has the same bytes.

| folder | licence | split | samples | hours |
|---|---|---|---|---|
{rows}
Licences are kept apart: each folder has one. `sha256sum -c SHA256SUMS` proves the files. To open a folder:

```
{code}
```
"""
