"""One section of a report: what it says in words, as a table, and as a plot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cell: TypeAlias = str | int | float | None


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """What is said of one matter."""

    title: str
    says: str
    """The finding, in a sentence or two, with its figures; or why there is none."""
    head: tuple[str, ...] = ()
    """Names of the table's columns."""
    rows: Sequence[tuple[Cell, ...]] = ()
    figure: Figure | None = None


Rows: TypeAlias = list[tuple[Any, ...]]


def asked(con: Any) -> Callable[[str], Rows]:
    """A function that returns the rows of a query over a run's catalog."""

    def ask(sql: str) -> Rows:
        rows: Rows = con.execute(sql).fetchall()
        return rows

    return ask
