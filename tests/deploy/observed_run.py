"""A small real run on Ray, submitted as a job, into an S3 store that fails now and then; watched by Prometheus, or by asking for metrics."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from deploy.promql import filled
from speech.packaged import TWO_CITIES
from website import Website, typed

BIN = Path(sys.executable).parent
CLIPS = 12
HEAD_S = 180.0
"""For the dashboard to answer."""
HEAD_STARTS = 5
FAILS_EVERY = 40
"""One request in so many is answered with 503."""


@dataclass
class Observed:
    """What was seen of the run."""

    code: int = -1
    log: str = ""
    """What `ray job logs` prints."""
    samples: dict[str, float] = field(default_factory=dict)
    """Last value of every series, summed over labels, by name."""
    answers: dict[str, int] = field(default_factory=dict)
    """Query -> series that Prometheus answered with, once the run was over. Empty where Prometheus is not installed."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class FaultyStore:
    """WSGI: moto's S3, with a 503 in the place of one answer in `FAILS_EVERY`."""

    def __init__(self) -> None:
        self._app, self._asked = DomainDispatcherApplication(create_backend_app), 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self._asked += 1
        if self._asked % FAILS_EVERY == 0 and environ["REQUEST_METHOD"] != "POST":
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer


@contextmanager
def store() -> Iterator[str]:
    """The address of the store, with a bucket `runs` in it."""
    from threading import Thread

    server = make_server("127.0.0.1", free_port(), FaultyStore(), threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.port}"
    urllib.request.urlopen(urllib.request.Request(f"{address}/runs", method="PUT"), timeout=60)
    try:
        yield address
    finally:
        server.shutdown()


def clips() -> dict[str, bytes]:
    """22 seconds each of a real reading, one silent. Recognising them takes longer than the ten seconds after which Ray hands on what it has
    counted: of what it hands on but once, Prometheus knows no rate.
    """
    audio, rate = soundfile.read(TWO_CITIES.path, dtype="float32")
    found = {}
    for number in range(CLIPS):
        part = audio[number * 2 * rate : (number * 2 + 22) * rate]
        file = io.BytesIO()
        soundfile.write(file, part if number else np.zeros_like(part), rate, format="WAV", subtype="PCM_16")
        found[f"/{number}.wav"] = file.getvalue()
    return found


@contextmanager
def ray_head(folder: Path, environment: Mapping[str, str], metrics_port: int, dashboard_port: int) -> Iterator[str]:
    """A head with dashboard and metrics; its address."""
    port = free_port()
    command = [
        BIN / "ray", "start", "--head", "--block", f"--port={port}", f"--metrics-export-port={metrics_port}", "--num-cpus=3",
        f"--dashboard-port={dashboard_port}", "--include-dashboard=true", f"--temp-dir={folder}", "--disable-usage-stats",
        f"--ray-client-server-port={free_port()}", f"--dashboard-agent-listen-port={free_port()}",
    ]  # fmt: skip
    with (folder.parent / "ray.log").open("ab") as log:
        start = partial(
            subprocess.Popen, list(map(str, command)), env=dict(environment), stdout=log, stderr=log, cwd=folder.parent
        )
        head = start()
        for _ in range(HEAD_STARTS):  # on a busy machine a raylet gives its own agent up after 15 s, and the head ends
            end = time.monotonic() + HEAD_S
            while head.poll() is None and not _get(f"http://127.0.0.1:{dashboard_port}/api/version"):
                if time.monotonic() > end:
                    head.terminate()
                    raise RuntimeError(f"Ray's dashboard did not answer within {HEAD_S:.0f} s")
                time.sleep(2)
            if head.poll() is None:
                break
            head = start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        head.terminate()
        head.wait(60)


