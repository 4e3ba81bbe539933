"""Tables that fit the terminal.

In a pipe or a log a table is as wide as its cells. On a terminal that is narrower than the table
1. prose is folded onto several lines (names and numbers never are, because people copy and compare them);
2. columns marked as spare are left out, and a line below names them;
3. if that is not enough, every row is printed as a list of its cells, one below the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from voxmill.pipeline.terminal.output import plain

Cell = str | Text

GAP = 2
"""Spaces between columns."""

PROSE_MIN = 24
"""Minimum width of folded prose."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, and what happens to it on a narrow terminal."""

    name: str
    kind: Literal["text", "number", "prose"] = "text"
    spare: int = 0
    """Columns above 0 may be left out, the highest first."""


def number(name: str, spare: int = 0) -> Column:
    """A column of numbers: aligned to the right, never folded."""
    return Column(name, "number", spare)


def prose(name: str, spare: int = 0) -> Column:
    """A column of sentences, which may be folded."""
    return Column(name, "prose", spare)


@dataclass(frozen=True, slots=True)
class Fit:
    """How a table is printed: which columns (by index) at which widths; with no columns, row by row."""

    columns: tuple[int, ...]
    widths: tuple[int, ...]


def fit(columns: Sequence[Column], natural: Sequence[int], width: int) -> Fit:
    """Chooses columns and widths for a terminal; `natural` is the width of each column's widest cell or heading.

    >>> fit([Column("name"), prose("meaning"), Column("note", spare=1)], [10, 60, 20], 60)
    Fit(columns=(0, 1, 2), widths=(10, 26, 20))
    >>> fit([Column("name"), prose("meaning"), Column("note", spare=1)], [10, 60, 20], 50)
    Fit(columns=(0, 1), widths=(10, 38))
    >>> fit([Column("name"), Column("address")], [10, 60], 50)
    Fit(columns=(), widths=())
    """
    shown = list(range(len(columns)))
    while shown:
        widths = _folded([columns[i] for i in shown], [natural[i] for i in shown], width)
        if widths:
            return Fit(tuple(shown), widths)
        spare = max(shown, key=lambda i: (columns[i].spare, i))
        if not columns[spare].spare:
            break
        shown.remove(spare)
    return Fit((), ())


def _folded(columns: Sequence[Column], natural: Sequence[int], width: int) -> tuple[int, ...]:
    """Widths that fit, the widest prose folded most; empty if nothing fits."""
    widths = list(natural)
    excess = sum(widths) + GAP * (len(widths) - 1) - width
    while excess > 0:
        foldable = [i for i, c in enumerate(columns) if c.kind == "prose" and widths[i] > PROSE_MIN]
        if not foldable:
            return ()
        widest = max(foldable, key=lambda i: widths[i])
        others = max((widths[i] for i in foldable if i != widest), default=PROSE_MIN)
        step = max(1, min(excess, widths[widest] - max(others, PROSE_MIN)))
        widths[widest] -= step
        excess -= step
    return tuple(widths)


def print_table(
    console: Console,
    columns: Sequence[Column | str],
    rows: Sequence[Sequence[Cell]],
    *,
    title: str | None = None,
    styles: Sequence[str] | None = None,
) -> None:
    """Prints a table; cells are plain text without markup. `styles` has one rich style for each row."""
    if title:
        console.print(Text(plain(title), style="bold"), soft_wrap=True)
    console.print(table_of(columns, rows, console.width, styles), soft_wrap=False)


def table_of(
    columns: Sequence[Column | str], rows: Sequence[Sequence[Cell]], width: int, styles: Sequence[str] | None = None
) -> RenderableType:
    """The table that `print_table` prints, for a terminal of `width` columns."""
    heads = [Column(c) if isinstance(c, str) else c for c in columns]
    cells = [[_text(cell) for cell in row] for row in rows]
    wanted = [max([cell_len(h.name), *(row[i].cell_len for row in cells)]) for i, h in enumerate(heads)]
    chosen = fit(heads, wanted, width)
    if not chosen.columns:
        return Group(*_row_by_row(heads, cells))
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for index, columns_wide in zip(chosen.columns, chosen.widths, strict=True):
        head, align = heads[index], "right" if heads[index].kind == "number" else "left"
        table.add_column(Text(head.name), justify=align, no_wrap=head.kind != "prose", width=columns_wide)  # type: ignore[arg-type]
    for row, style in zip(cells, styles or [""] * len(cells), strict=True):
        table.add_row(*(row[i] for i in chosen.columns), style=style)
    left_out = [head.name for i, head in enumerate(heads) if i not in chosen.columns and head.name.strip()]
    if not left_out:
        return table
    return Group(table, Text(f"no room for: {', '.join(left_out)}; a wider terminal or a pipe shows them", style="dim"))


def _row_by_row(heads: Sequence[Column], rows: Sequence[Sequence[Text]]) -> Iterator[Text]:
    """Each cell on its own line, folded if it is longer than the terminal is wide."""
    margin = max((cell_len(head.name) for head in heads), default=0)
    for row in rows:
        for head, cell in zip(heads, row, strict=True):
            if cell.plain:
                blanks = " " * (margin - cell_len(head.name) + GAP)
                yield Text.assemble((head.name, "dim"), blanks, cell, overflow="fold")
        yield Text()


def _text(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(plain(cell))
