"""A run in a bucket."""

from __future__ import annotations

from collections.abc import Iterator

import fsspec
import pytest

from voxmill.manifests.storage import commit_bytes
from voxmill.pipeline.state.run_dir import exists, names_in, read_bytes


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    moto = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (("ENDPOINT_URL", f"http://{host}:{port}"), ("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "y")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    fsspec.filesystem("s3").mkdir("somebucket")
    yield "s3://somebucket"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_what_is_committed_after_a_folder_was_listed_is_there(bucket: str) -> None:
    commit_bytes(f"{bucket}/run/first", b"1")
    assert names_in(f"{bucket}/run") == {"first"}
    commit_bytes(f"{bucket}/run/second", b"2")
    assert exists(f"{bucket}/run/second")
    assert read_bytes(f"{bucket}/run/second") == b"2"
    assert names_in(f"{bucket}/run") == {"first", "second"}
