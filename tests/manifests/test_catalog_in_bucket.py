"""`catalog.sql` of a run in a bucket, read by the plain duckdb command: another program and another version than the one that wrote it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from stores.duckdb_command import DuckDBCommand, NoWheels, duckdb_command
from stores.faulty_proxy import Faults, FaultyProxy
from stores.store_environment import reaching, s3_environment
from stores.store_server import seaweedfs
from voxmill.manifests.catalog import open_catalog, query
from voxmill.manifests.catalog_script import catalog_sql
from voxmill.manifests.storage import commit_bytes, locate

from .factory import made_up_run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bucket")]
ROOT, OTHER = "s3://bucket/runs/one", "s3://bucket/runs/two"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyProxy]:
    with seaweedfs(tmp_path_factory.mktemp("weed")) as url, FaultyProxy(url) as proxy, reaching(s3_environment(proxy.url)):
        locate("s3://bucket")[0].mkdir("bucket")
        yield proxy


@pytest.fixture(scope="module")
def duckdb(tmp_path_factory: pytest.TempPathFactory) -> DuckDBCommand:
    try:
        return duckdb_command(tmp_path_factory.mktemp("duckdb"))
    except NoWheels as error:
        pytest.skip(str(error))


def upload(local: Path, root: str) -> None:
    """A run from a folder into the bucket, with the catalog that it has there."""
    files: dict[str, list[str]] = {}
    for path in sorted(local.rglob("*.parquet")):
        name = path.relative_to(local).as_posix()
        files.setdefault(path.name.rsplit("-", 1)[0], []).append(name)
        commit_bytes(f"{root}/{name}", path.read_bytes())
    commit_bytes(f"{root}/run.json", (local / "run.json").read_bytes())
    commit_bytes(f"{root}/catalog.sql", catalog_sql(files, root=root).encode(), replace=True)


def test_the_duckdb_command_reads_a_run_where_it_lies(store: FaultyProxy, duckdb: DuckDBCommand, tmp_path: Path) -> None:
    local = made_up_run().write(tmp_path / "run")
    upload(local, ROOT)
    (tmp_path / "catalog.sql").write_bytes(locate(ROOT)[0].cat_file("bucket/runs/one/catalog.sql"))
    host = store.url.removeprefix("http://")
    secret = f"CREATE SECRET (TYPE s3, KEY_ID 'voxmill', SECRET 'voxmill-secret', ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false);"
    con = open_catalog(str(local))
    for select in (
        "SELECT stage, counted, seconds_in::INT AS seconds FROM funnel",
        "SELECT count(*) AS n, sum(seconds)::INT AS s FROM timeline",
        "FROM conservation",
        "SELECT count(*) AS n FROM run",
    ):
        theirs = list(csv.DictReader(io.StringIO(duckdb.ask(f"{secret}\n.read catalog.sql", select, tmp_path))))
        ours = query(con, select).to_pylist()
        assert theirs == [{name: str(value) for name, value in row.items()} for row in ours]


def test_the_library_reads_it_through_faults(store: FaultyProxy, tmp_path: Path) -> None:
    local = made_up_run(seed=1).write(tmp_path / "run")
    store.faults = Faults(refused=0.1, cut=0.05)  # s3fs gives a read five tries
    try:
        upload(local, OTHER)
        there = query(open_catalog(OTHER), "FROM funnel").to_pylist()
    finally:
        store.faults = Faults()
    assert there == query(open_catalog(str(local)), "FROM funnel").to_pylist()
