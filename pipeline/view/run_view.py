"""A run that is looked at: its catalog, opened once, and what of its texts may be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, TypeAlias

import pyarrow as pa

from voxmill.manifests.catalog import open_catalog, settle
from voxmill.manifests.errors import UserError
from voxmill.manifests.public_form import public_text
from voxmill.manifests.schema import UNIT_INDEX
from voxmill.pipeline.state.positions import position_of
from voxmill.pipeline.state.run import Run

Row: TypeAlias = dict[str, Any]
"""A row of a table: names to values, records as mappings."""

AGAINST = "against"
"""The table that the run is compared with: segment_id, tier, kept, reason, agreement of another run."""

_LOCAL = re.compile(r"(?:\bfile://|(?<![\w:/.]))/(?:[^/\s'\"]+/)+")


class RunView:
    """The run at `root`, opened for whoever asks many questions of it. Raises CatalogError, SchemaError, RunError."""

    def __init__(self, root: str) -> None:
        self.run = Run(root)
        self.config: dict[str, Any] = self.run.load().get("config", {})
        self._con = open_catalog(root)
        self._lock = Lock()
        self.made: set[str] = set()
        """Tables that were added since."""
        self.other_name: str | None = None
        """Of the run that it is compared with."""
        settle(self._con, "fate_verdicts", "verdict_counts", "retention_counts")  # what the first page asks for
        owners = self.ask("SELECT table_name FROM duckdb_columns() WHERE column_name = ?", [UNIT_INDEX])
        self._by_unit = {row["table_name"] for row in owners}
        self.redacts = bool(self.config.get("redact"))
        """The run looks for personal data: texts that were not searched are not shown."""

    @property
    def name(self) -> str:
        """The last part of the run's address: a page says nothing of the machine that it was made on."""
        return self.run.absolute().root.rstrip("/").rsplit("/", 1)[-1]

    def ask(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of one query over the run's views; one query at a time, from whatever thread."""
        rows: list[Row] = self.table(sql, values).to_pylist()
        return rows

    def about(self, span: Row, table: str, columns: str = "*", key: str = "segment_id") -> list[Row]:
        """The rows of a table that are of one segment. Its unit says where in the files they lie, so that little is read."""
        where, values = f"{key} = ?", [span["segment_id"]]
        if table in self._by_unit and span["unit"]:
            where, values = f"{where} AND {UNIT_INDEX} = ?", [*values, position_of(span["unit"])]
        return self.ask(f"SELECT {columns} FROM {table} WHERE {where}", values)

    def about_all(self, spans: list[Row], table: str, columns: str) -> list[Row]:
        """As `about`, of several segments at once."""
        idents, units = [span["segment_id"] for span in spans], [span["unit"] for span in spans]
        where, values = f"segment_id IN ({', '.join('?' for _ in idents)})", list[Any](idents)
        if table in self._by_unit and all(units):
            where, values = (
                f"{UNIT_INDEX} IN ({', '.join('?' for _ in units)}) AND {where}",
                [*map(position_of, units), *idents],
            )
        return self.ask(f"SELECT {columns} FROM {table} WHERE {where}", values)

    def table(self, sql: str, values: Sequence[Any] = ()) -> pa.Table:
        """As `ask`, as an Arrow table."""
        with self._lock:
            found: pa.Table = self._con.sql(sql, params=list(values)).to_arrow_table()
        return found

    def with_connection(self, work: Any, *arguments: Any) -> Any:
        """What `work(connection, …)` returns, while nobody else uses the connection."""
        with self._lock:
            return work(self._con, *arguments)

    def compare_with(self, other: RunView) -> None:
        """Makes the other run's tiers the table `AGAINST` of this one's connection."""
        sql = "SELECT segment_id, tier, kept, reason, agreement FROM spans"
        self.keep(AGAINST, other.table(sql))
        self.other_name = other.name

    def keep(self, name: str, table: pa.Table) -> None:
        """Makes an Arrow table one of the connection's; its name is then in `made`."""
        with self._lock:
            self._con.register(name, table)
        self.made.add(name)

    def shown(self, text: str | None, redaction: Row | None, kept: bool) -> str | None:
        """A label as it may be shown: masked, and None where personal data was looked for elsewhere but not in it."""
        if redaction and redaction["masked"]:
            return str(redaction["text"])
        return None if self.withheld(text or "", redaction, kept) else text

    def withheld(self, text: str, redaction: Row | None, kept: bool) -> bool:
        """Whether a segment's words are not shown and not played: the run looks for personal data, and did not search these.

        What is kept is in the shards as it is, and so on the page.
        """
        return self.redacts and not kept and (redaction is None or (not redaction["masked"] and redaction["text"] != text))


def required(params: Mapping[str, str], name: str) -> str:
    """A parameter of a question that cannot be asked without it. Raises UserError."""
    if name not in params:
        raise UserError(f"the parameter `{name}` is missing")
    return params[name]


def no_place(text: str) -> str:
    """A text without secrets and without folders of this machine.

    >>> no_place("cannot read /home/me/talks/a.mp3: HTTP 403 at https://a.net/x?token=1")
    'cannot read a.mp3: HTTP 403 at https://a.net/x'
    """
    return _LOCAL.sub("", public_text(text))
