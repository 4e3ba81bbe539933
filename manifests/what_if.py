"""What other thresholds of `select` would keep, asked of a run's catalog."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from voxmill.manifests.catalog import CatalogError

ALIASES = {"agreement": "weak"}
"""No keys of a config, but words for one: the agreement that keeps a segment's text is `select.weak`."""


def what_if(con: Any, thresholds: Mapping[str, Any]) -> pa.Table:
    """Hours by tier under other thresholds of `select`, from the stored columns: nothing is run again.

    Keys are those of the config, `select.<threshold>` or `<threshold>`; of `high`, `weak` and `unlabelled` the others move along where
    they would no longer fall. `select.agreement` stands for `select.weak`. Raises CatalogError.
    """
    arguments, values = threshold_arguments(con, thresholds)
    try:
        table: pa.Table = con.sql(f"FROM what_if({arguments})", params=values).to_arrow_table()
    except duckdb.Error as error:
        given = ", ".join(f"{name}={value}" for name, value in thresholds.items())
        raise CatalogError(f"{given}: not a value of this kind ({str(error).splitlines()[0]})") from error
    return table


def threshold_arguments(con: Any, thresholds: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The arguments of the macros `what_if`, `judge` and `ruled` for these thresholds: SQL with placeholders, and their values.

    Raises CatalogError for a name that is no threshold and a value that none can have.
    """
    kinds = dict(con.execute("SELECT column_name, column_type FROM (DESCRIBE thresholds)").fetchall())
    names = {name: _threshold(name, kinds) for name in thresholds}
    for name, value in thresholds.items():
        _finite(name, value)
    arguments = ", ".join(f"{name} := ?::{kinds[name]}" for name in names.values())
    return arguments, [_value(names[name], value, kinds) for name, value in thresholds.items()]


def _threshold(name: str, known: Iterable[str]) -> str:
    """The threshold of that name. Raises CatalogError with the nearest one that exists."""
    bare = name.removeprefix("select.")
    bare = ALIASES.get(bare, bare)
    if bare in known:
        return bare
    near = difflib.get_close_matches(bare, sorted({*known, *ALIASES}), n=1, cutoff=0.6)
    hint = f"did you mean `select.{ALIASES.get(near[0], near[0])}`? There are" if near else "there are"
    raise CatalogError(f"no threshold `{name}`; {hint}, under `select`: {', '.join(known)}")


def _finite(name: str, value: Any) -> None:
    """NaN and infinities are numbers to Python and to DuckDB, in words as well; no threshold is one. Raises CatalogError."""
    try:
        bad = not math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return
    if bad:
        raise CatalogError(f"{name}={value}: a threshold is a finite number")


def _value(name: str, value: Any, kinds: Mapping[str, str]) -> Any:
    """A threshold's value as the views take it. To them NULL says *as it was*, so a fence that is off is a negative one."""
    if value is None and name == "rate_fence":
        return -1.0
    if value is None:
        raise CatalogError(f"select.{name} needs a value: only `select.rate_fence` can be null (no fence)")
    return value.split(",") if kinds[name].endswith("[]") and isinstance(value, str) else value
