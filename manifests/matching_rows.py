"""Which rows of an Arrow table a SQL condition of the user is true for: `train --where` and its like."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from voxmill.manifests.errors import UserError


class ConditionError(UserError, ValueError):
    """A SQL condition that cannot be read or applied; the message shows where and why."""


def matching_rows(table: pa.Table, where: str) -> pa.Table:
    """The rows of an Arrow table for which a SQL condition is true (not false, not NULL), in their order.

    `where` is one boolean expression over the table's columns, as after WHERE. It cannot read files or other tables, and functions
    whose answer differs from call to call (`random()`, `now()`) are refused. Raises ConditionError.

    >>> matching_rows(pa.table({"tier": ["high", "weak", None]}), "tier <> 'weak'").to_pylist()
    [{'tier': 'high'}]
    """
    con = _sandbox(os.getpid())
    _check_condition(con, where, table.column_names)
    try:
        condition, rows = duckdb.SQLExpression(where), con.from_arrow(table.append_column(_ROW, pa.array(range(len(table)))))
        if (kind := str(rows.project(condition).types[0])) != "BOOLEAN":
            raise ConditionError(f"`{where}` is no condition: its value is a {kind}, not true or false")
        kept = rows.filter(condition).project(f'"{_ROW}"').fetchall()
    except duckdb.Error as error:
        raise ConditionError(f"`{where}` cannot be applied: {str(error).splitlines()[0]}") from error
    return table.take(pa.array(sorted(row for (row,) in kept), pa.int64()))


_ROW = "row number of matching_rows"
_PARTS = {"COMPARISON", "CONJUNCTION", "OPERATOR", "BETWEEN", "CONSTANT", "COLUMN_REF", "CAST", "TYPE", "CASE", "FUNCTION"}
"""Of a condition's syntax tree, what one row decides: no subquery, window, parameter or `*`."""


@cache
def _sandbox(_process: int) -> Any:
    """A DuckDB that reads no file and runs on one thread; one for each process, since a forked one must not share it."""
    return duckdb.connect(
        config={"enable_external_access": False, "python_enable_replacements": False, "threads": 1, "memory_limit": "1GB"}
    )


def _check_condition(con: Any, where: str, columns: Sequence[str]) -> None:
    """Raises ConditionError unless `where` is one expression of known columns that gives the same answer every time."""
    prefix = "SELECT "
    ((serialised,),) = con.execute("SELECT json_serialize_sql(?)", [prefix + where]).fetchall()
    tree = json.loads(serialised)
    if tree["error"]:
        place = max(0, int(tree.get("position") or len(prefix + where)) - len(prefix))
        raise ConditionError(f"{tree['error_message']} in `{where[:place]}>>>{where[place:]}`")
    statements = [statement["node"] for statement in tree["statements"]]
    asked = [one for node in statements for one in node.get("select_list", [])]
    if len(statements) != 1 or len(asked) != 1 or asked[0]["alias"] or statements[0]["from_table"]["type"] != "EMPTY":
        raise ConditionError(f"`{where}` is more than one condition: join conditions with AND or OR")
    for node in _nodes(tree):
        names, function = node.get("column_names", []), node.get("function_name")
        if node["class"] not in _PARTS:
            raise ConditionError(f"`{where}` holds a {node['class'].lower()}: only comparisons within one row can be used here")
        if names and names[0].lower() not in map(str.lower, columns):  # then fields of a column, as in `labels.gender`
            near = difflib.get_close_matches(names[0], columns, n=1, cutoff=0.0)
            raise ConditionError(f"no column {names[0]!r}; did you mean {near[0]!r}? There are {', '.join(columns)}")
        if function and con.execute(_UNSTABLE, [function.lower()]).fetchall():
            raise ConditionError(f"`{where}` uses {function}(), whose answer differs from call to call")


_UNSTABLE = "SELECT 1 FROM duckdb_functions() WHERE function_name = ? AND stability <> 'CONSISTENT'"


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every expression in a serialised statement."""
    if isinstance(tree, dict) and "class" in tree:
        yield tree
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(part)
