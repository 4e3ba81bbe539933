"""A run as a database: DuckDB views over its Parquet tables, for Python and for the `duckdb` command line.

`catalog_sql` writes the script that the pipeline keeps as `RUN/catalog.sql`. It names every file, never a pattern: it is the list of
the tables that belong to the run, replaced in one step. The views themselves are in `catalog.sql` beside this module.
"""

from __future__ import annotations

import difflib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from voxmill.manifests.errors import UserError
from voxmill.manifests.parquet import read_table
from voxmill.manifests.reasons import REASONS, Reason
from voxmill.manifests.schema import SCHEMA_VERSION, SchemaError, check_version, schema_of
from voxmill.manifests.storage import locate
from voxmill.manifests.tables import RECORDS, TABLES
from voxmill.manifests.user_input import json_object


def _columns(text: str = "", whole: str = "", real: str = "") -> list[pa.Field[Any]]:
    kinds = ((text, pa.string()), (whole, pa.int64()), (real, pa.float64()))
    return [pa.field(name, kind) for names, kind in kinds for name in names.split()]


SAMPLES: pa.Schema = pa.schema(_columns("shard key segment_id recording_id split licence tier", "num_samples"))
"""What the views need of the table of packed samples; it may have more."""

UNPACKED: pa.Schema = pa.schema(_columns("segment_id reason detail"))
"""Samples that were selected and could not be packed."""

COSTS: pa.Schema = pa.schema(_columns("unit stage engine host device", "max_rss_bytes attempts", "wall_s cpu_s"))
"""What one stage spent on one unit. Crawling and decoding have units of their own: groups of listed items."""

ALIASES = {"agreement": "weak"}
"""No keys of a config, but words for one: the agreement that keeps a segment's text is `select.weak`."""

_FILES = "-- files: "


class CatalogError(UserError):
    """The catalog cannot be opened or asked; the message is one line with the cause and the fix."""


class ConditionError(UserError, ValueError):
    """A SQL condition that cannot be read or applied; the message shows where and why."""


def table_schemas() -> dict[str, pa.Schema]:
    """The columns of every table of a run."""
    schemas = {name: schema_of(record) for name, record in RECORDS.items()}
    for table in TABLES:
        if table.adds_unit:
            schemas[table.name] = schemas[table.name].append(pa.field("unit", pa.string()))
    return {**schemas, "samples": SAMPLES, "unpacked": UNPACKED, "costs": COSTS}


def catalog_sql(files: Mapping[str, Sequence[str]], own: Mapping[str, pa.Schema] | None = None) -> str:
    """The script that makes a run's views, for `cd RUN && duckdb -init catalog.sql`.

    `files` holds the Parquet files of each table, relative to the run; a table without files is an empty view. `own` holds the schemas
    of the tables of the user's own stages, which are files of the run as well.
    """
    own = own or {}
    listed = {name: list(files.get(name, ())) for name in (*table_schemas(), *own)}
    sources = {name: _parquet(paths) if paths else _nothing(name) for name, paths in listed.items()}
    return _FILES + json.dumps(listed) + "\n" + _script(sources, own, f"read_text({_quote('run.json')})")


def open_catalog(run_root: str) -> Any:
    """An in-memory DuckDB connection with the views of a run at a path or fsspec URL.

    Parquet is read where it lies: by DuckDB itself on a local disk, through pyarrow and fsspec anywhere else, and an older
    schema version through its migrations. Raises CatalogError, SchemaError.
    """
    root = run_root.rstrip("/")
    files = _files_of(root)
    state = _run_json(root)
    con = duckdb.connect()
    own = {name: _schema(f"{root}/{paths[0]}") for name, paths in files.items() if paths and name not in table_schemas()}
    sources = {name: _source(con, root, name, files.get(name, [])) for name in (*table_schemas(), *own)}
    told = {name: Reason(name, *texts) for name, texts in state.get("reasons", {}).items()}
    try:
        con.execute(_script(sources, own, f"(SELECT {_quote(json.dumps(state))} AS content)", told))
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise CatalogError(f"the tables of {root} cannot be opened ({first}): continue the run to write them again") from error
    return con