@contextmanager
def prometheus(folder: Path, metrics_port: int, rules: Path) -> Iterator[str | None]:
    """The address of a Prometheus that scrapes the head; None where it is not installed."""
    if not shutil.which("prometheus"):
        yield None
        return
    scrape = [{"job_name": "ray", "scrape_interval": "2s", "static_configs": [{"targets": [f"127.0.0.1:{metrics_port}"]}]}]
    config = folder / "prometheus.yaml"
    config.write_text(yaml.safe_dump({"scrape_configs": scrape, "rule_files": [str(rules)]}))
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def observe(folder: Path, queries: Iterable[str], rules: Path, limit_s: float) -> Observed:
    """Runs, watches, and asks. Raises RuntimeError where the job does not end within `limit_s`."""
    seen, metrics_port, dashboard_port = Observed(), free_port(), free_port()
    with Website({path: typed(body, "audio/wav") for path, body in clips().items()}) as site, store() as address:
        environment = {
            **os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL": address,
            "AWS_DEFAULT_REGION": "us-east-1", "PATH": f"{BIN}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1",
            "RAY_AUTH_MODE": "disabled",  # else a token in the home of whoever runs this is asked for
        }  # fmt: skip
        (folder / "run.yaml").write_text(yaml.safe_dump(_config(site)))
        with (
            ray_head(folder / "ray", environment, metrics_port, dashboard_port) as head,
            prometheus(folder, metrics_port, rules) as server,
        ):
            dashboard = f"http://127.0.0.1:{dashboard_port}"
            run = f"voxmill run -c {folder / 'run.yaml'} -o s3://runs/observed --executor ray --address {head}"
            submit = [
                BIN / "ray",
                "job",
                "submit",
                "--address",
                dashboard,
                "--submission-id",
                "observed",
                "--no-wait",
                "--",
                *run.split(),
            ]
            ray = partial(
                subprocess.run, check=True, capture_output=True, timeout=limit_s, cwd=folder, env=environment, text=True
            )
            ray(list(map(str, submit)))
            state = {"status": "PENDING"}

            def ended() -> bool:
                seen.samples |= scraped(metrics_port)
                state.update(json.loads(_get(f"{dashboard}/api/jobs/observed") or "{}"))
                return state["status"] in ("SUCCEEDED", "FAILED", "STOPPED")

            _until(ended, limit_s, "the run")
            seen.code = 0 if state["status"] == "SUCCEEDED" else 1
            time.sleep(12)  # Ray hands on what it has every ten seconds
            seen.samples |= scraped(metrics_port)
            seen.log = ray([str(BIN / "ray"), "job", "logs", "--log-color", "false", "--address", dashboard, "observed"]).stdout
            if server:
                seen.answers = {query: _series(server, query) for query in queries}
    return seen


def _config(site: Website) -> dict[str, Any]:
    urls = [f"{site.url}/{number}.wav" for number in range(CLIPS)]
    return {
        "sources": [{"name": "site", "urls": urls, "language": "en", "licence": "cc0-1.0"}],
        "crawl": {"contact": "tests@example.org", "allow_private": [site.host], "requests_per_second": 1},
        "units": {"seconds": 10},
        "transcribe": [{"kind": "moonshine", "name": "moonshine", "model": "moonshine-tiny-en"}],
    }


def scraped(port: int) -> dict[str, float]:
    """Every series of the metrics endpoint, summed over its labels; nothing where nobody answers yet."""
    found: dict[str, float] = {}
    for line in _get(f"http://127.0.0.1:{port}/metrics").splitlines():
        if match := re.match(r"(ray_voxmill_\w+)(?:\{.*\})? (\S+)$", line):
            found[match[1]] = found.get(match[1], 0.0) + float(match[2])
    return found


def _series(server: str, query: str) -> int:
    """Series that Prometheus answers with, each of them at any moment of the last hour."""
    now = time.time()
    asked = {"query": filled(query), "start": now - 3600, "end": now, "step": 5}
    body = json.loads(_get(f"{server}/api/v1/query_range?{urllib.parse.urlencode(asked)}") or "{}")
    return len(body.get("data", {}).get("result", ()))


def _get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return ""


def _until(met: Callable[[], object], limit_s: float, what: str) -> None:
    end = time.monotonic() + limit_s
    while not met():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} was not there after {limit_s:.0f} s")
        time.sleep(2)
