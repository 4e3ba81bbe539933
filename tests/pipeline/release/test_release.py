"""What forbids handing a run on, and the cards of one that may be: a small run of real speech, and copies of it with something wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from typer.testing import CliRunner

from speech.packaged import TWO_CITIES
from voxmill.manifests.catalog import open_catalog
from voxmill.pipeline.build import as_written
from voxmill.pipeline.cli import app
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.host_limit_server import open_gate
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.release.croissant import licence_url
from voxmill.pipeline.release.release_facts import release_facts
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.progress import Progress
from voxmill.sharding.shard_files import CARD, CROISSANT, DATASHEET

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("release")]

SECRET = "https://example.org/a.mp3?token=Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA"


def config(licence: str | None = "cc0-1.0") -> RunConfig:
    engines = [
        {"kind": "python", "name": name, "call": "benchmarks.instant:Instant", "version": "1"} for name in ("one", "two")
    ]
    source: dict[str, Any] = {"name": "two-cities", "path": str(TWO_CITIES.path), "language": "en", "licence": licence}
    return parse_config(
        {
            "sources": [{name: value for name, value in source.items() if value}],
            "crawl": {"contact": "tests@example.org"},
            "transcribe": engines,
            "select": {"languages": [], "rate_fence": None, "allow_unknown_licence": True},
            "pack": {"buckets": 1, "shard_mb": 1},
        }
    )


def go(root: Path, settings: RunConfig, until: Literal["select", "pack"] = "pack") -> Path:
    run = Run(str(root))
    with open_gate("machine", run, settings.crawl) as gate:
        run_line(settings, run, LocalExecutor(in_process=True), gate, Progress(quiet=True), until=until)
    return root


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return go(tmp_path_factory.mktemp("release") / "talks", config())


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "talks"))


def asked(root: Path, *options: str) -> tuple[int, dict[str, Any]]:
    said = CliRunner().invoke(app, ["release", str(root), "--json", *options])
    return said.exit_code, json.loads(said.stdout)


def cards(root: Path) -> list[str]:
    return [name for name in (CARD, DATASHEET, CROISSANT) if (root / "shards" / name).exists()]


def test_a_sound_run_gets_its_cards(copied: Path) -> None:
    code, told = asked(copied, "--check")
    assert told["hindrances"] == []
    assert (code, told["written"]) == (0, [])
    assert not cards(copied)
    code, told = asked(copied, "--url", "https://example.org/talks")
    assert code == 0
    assert told["written"] == [f"{copied}/shards/{name}" for name in (CARD, DATASHEET, CROISSANT)]
    assert cards(copied) == [CARD, DATASHEET, CROISSANT]
    first = [(copied / "shards" / name).read_bytes() for name in cards(copied)]
    assert asked(copied, "--url", "https://example.org/talks")[0] == 0  # the cards themselves are no hindrance
    assert [(copied / "shards" / name).read_bytes() for name in cards(copied)] == first


def test_cards_stay_while_the_shards_do_and_go_with_them(copied: Path) -> None:
    asked(copied)
    before = {path: path.stat().st_mtime_ns for path in (copied / "shards").rglob("*")}
    go(copied, config())  # nothing new
    assert {path: path.stat().st_mtime_ns for path in (copied / "shards").rglob("*")} == before
    assert CliRunner().invoke(app, ["verify", str(copied)]).exit_code == 0
    said = CliRunner().invoke(app, ["revoke", str(copied), "--hash", f"sha256:{TWO_CITIES.sha256}"])
    assert said.exit_code == 0, said.output
    assert not cards(copied)


def test_the_cards_say_what_the_tables_do(copied: Path) -> None:
    asked(copied)
    run = Run(str(copied))
    facts = release_facts(run, as_written(run)[0], "talks")
    samples, hours = (
        open_catalog(run.root, "samples").execute("SELECT count(*), sum(num_samples) / 57.6e6 FROM samples").fetchone()
    )
    assert (facts.samples, facts.hours) == (samples, hours)
    assert facts.samples > 0
    assert [(one.value, one.samples) for one in facts.licences] == [("cc0-1.0", samples)]
    card = (copied / "shards" / CARD).read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert head["license"] == ["cc0-1.0"]
    assert [one["config_name"] for one in head["configs"]] == ["all", "cc0-1_0"]
    assert f"{samples} samples" in card
    described = json.loads((copied / "shards" / CROISSANT).read_text())
    assert described["license"] == "https://creativecommons.org/publicdomain/zero/1.0/"
    assert str(samples) in described["description"]
    assert {key for key in described if key.startswith("rai:")} >= {
        "rai:dataCollection",
        "rai:dataBiases",
        "rai:dataLimitations",
    }
    sheet = (copied / "shards" / DATASHEET).read_text()
    assert all(f"| {one.reason} | {one.rows:,} |" in sheet for one in facts.losses)


def flip_a_byte(root: Path) -> None:
    tar = next((root / "shards").glob("*.tar"))
    blob = bytearray(tar.read_bytes())
    blob[len(blob) // 2] ^= 1
    tar.write_bytes(blob)


def lose_a_shard(root: Path) -> None:
    next((root / "shards").glob("*.tar")).unlink()


def spoil_a_shard(into: Callable[[bytes], bytes], root: Path) -> None:
    tar = next((root / "shards").glob("*.tar"))
    tar.write_bytes(into(tar.read_bytes()))


def deny_what_is_there(root: Path) -> None:
    written = json.loads((root / "run.json").read_text())
    written["config"]["crawl"]["deny"] = [f"sha256:{TWO_CITIES.sha256}"]
    (root / "run.json").write_text(json.dumps(written))


def say_a_secret(root: Path) -> None:
    sheet = next((root / "shards" / "__metadata__" / "attribution").iterdir())
    sheet.write_text(sheet.read_text() + f"more\t{SECRET}\n")


@pytest.mark.parametrize(
    ("spoil", "kind", "said"),
    [
        (flip_a_byte, "proof", ".tar"),
        (lose_a_shard, "proof", "missing"),
        (partial(spoil_a_shard, lambda blob: b""), "proof", "damaged or cut short"),
        (partial(spoil_a_shard, lambda blob: blob[: len(blob) // 2]), "proof", "damaged or cut short"),
        (partial(spoil_a_shard, lambda blob: b"x" * len(blob)), "proof", "damaged or cut short"),
        (deny_what_is_there, "revocation", "voxmill revoke"),
        (say_a_secret, "secret", "attribution/"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    copied: Path, spoil: Callable[[Path], None], kind: str, said: str
) -> None:
    spoil(copied)
    code, told = asked(copied)
    assert (code, told["ok"], told["written"]) == (1, False, [])
    assert any(said in one["what"] for one in told["hindrances"] if one["kind"] == kind)
    assert SECRET not in json.dumps(told)
    assert not cards(copied)


def test_an_unknown_licence_is_no_licence(tmp_path: Path) -> None:
    code, told = asked(go(tmp_path / "run", config(None)), "--check")
    assert code == 1
    assert [one["kind"] for one in told["hindrances"]] == ["licence"]
    assert "two-cities" in told["hindrances"][0]["what"]


def test_a_run_that_is_not_packed_is_not_ready(tmp_path: Path) -> None:
    code, told = asked(go(tmp_path / "run", config(), "select"), "--check")
    assert code == 1
    assert {one["kind"] for one in told["hindrances"]} == {"proof"}


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("cc-by-sa-3.0", "https://creativecommons.org/licenses/by-sa/3.0/"),
        ("cc0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("mit", "https://spdx.org/licenses/mit"),
    ],
)
def test_licences_have_addresses(name: str, url: str) -> None:
    assert licence_url(name) == url
