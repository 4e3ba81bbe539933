"""`voxmill plan` as a user types it, on real speech with a real engine: from files, from the web, from a finished run."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import wave
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml

from speech.packaged import TWO_CITIES
from voxmill.manifests.catalog import open_catalog
from voxmill.pipeline import cli
from voxmill.pipeline.state.run import Run
from website import Answer, Website, typed

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("line")]

LENGTHS = (5, 7, 9, 12, 6, 5)
"""Seconds of each recording: parts of one reading."""

FAST = {"single_high": 0.6, "single_weak": 0.4, "single_unlabelled": 0.2}


def wavs() -> list[bytes]:
    samples, start, made = TWO_CITIES.samples(), 0, []
    for seconds in LENGTHS:
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as out:
            out.setparams((1, 2, 16000, 0, "NONE", ""))
            out.writeframes(samples[start : start + 16000 * seconds].astype("<i2").tobytes())
        made.append(buffer.getvalue())
        start += 16000 * seconds
    return made


def config(folder: Path, **parts: Any) -> str:
    settings = {
        "transcribe": [{"kind": "moonshine", "name": "moonshine", "model": "moonshine-tiny-en"}],
        "select": FAST,
        "executor": {"kind": "local", "workers": 1},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings | parts))
    return str(path)


def plan(*arguments: str) -> tuple[int, str, str]:
    """The command in this process, for plans that try nothing: to start one takes longer than they do."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["voxmill", "plan", *arguments])
        patch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit) as ended:
            cli.main()
    code = ended.value.code
    said = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return code if isinstance(code, int) else 0, said[0], said[1]


def plan_apart(*arguments: str, **env: str) -> tuple[int, str, str]:
    """The command as a process of its own."""
    command = [str(Path(sys.executable).with_name("voxmill")), "plan", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env}, check=False)
    return done.returncode, done.stdout, done.stderr


def figures(stdout: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(stdout)["figures"]}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("talks")
    for number, blob in enumerate(wavs()):
        (folder / f"{number}.wav").write_bytes(blob)
    return folder


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--sample", "0"), "--sample 0: a number of recordings from 1 to 1000000, or hours or minutes"),
        (("--machine", "h1000:8"), "no machine `h1000` is known"),
        (("--price", "h100=2"), "NAME is one of --machine"),
        (("--speed", "transcribe:x=2"), "--speed transcribe:x=2: STAGE=X"),
        (("--hours", "nan"), "Invalid value for '--hours'"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(arguments: tuple[str, ...], said: str, files: Path, tmp_path: Path) -> None:
    path = config(tmp_path, sources=[{"name": "talks", "path": str(files)}])
    code, stdout, stderr = plan("-c", path, *arguments)
    assert (code, stdout) == (2, "")
    assert said in stderr
    assert "listing" not in stderr


@pytest.fixture(scope="module")
def planned(files: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    out = tmp_path_factory.mktemp("planned")
    source = {"name": "talks", "path": str(files), "language": "en", "licence": "cc0-1.0"}
    code, stdout, stderr = plan_apart(
        "-c", config(out, sources=[source]), "--sample", "4", "-o", str(out), "--json", "--price", "here=2EUR"
    )
    assert code == 0
    return out, stdout, stderr


def test_hours_of_files_are_known_from_four_of_six(planned: tuple[Path, str, str]) -> None:
    found = figures(planned[1])
    assert found["items listed"]["estimate"]["value"] == len(LENGTHS)
    assert found["audio in"]["estimate"]["value"] == pytest.approx(sum(LENGTHS) / 3600, rel=0.01)
    kept = found["audio kept"]["estimate"]
    assert 0.5 * sum(LENGTHS) < kept["value"] * 3600 < sum(LENGTHS)
    assert kept["low"] < kept["value"] < kept["high"]
    assert found["files written"]["estimate"]["value"] > 0
    assert found["machines"]["estimate"]["value"] == pytest.approx(2 * found["wall clock"]["estimate"]["value"])


def test_each_recording_of_the_sample_is_a_unit_and_the_run_is_a_sound_one(planned: tuple[Path, str, str]) -> None:
    con = open_catalog(str(planned[0] / "plan"), "units conservation")
    assert con.execute("SELECT count(*), max(len(parts)) FROM units").fetchone() == (4, 1)
    assert con.execute("FROM conservation").fetchall() == []
    assert not Run(str(planned[0])).exists(), "a run in that folder knows nothing of the sample"


def test_a_second_sample_is_not_mixed_with_the_first(planned: tuple[Path, str, str]) -> None:
    code, _, stderr = plan("-c", str(planned[0] / "config.yaml"), "-o", str(planned[0]))
    assert code == 2
    assert "holds the sample of an earlier plan: remove it, or give another --out" in stderr


def test_a_run_is_planned_from_without_running_anything(planned: tuple[Path, str, str]) -> None:
    code, stdout, _ = plan(str(planned[0] / "plan"), "--hours", "5000", "--machine", "cpu64:2", "--json")
    found = figures(stdout)
    assert code == 0
    assert found["audio in"]["estimate"]["value"] == pytest.approx(5000)
    assert found["wall clock"]["estimate"]["value"] > 0
    assert json.loads(stdout)["source"] == "run"


def test_a_plan_of_the_web_asks_politely_counts_requests_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    routes: dict[str, Any] = {f"/{n}.wav": typed(blob, "audio/wav") for n, blob in enumerate(wavs())}
    rules = Answer(b"User-agent: *\nCrawl-delay: 0.2\n", headers={"Content-Type": "text/plain"})
    with Website(routes | {"/robots.txt": rules}) as site:
        source = {"name": "web", "urls": [f"{site.url}/{n}.wav" for n in range(6)], "language": "en", "licence": "cc0-1.0"}
        crawl = {"contact": "tests@example.org", "allow_private": ["127.0.0.1"], "requests_per_second": 100.0}
        path = config(tmp_path, sources=[source], crawl=crawl)
        code, stdout, stderr = plan_apart(
            "-c", path, "--sample", "2", "--hours", "1000", "--machine", "cpu64:64", TMPDIR=str(tmp_path / "temporary")
        )
        asked = site.paths()
    assert code == 0
    assert len(asked) == 2, "only the sample is fetched"
    host = site.url.partition("://")[2]
    assert "bottleneck: the hosts, while fetching and decoding" in stdout
    assert f"{host} gets" in stdout
    assert "0.2 s apart" in stdout
    assert "voxmill-plan-" not in stdout + stderr, "a path that is gone"
    assert list((tmp_path / "temporary").glob("voxmill-plan-*")) == []


def test_a_sample_of_hours_tries_recordings_until_it_has_them(files: Path, tmp_path: Path) -> None:
    source = {"name": "talks", "path": str(files), "language": "en", "licence": "cc0-1.0"}
    code, stdout, _ = plan_apart("-c", config(tmp_path, sources=[source]), "--sample", "10m", "--json", "-q")
    assert code == 0
    found = json.loads(stdout)
    assert (found["tried"], found["listed"]) == (6, 6)
    assert found["tried_hours"] == pytest.approx(sum(LENGTHS) / 3600, rel=0.01)
    kept = figures(stdout)["audio kept"]["estimate"]
    assert kept["low"] == kept["value"] == kept["high"]
