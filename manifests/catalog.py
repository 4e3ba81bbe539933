"""A run as a database: DuckDB views over its Parquet tables, for Python and for the `duckdb` command line.

The script that makes them is in `catalog_script.py`; the pipeline keeps it as `RUN/catalog.sql`. It names every file, never a pattern: it
is the list of the tables that belong to the run, replaced in one step.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from voxmill.manifests.catalog_script import FILES, parquet_source, quoted, table_schemas, views_script
from voxmill.manifests.derived_records import DERIVED
from voxmill.manifests.errors import UserError
from voxmill.manifests.parquet import read_table
from voxmill.manifests.reasons import Reason
from voxmill.manifests.schema import SCHEMA_VERSION, SchemaError, check_version
from voxmill.manifests.storage import locate
from voxmill.manifests.tables import RECORDS
from voxmill.manifests.user_input import json_object

MEMORY = "1GB"
"""What DuckDB may use before it spills to disk; with Python and Arrow beside it, a process stays under 2 GB."""

CHECKS = 16
"""Files whose schema is read at the same time when a run is opened."""


class CatalogError(UserError):
    """The catalog cannot be opened or asked; the message is one line with the cause and the fix."""


def connect(database: str = ":memory:") -> Any:
    """A DuckDB connection with a memory limit: to a database in memory, which spills into the folder for temporary files, or in a file, which
    spills beside it."""
    spill = Path(tempfile.gettempdir()) / f"voxmill-duckdb-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    beside = str(spill) if database == ":memory:" else f"{database}.tmp"
    return duckdb.connect(database, config={"memory_limit": MEMORY, "temp_directory": beside})


def open_catalog(run_root: str, *asked: str) -> Any:
    """A DuckDB connection (see `connect`) with the views of a run at a path or fsspec URL.

    Who knows what will be asked says so in `asked`, queries or names of views: only the views that these need are made then, since making
    all of them takes 0.15 s.

    Parquet is read where it lies: by DuckDB itself on a local disk, through pyarrow and fsspec anywhere else, and an older
    schema version through its migrations. Raises CatalogError, SchemaError.
    """
    root = run_root.rstrip("/")
    files = _files_of(root)
    state = _run_json(root)
    con = connect()
    own = {name: _schema(f"{root}/{paths[0]}") for name, paths in files.items() if paths and name not in table_schemas()}
    told = {name: Reason(name, *texts) for name, texts in state.get("reasons", {}).items()}
    try:
        sources = table_sources(con, root, files)
        con.execute(views_script(sources, own, f"(SELECT {quoted(json.dumps(state))} AS content)", told, asked))
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise CatalogError(f"the tables of {root} cannot be opened ({first}): continue the run to write them again") from error
    return con


def catalog_files(run_root: str) -> set[str]:
    """Every file that a run's catalog names, relative to the run; none where it has no catalog that can be read."""
    try:
        return {path for paths in _files_of(run_root.rstrip("/")).values() for path in paths}
    except CatalogError:
        return set()


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


def settle(con: Any, *views: str) -> None:
    """Computes views now and keeps their answers in the connection, for whoever asks several others over them."""
    for view in views:
        con.execute(f"CREATE TABLE settled AS FROM {view}; DROP VIEW {view}; ALTER TABLE settled RENAME TO {view}")


def table_sources(con: Any, root: str, files: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What a view of each table that has files selects from: Parquet files, or an Arrow object that is registered with `con`.

    Of each table the first and the last file are looked at, at the same time. Derived tables that another version wrote are left
    out, with which they are computed anew. Raises CatalogError and SchemaError, naming the file and the fix.
    """
    with ThreadPoolExecutor(CHECKS) as pool:
        ends = {name: sorted({paths[0], paths[-1]}) for name, paths in files.items() if paths}
        checks = {name: [pool.submit(_version, f"{root}/{path}", name) for path in paths] for name, paths in ends.items()}
        versions = {name: {check.result() for check in found} for name, found in checks.items()}
    old = {name for name, found in versions.items() if found != {SCHEMA_VERSION}}
    derived_anew = "spans" not in versions or bool(old & DERIVED.keys())
    sources = {}
    for name in versions:
        if not (derived_anew and name in DERIVED):
            sources[name] = _source(con, root, name, files[name], migrate=name in old and name in RECORDS)
    return sources


def _source(con: Any, root: str, name: str, files: Sequence[str], *, migrate: bool) -> str:
    """What the view of one table selects from."""
    uris = [f"{root}/{file}" for file in files]
    fs, _ = locate(root)
    paths = [locate(uri)[1] for uri in uris]
    if migrate:
        con.register(f"{name}_files", pa.concat_tables([read_table(uri, RECORDS[name]) for uri in uris]))
    elif isinstance(fs, LocalFileSystem):
        return parquet_source(paths)
    else:
        from pyarrow.dataset import dataset  # here, because it imports pandas, which takes longer than opening a run

        handler = pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fs))  # type: ignore[abstract]
        con.register(f"{name}_files", dataset(paths, filesystem=handler, format="parquet"))
    return f"{name}_files"


def _version(uri: str, name: str) -> int:
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


def _files_of(root: str) -> dict[str, list[str]]:
    """The file list in the first line of a run's catalog.sql."""
    try:
        first = _read(f"{root}/catalog.sql").partition("\n")[0]
    except (FileNotFoundError, NotADirectoryError):
        _run_json(root)  # the better message where there is no run at all
        raise CatalogError(f"the run at {root} has no tables yet: finish it with the same `voxmill run` command") from None
    fix = "delete it and continue the run to write it again"
    if not first.startswith(FILES):
        raise CatalogError(f"{root}/catalog.sql was not written by voxmill: {fix}")
    files = json_object(first.removeprefix(FILES), f"the first line of {root}/catalog.sql", fix, CatalogError)
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
