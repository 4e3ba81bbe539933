"""A folder of files has the answers of the server, for a sample of each tier."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from voxmill.manifests.errors import UserError
from voxmill.pipeline.cli import app
from voxmill.pipeline.view.answers import Viewer
from voxmill.pipeline.view.overview import FACETS
from voxmill.pipeline.view.page_files import FILES
from voxmill.pipeline.view.static_view import file_of, key_of, write_view

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("view")]


@pytest.fixture(autouse=True)
def few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place of a slider is a query over the run."""
    monkeypatch.setattr("voxmill.pipeline.view.static_view.POINTS", 3)


def put(path: Path) -> tuple[str, Any]:
    """(key, answer) of a script."""
    key, answer = json.loads("[" + path.read_text(encoding="utf-8").removeprefix("voxmill.put(").removesuffix(");\n") + "]")
    return key, answer


def test_answers_are_those_of_the_server(viewer: Viewer, tmp_path: Path) -> None:
    out = tmp_path / "page"
    made = write_view(viewer, str(out), per_tier=2)
    assert {path.name for path in out.iterdir()} >= set(FILES)
    for facet in FACETS:
        params = {"by": facet}
        assert put(out / f"data/{file_of('distributions', params)}.js") == (
            key_of("distributions", params),
            viewer.answer("distributions", params),
        )
    for name in ("overview", "choices", "thresholds", "comparison"):
        assert put(out / f"data/{name}.js") == (name, viewer.answer(name, {}))
    _, segments = put(out / "data/segments.js")
    assert len(segments["rows"]) == made["segments"]
    by_tier = [row["tier"] for row in segments["rows"] if not row.get("tier_then")]
    assert by_tier
    assert all(by_tier.count(tier) <= 2 for tier in set(by_tier))
    for row in segments["rows"]:
        _, told = put(out / f"data/segments/{row['segment_id']}.js")
        assert told["span"]["segment_id"] == row["segment_id"]
        _, sound = put(out / f"data/audio/{row['segment_id']}.js")
        assert base64.b64decode(sound)[:4] == b"fLaC"
    _, grid = put(out / "data/what_if.js")
    place = next(one for one in grid["sliders"]["weak"] if one["at"] == 0.5)
    assert place["rows"] == viewer.answer("what_if", {"set": '{"weak": 0.5}'})["rows"]


def test_it_is_written_anew_over_itself_and_over_nothing_else(viewer: Viewer, tmp_path: Path) -> None:
    out = tmp_path / "page"
    write_view(viewer, str(out), per_tier=1, sound=False)
    first = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert not (out / "data/audio").exists()
    write_view(viewer, str(out), per_tier=1, sound=False)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == first
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    with pytest.raises(UserError, match="not empty"):
        write_view(viewer, str(tmp_path / "mine"))


def test_the_command_writes_it(seen: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["view", str(seen), "-o", str(tmp_path / "page"), "--per-tier", "1", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert Path(told["page"]).is_file()
    assert told["segments"] >= 1
    whole = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "page").rglob("*.js"))
    assert str(seen.parent) not in whole
    assert not re.search(r"/(?:home|root|tmp|usr)/", whole), "no folder of this machine"
    assert CliRunner().invoke(app, ["view", str(seen), "-o", str(tmp_path / "page"), "--serve"]).exit_code != 0
