"""The server answers its own page on this machine, and nobody else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import pytest

from voxmill.pipeline.view.answers import Viewer
from voxmill.pipeline.view.page_files import FILES, SCRIPTS, page_file
from voxmill.pipeline.view.view_server import ViewServer

PAGE = Path(__file__).parents[3] / "pipeline" / "view" / "page"


@pytest.fixture
def served(own_viewer: Viewer) -> Iterator[ViewServer]:
    with ViewServer(own_viewer) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(
    server: ViewServer, path: str, method: str = "GET", body: str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", server.server_port)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    reply = connection.getresponse()
    return reply.status, dict(reply.getheaders()), reply.read()


pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("view")]


def test_page_answers_and_sound_are_served(served: ViewServer) -> None:
    for name, kind in FILES.items():
        status, headers, body = asked(served, served.path + ("" if name == "index.html" else name))
        assert (status, headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
        assert body == page_file(name, live=True)
        assert "default-src 'none'" in headers["Content-Security-Policy"]
    rows = json.loads(asked(served, f"{served.path}api/segments?kept=yes")[2])["rows"]
    status, headers, body = asked(served, f"{served.path}api/audio?id={rows[0]['segment_id']}")
    assert (status, headers["Content-Type"], body[:4]) == (200, "audio/flac", b"fLaC")
    status, _, body = asked(served, f"{served.path}api/segment?id=nobody")
    assert (status, json.loads(body)["error"]) == (400, "no segment `nobody` in talks")


def test_whoever_does_not_know_the_address_gets_nothing(served: ViewServer) -> None:
    for path in (
        "/",
        "/index.html",
        "/api/overview",
        "/x" * 20,
        f"{served.path[:-2]}{'y' if served.path[-2] == 'x' else 'x'}/",
        served.path + "../" + "pyproject.toml",
        served.path + "data/run.js",
    ):
        assert asked(served, path)[0] == 404


def test_another_name_of_this_machine_is_refused(served: ViewServer) -> None:
    for host in ("example.org", f"example.org:{served.server_port}", "127.0.0.1", ""):
        assert asked(served, served.path, Host=host)[0] == 403
    assert asked(served, served.path, Host=f"localhost:{served.server_port}")[0] == 200


def test_a_mark_comes_from_the_page_itself(served: ViewServer) -> None:
    ident = served.viewer.answer("next", {})["segment_id"]
    body, path = json.dumps({"segment_id": ident, "mark": "right"}), f"{served.path}api/mark"
    origin = f"http://127.0.0.1:{served.server_port}"
    kind = {"Content_Type": "application/json"}
    assert asked(served, path, "POST", body, **kind)[0] == 403
    assert asked(served, path, "POST", body, Origin="https://example.org", **kind)[0] == 403
    assert asked(served, path, "POST", body, Origin="null", **kind)[0] == 403
    assert asked(served, path, "POST", body, Origin=origin, Content_Type="text/plain")[0] == 400
    assert asked(served, path, "POST", "{", Origin=origin, **kind)[0] == 400
    assert asked(served, path, "POST", "[]", Origin=origin, **kind)[0] == 400
    assert asked(served, path, "POST", "x" * 200_000, Origin=origin, **kind)[0] == 400
    assert asked(served, f"{served.path}api/segments", "POST", body, Origin=origin, **kind)[0] == 404
    assert not served.viewer.marks.rows
    assert asked(served, path, "POST", body, Origin=origin, **kind)[0] == 200
    assert served.viewer.marks.rows[ident]["mark"] == "right"


def test_nothing_else_can_be_done(served: ViewServer) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
        assert asked(served, served.path, method)[0] == 501


def test_the_page_names_no_other_place_and_every_file_is_loaded() -> None:
    assert {path.name for path in PAGE.iterdir()} == set(FILES)
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"https?://[^\s\"'`)]*", text)) <= {"http://www.w3.org/2000/svg"}, path.name
        assert "innerHTML" not in text, f"{path.name}: texts of a run are never markup"
        assert len(text.splitlines()) < 200
    assert page_file("index.html", live=True).count(b"<script") == len(SCRIPTS)
    assert page_file("index.html", live=False).count(b"<script") == len(SCRIPTS) + 1
