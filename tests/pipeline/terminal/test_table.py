"""Tables that fit where they are printed, and cells that are data."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from voxmill.pipeline.terminal.output import console_on
from voxmill.pipeline.terminal.table import GAP, Column, fit, number, print_table, prose

COLUMNS = ("name", number("rows"), prose("meaning"), Column("note", spare=1), number("share", 2))
ROWS = [
    ("whisper-large-v3-turbo-int8", "1,234,567", "what this is, in a sentence that is longer than any terminal is wide, sadly", "n" * 30, "1 %"),
    ("[/red]", "2", ":x: [laughter] [bold]b[/bold]", "", "99 %"),
]  # fmt: skip


def printed(width: int | None) -> str:
    """Without a width, as in a pipe."""
    out = io.StringIO()
    console = Console(file=out, width=width, markup=False, emoji=False, highlight=False) if width else console_on(out)
    print_table(console, COLUMNS, ROWS, title="Title [x]")
    return out.getvalue()


def test_a_pipe_gets_every_cell_whole_and_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = printed(None).splitlines()
    assert len(lines) == 4
    for row, line in zip(ROWS, lines[2:], strict=True):
        assert all(cell in line for cell in row)


@pytest.mark.parametrize("width", [200, 120, 100, 80, 60, 40])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(width: int) -> None:
    text = printed(width)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert "…" not in text
    for word in ("whisper-large-v3-turbo-int8", "1,234,567", "[/red]", ":x:", "[bold]b[/bold]"):
        assert word in text, word
    left_out = {name for name in ("note", "share") if text.count("99 %" if name == "share" else "n" * 30) == 0}
    for name in left_out:
        assert "no room for" in text
        assert name in text.partition("no room for")[2]


def test_where_nothing_helps_rows_are_lists_of_cells() -> None:
    out = io.StringIO()
    print_table(Console(file=out, width=30, markup=False), ("a", "address"), [("1", "x" * 50), ("2", "y")])
    assert [line.split() for line in out.getvalue().splitlines()] == [
        ["a", "1"], ["address"], ["x" * 30], ["x" * 20], [], ["a", "2"], ["address", "y"], [],
    ]  # fmt: skip


@given(
    st.lists(st.tuples(st.sampled_from(["text", "number", "prose"]), st.integers(0, 3), st.integers(1, 90)), min_size=1),
    st.integers(20, 200),
)
def test_what_fits_is_as_wide_as_the_terminal_at_most(made: list[tuple[str, int, int]], width: int) -> None:
    columns = [Column(str(i), kind, spare) for i, (kind, spare, _) in enumerate(made)]  # type: ignore[arg-type]
    natural = [n for _, _, n in made]
    found = fit(columns, natural, width)
    if not found.columns:
        needed = [min(n, 24) if c.kind == "prose" else n for c, n in zip(columns, natural, strict=True) if not c.spare]
        assert sum(needed) + GAP * (len(needed) - 1) > width or not needed
        return
    assert sum(found.widths) + GAP * (len(found.widths) - 1) <= width
    for index, got in zip(found.columns, found.widths, strict=True):
        assert got == natural[index] if columns[index].kind != "prose" else got <= natural[index]
    assert all(columns[i].spare for i in set(range(len(columns))) - set(found.columns))


def test_what_could_drive_a_terminal_is_printed_as_an_escape() -> None:
    out = io.StringIO()
    print_table(console_on(out), ("title",), [("\x1b]0;owned\x07\x9b31m two\nlines",)])
    assert out.getvalue().splitlines()[1].strip() == r"\x1b]0;owned\x07\x9b31m two\nlines"
