"""What a folder holds and is not listed is said, by kinds."""

from __future__ import annotations

import os
from pathlib import Path

from voxmill.operators.crawl.listing.files import walk
from voxmill.operators.crawl.listing.unlisted import KEPT, Unlisted


def test_names_links_and_pipes_are_counted_apart(tmp_path: Path) -> None:
    for name in ("a.wav", "b.mp3", "notes.md", "more.MD", "README", "x.c2", "y.d3", "z.e4"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "dead.mp3").symlink_to("/nowhere/x.mp3")
    (tmp_path / "live.mp3").symlink_to(tmp_path / "b.mp3")
    os.mkfifo(tmp_path / "pipe.wav")
    found = Unlisted()
    listed = [one.url.rpartition("/")[2] for one in walk(str(tmp_path), None, found)]
    assert listed == ["a.wav", "b.mp3", "live.mp3"]
    said = str(found)
    assert said.startswith("6 files by name (2 .md, ")
    assert "1 others; `glob` chooses others), 1 link that leads nowhere, 1 special file (pipe, socket or device)" in said


def test_all_that_is_there_is_listed_or_counted(tmp_path: Path) -> None:
    for name in ("a.wav", "b.txt"):
        (tmp_path / name).write_bytes(b"")
    found = Unlisted()
    assert len(list(walk(str(tmp_path), "*.txt", found))) == 1
    assert found.by_suffix == {"wav": 1}
    assert str(Unlisted()) == ""


def test_what_is_counted_does_not_grow_with_the_names() -> None:
    found = Unlisted()
    for number in range(3 * KEPT):
        found.by_name(f"file.s{number}")
    assert len(found.by_suffix) <= KEPT + 1
    assert found.by_suffix.total() == 3 * KEPT