def query(con: Any, sql: str) -> pa.Table:
    """The answer to one SELECT; any other statement is refused. Raises CatalogError."""
    try:
        statements = con.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise CatalogError("only a single SELECT can be asked of a run: its tables are never changed here")
        table: pa.Table = con.sql(sql).to_arrow_table()
    except duckdb.Error as error:
        raise CatalogError(f"the query fails: {str(error).splitlines()[0]}") from error
    return table


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
        if names and names[-1].lower() not in map(str.lower, columns):
            near = difflib.get_close_matches(names[-1], columns, n=1, cutoff=0.0)
            raise ConditionError(f"no column {names[-1]!r}; did you mean {near[0]!r}? There are {', '.join(columns)}")
        if function and con.execute(_UNSTABLE, [function.lower()]).fetchall():
            raise ConditionError(f"`{where}` uses {function}(), whose answer differs from call to call")


_UNSTABLE = "SELECT 1 FROM duckdb_functions() WHERE function_name = ? AND stability <> 'CONSISTENT'"


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every expression in a serialised statement."""
    if isinstance(tree, dict) and "class" in tree:
        yield tree
    for part in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(part)


def what_if(con: Any, thresholds: Mapping[str, Any]) -> pa.Table:
    """Hours by tier under other thresholds of `select`, from the stored columns: nothing is run again.

    Keys are those of the config, `select.<threshold>` or `<threshold>`; of `high`, `weak` and `unlabelled` the others move along where
    they would no longer fall. `select.agreement` stands for `select.weak`. Raises CatalogError.
    """
    kinds = dict(con.execute("SELECT column_name, column_type FROM (DESCRIBE thresholds)").fetchall())
    names = {name: _threshold(name, kinds) for name in thresholds}
    given = ", ".join(f"{name}={value}" for name, value in thresholds.items())
    arguments = ", ".join(f"{name} := ?::{kinds[name]}" for name in names.values())
    for name, value in thresholds.items():
        _finite(name, value)
    values = [_value(names[name], value, kinds) for name, value in thresholds.items()]
    try:
        table: pa.Table = con.sql(f"FROM what_if({arguments})", params=values).to_arrow_table()
    except duckdb.Error as error:
        raise CatalogError(f"{given}: not a value of this kind ({str(error).splitlines()[0]})") from error
    return table


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


def _files_of(root: str) -> dict[str, list[str]]:
    """The file list in the first line of a run's catalog.sql."""
    try:
        first = _read(f"{root}/catalog.sql").partition("\n")[0]
    except (FileNotFoundError, NotADirectoryError):
        _run_json(root)  # the better message where there is no run at all
        raise CatalogError(f"the run at {root} has no tables yet: finish it with the same `voxmill run` command") from None
    fix = "delete it and continue the run to write it again"
    if not first.startswith(_FILES):
        raise CatalogError(f"{root}/catalog.sql was not written by voxmill: {fix}")
    files = json_object(first.removeprefix(_FILES), f"the first line of {root}/catalog.sql", fix, CatalogError)
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in files.values()):
        raise CatalogError(f"{root}/catalog.sql does not list files in its first line: {fix}")
    return files


def _run_json(root: str) -> dict[str, Any]:
    try:
        whole = _read(f"{root}/run.json")
    except (FileNotFoundError, NotADirectoryError):
        raise CatalogError(
            f"no run at {root} (run.json is missing): check the path, or start one with `voxmill run SOURCES -o {root}`"
        ) from None
    run = json_object(whole, f"{root}/run.json", "restore it, or start a new run", CatalogError)
    check_version(run.get("schema_version", SCHEMA_VERSION), f"{root}/run.json")
    return run


def _read(uri: str) -> str:
    fs, path = locate(uri)
    try:
        text: str = fs.cat_file(path).decode()
    except UnicodeDecodeError:
        raise CatalogError(
            f"{uri} is damaged: it is not UTF-8 text; restore it, or continue the run to write it again"
        ) from None
    return text


def _source(con: Any, root: str, name: str, files: Sequence[str]) -> str:
    """What a table's view selects from: files, nothing, or an Arrow object registered with the connection."""
    if not files:
        return _nothing(name)
    uris = [f"{root}/{file}" for file in files]
    fs, _ = locate(root)
    paths = [locate(uri)[1] for uri in uris]
    versions = {_version(fs, path, uri, name) for path, uri in zip(paths, uris, strict=True)}
    if versions != {SCHEMA_VERSION} and name in RECORDS:
        con.register(f"{name}_files", pa.concat_tables([read_table(uri, RECORDS[name]) for uri in uris]))
    elif isinstance(fs, LocalFileSystem):
        return _parquet(paths)
    else:
        handler = pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fs))  # type: ignore[abstract]
        con.register(f"{name}_files", pyarrow.dataset.dataset(paths, filesystem=handler, format="parquet"))
    return f"{name}_files"


