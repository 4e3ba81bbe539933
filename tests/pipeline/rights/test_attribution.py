"""Whose work is in the shards."""

from __future__ import annotations

from dataclasses import replace

from factory import provenance, recording
from voxmill.manifests.records import Licence
from voxmill.pipeline.rights.attribution import COLUMNS, table


def test_a_line_names_who_asks_to_be_named() -> None:
    work = replace(recording("a"), licence=Licence("cc-by-4.0", "https://example.org/terms", "page", "A. Speaker\t(2024)"))
    text = table({work.id: (2, 24000)}, {work.id: work}).decode()
    header, line = text.splitlines()
    assert tuple(header.split("\t")) == COLUMNS
    cells = dict(zip(COLUMNS, line.split("\t"), strict=True))
    assert (cells["attribution"], cells["licence"], cells["samples"], cells["seconds"]) == (
        "A. Speaker (2024)",
        "cc-by-4.0",
        "2",
        "1.500",
    )


def test_local_paths_stay_at_home_and_order_is_by_id() -> None:
    works = [replace(recording(name), provenance=provenance(url=f"file:///home/me/{name}.wav")) for name in "cab"]
    known = {w.id: w for w in works}
    text = table({w.id: (1, 16000) for w in works}, known).decode()
    assert "/home/me" not in text
    ids = [line.split("\t")[0] for line in text.splitlines()[1:]]
    assert ids == sorted(known)
