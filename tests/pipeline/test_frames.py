"""A run over a film with speech: pictures in the shards, and what happens where there is no film or a broken one."""

from __future__ import annotations

import json
import shutil
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import webdataset
from av import open as open_av

from films import film, second_of
from speech.packaged import TWO_CITIES
from voxmill.pipeline.build import build
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.host_limit_server import open_gate
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.reports.verify_run import verify
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.progress import Progress
from voxmill.sharding.reader import read_run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("line")]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of 12 s, the same with a ruined video stream and other speech, and speech alone."""
    folder = tmp_path_factory.mktemp("films")
    speech = (TWO_CITIES.samples() / 32768).astype("float32")
    film(folder / "film.mp4", speech[: 12 * 16_000])
    ruined = film(folder / "ruined.mp4", speech[12 * 16_000 : 24 * 16_000])
    blob = bytearray(ruined.read_bytes())
    with open_av(str(ruined)) as source:
        for packet in source.demux(source.streams.video[0]):
            if packet.pos is not None and packet.size:
                blob[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    ruined.write_bytes(blob)
    shutil.copy(TWO_CITIES.path, folder / "speech.wav")
    return folder


def config(material: Path, **changes: Any) -> RunConfig:
    settings: dict[str, Any] = {
        "sources": [{"name": "films", "path": str(material), "language": "en", "licence": "cc0-1.0"}],
        "crawl": {"contact": "tests@example.org"},
        "units": {"seconds": 25},
        "frames": {"per_segment": 3, "size": 32},
        "transcribe": [{"kind": "moonshine", "name": "moonshine", "model": "moonshine-tiny-en"}],
        "select": {"single_high": 0.6, "single_weak": 0.4, "single_unlabelled": 0.2},
        "pack": {"buckets": 1},
    }
    return parse_config(settings | changes)


def go(root: Path, settings: RunConfig) -> Run:
    run = Run(str(root))
    with open_gate("machine", run, settings.crawl) as gate:
        run_line(settings, run, LocalExecutor(in_process=True), gate, Progress(quiet=True))
    return run


@pytest.fixture(scope="module")
def finished(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("line") / "run"
    go(root, config(material))
    return root


def shards(root: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (root / "shards").rglob("*") if p.is_file()}


def problems(run: Run, settings: RunConfig) -> list[str]:
    return verify(run, build(settings, run)).problems


def test_samples_of_the_film_carry_its_pictures(finished: Path, material: Path) -> None:
    assert problems(Run(str(finished)), config(material)) == []
    samples = list(read_run(str(finished / "shards")))
    codecs = {sample.document["recording"]["container"]: sample for sample in samples}
    assert codecs.keys() == {"mp4", "wav"}
    seen = [sample for sample in samples if sample.document["pictures"]]
    assert seen
    for sample in seen:
        for picture, blob in zip(sample.document["pictures"], sample.pictures, strict=True):
            assert abs(second_of(blob) - picture["position"] // 16_000) < 0.3
    assert all(sample.document["pictures"] is None for sample in samples if sample not in seen)


def test_a_ruined_film_is_an_outcome_and_its_sound_is_kept(finished: Path, material: Path) -> None:
    run = Run(str(finished))
    stages = build(config(material), run)
    rows = [row for unit in run.listing.each_unit() for row in run.ledger.read(stages["frames"], unit.id)]
    reasons = {row.rejection.reason if row.rejection else None for row in rows}
    assert reasons == {None, "frames.corrupt", "frames.no_video"}
    ruined = {row.segment_id for row in rows if row.rejection and row.rejection.reason == "frames.corrupt"}
    assert ruined & {sample.key for sample in read_run(str(finished / "shards"))}


def test_the_plain_reader_finds_them(finished: Path) -> None:
    tars = sorted(str(path) for path in (finished / "shards").glob("*.tar"))
    samples = list(webdataset.WebDataset(tars, shardshuffle=False, empty_check=False))
    assert {tuple(sorted(k for k in s if not k.startswith("__"))) for s in samples} == {("flac", "json", "mjpeg")}, (
        "the same members in all, also where there is nothing to see"
    )
    with_pictures = [(json.loads(json.loads(s["json"])["pictures"]), s["mjpeg"]) for s in samples if s["mjpeg"]]
    assert with_pictures
    for pictures, blob in with_pictures:
        ends = list(accumulate(picture["num_bytes"] for picture in pictures))
        assert ends[-1] == len(blob)
        assert all(blob[end - 2 : end] == b"\xff\xd9" for end in ends)


def test_the_same_config_again_changes_nothing_and_a_lost_fragment_comes_back(
    finished: Path, material: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "run")
    for path in [
        *(tmp_path / "run" / "manifests" / "frames").rglob("*.parquet"),
        *(tmp_path / "run" / "shards").rglob("*.json"),
    ]:
        path.unlink()
    shutil.rmtree(tmp_path / "run" / "frames")
    go(tmp_path / "run", config(material))
    assert shards(tmp_path / "run") == shards(finished)
    assert sorted(p.name for p in (tmp_path / "run" / "frames").iterdir()) == sorted(
        p.name for p in (finished / "frames").iterdir()
    )


def test_switching_frames_off_runs_no_other_stage_again(finished: Path, material: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    run, off = Run(str(tmp_path / "run")), config(material, frames=None)
    before = build(config(material), run)
    after = build(off, run)
    assert "frames" not in after
    assert all(before[name].fingerprint == stage.fingerprint for name, stage in after.items())
    go(tmp_path / "run", off)
    assert problems(run, off) == []
    assert not any(sample.pictures for sample in read_run(run.shards_dir))


def test_a_lost_file_of_pictures_is_named(finished: Path, material: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    run = Run(str(tmp_path / "run"))
    [lost] = (tmp_path / "run" / "frames").iterdir()
    lost.unlink()
    assert any("missing" in one and lost.name in one for one in problems(run, config(material)))