def _version(fs: Any, path: str, uri: str, name: str) -> int:
    """The schema version of a file of a table. Raises SchemaError where it is newer or columns are missing."""
    schema = _schema(uri)
    stated = (schema.metadata or {}).get(b"voxmill.schema_version")
    version = check_version(stated or SCHEMA_VERSION, uri)
    missing = [column for column in table_schemas().get(name, schema).names if column not in schema.names]
    if missing and version == SCHEMA_VERSION:
        raise SchemaError(f"{uri} does not hold the table `{name}`: missing {missing}; continue the run to write it again")
    return version


def _schema(uri: str) -> pa.Schema:
    """Of a Parquet file. Raises CatalogError where it is gone, SchemaError where it is none."""
    fs, path = locate(uri)
    try:
        with fs.open(path, "rb") as source:
            return pq.read_schema(source)
    except FileNotFoundError:
        raise CatalogError(
            f"{uri} is missing: continue the run with the same `voxmill run` command to write it again"
        ) from None
    except (pa.ArrowException, IsADirectoryError) as error:
        raise SchemaError(f"{uri} is no readable Parquet file ({error}): continue the run to write it again") from error


def _own_rows(own: Mapping[str, pa.Schema]) -> str:
    """The verdicts of the user's own stages, as one query: (stage, segment_id, kept, reason)."""
    queries = [
        "SELECT NULL::VARCHAR AS stage, NULL::VARCHAR AS segment_id, NULL::BOOLEAN AS kept, NULL::VARCHAR AS reason WHERE false"
    ]
    for name, schema in own.items():
        verdict = "rejection IS NULL, rejection.reason" if "rejection" in schema.names else "true, NULL"
        queries.append(f"SELECT {_quote(name)}, segment_id, {verdict} FROM {_identifier(name)}")
    return " UNION ALL ".join(queries)


def _script(
    sources: Mapping[str, str], own: Mapping[str, pa.Schema], run: str, told: Mapping[str, Reason] | None = None
) -> str:
    """The views over `sources` (table to what it selects from). `told`: reasons that the run itself states, of the user's own stages."""
    lines = [f"CREATE OR REPLACE VIEW {_identifier(name)} AS FROM {source};" for name, source in sources.items()]
    lines.append(f"CREATE OR REPLACE VIEW own_rows AS {_own_rows(own)};")
    lines.append(f"CREATE OR REPLACE VIEW run AS FROM {run};")
    rows = ",\n    ".join(
        f"({', '.join(map(_quote, (r.name, r.stage, r.meaning, r.advice)))})" for r in {**(told or {}), **REASONS}.values()
    )
    lines.append(f"CREATE OR REPLACE VIEW reasons AS FROM (VALUES\n    {rows}\n) AS reasons(reason, stage, meaning, advice);")
    return "\n".join(lines) + "\n\n" + _views()


@cache
def _views() -> str:
    return Path(__file__).with_name("catalog.sql").read_text(encoding="utf-8")


def _parquet(paths: Sequence[str]) -> str:
    return f"read_parquet([{', '.join(map(_quote, paths))}])"


def _nothing(name: str) -> str:
    """No rows, with the columns of a table."""
    columns = ", ".join(f"NULL::{sql_type(field.type)} AS {_identifier(field.name)}" for field in table_schemas()[name])
    return f"(SELECT {columns} WHERE false)"


def sql_type(arrow: pa.DataType) -> str:
    """The DuckDB type of an Arrow type that records use.

    >>> sql_type(pa.list_(pa.struct([("a", pa.int64())])))
    'STRUCT("a" BIGINT)[]'
    """
    if pa.types.is_list(arrow):
        return sql_type(arrow.value_type) + "[]"
    if pa.types.is_struct(arrow):
        return f"STRUCT({', '.join(f'{_identifier(f.name)} {sql_type(f.type)}' for f in arrow)})"
    return {pa.string(): "VARCHAR", pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN"}[arrow]


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
