"""Whose work is in the shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from factory import provenance, recording
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Licence, Recording
from voxmill.pipeline.rights.attribution import COLUMNS, packed_recordings


def members(*found: tuple[Recording, int]) -> pa.Table:
    return pa.table({"recording_id": [one.id for one, _ in found], "num_samples": [length for _, length in found]})


def lines(name: str, known: Sequence[Recording], *shards: tuple[str, pa.Table]) -> list[dict[str, str]]:
    with packed_recordings() as packed:
        for table, rows in shards:
            packed.add(table, rows)
        packed.tell(known[:1], {})
        packed.tell(known[1:], {})
        header, *found = packed.lines(name)
        assert packed.names() == sorted({table for table, _ in shards})
    assert header == COLUMNS
    return [dict(zip(COLUMNS, line, strict=True)) for line in found]


def test_a_line_names_who_asks_to_be_named() -> None:
    work = replace(recording("a"), licence=Licence("cc-by-4.0", "https://example.org/terms", "page", "A. Speaker\t(2024)"))
    (cells,) = lines("t.tsv", [work], ("t.tsv", members((work, 16000), (work, 8000))))
    assert (cells["attribution"], cells["licence"], cells["samples"], cells["seconds"]) == (
        "A. Speaker (2024)", "cc-by-4.0", "2", "1.500"
    )  # fmt: skip


def test_local_paths_stay_at_home_and_order_is_by_id() -> None:
    works = [replace(recording(name), provenance=provenance(url=f"file:///home/me/{name}.wav")) for name in "cab"]
    found = lines("t.tsv", works, ("t.tsv", members(*((one, 16000) for one in works))))
    assert "/home/me" not in str(found)
    assert [cells["recording_id"] for cells in found] == sorted(one.id for one in works)


def test_a_table_has_what_is_packed_there_from_all_of_its_shards() -> None:
    a, b, c, unpacked = (recording(name) for name in "abcd")
    broken = replace(recording("a"), rejection=reject("decode.corrupt", "x"), licence=Licence("of the broken one"))
    shards = [("x.tsv", members((a, 16000), (b, 16000))), ("y.tsv", members((c, 16000))), ("x.tsv", members((a, 32000)))]
    found = lines("x.tsv", [broken, unpacked, c, b, a], *shards)
    assert {cells["recording_id"]: cells["seconds"] for cells in found} == {a.id: "3.000", b.id: "1.000"}
    assert {cells["licence"] for cells in found} == {a.licence.name}
