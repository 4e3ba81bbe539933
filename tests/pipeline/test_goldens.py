"""Ids of units and fingerprints of stages, by which a run finds what it has: as they were, for ever.

A new key in a stage's config, or a raised version of its operator, makes its fingerprint another one and has old runs do this stage again. That may
be right; it is then changed here as well, and told in the changelog.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from factory import item, recording
from rows import items_of
from voxmill.manifests.ids import digest
from voxmill.manifests.parquet import records_bytes
from voxmill.manifests.records import Item
from voxmill.manifests.tombstones import Tombstone, Tombstones, pseudonym
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.reconcile.normalise import NORMALISER
from voxmill.pipeline.build import build
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.host_limit_server import no_gate
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.packing import failures
from voxmill.pipeline.rights.request import _salt
from voxmill.pipeline.rights.scrub import Scrub
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.stage_builder import RECORDED_ONLY
from voxmill.pipeline.state import metadata_overrides
from voxmill.pipeline.state.listing import source_key
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.tombstone_store import name_of
from voxmill.pipeline.state.units import UnitConfig, form_units


def test_golden_units() -> None:
    recordings = [recording(name, seconds) for name, seconds in (("a", 10), ("b", 25.5), ("c", 70), ("d", 1 / 16_000))]
    units = [unit for unit, _ in form_units(recordings, UnitConfig(seconds=30), position=5)]
    assert [unit.id for unit in units] == [
        "u0000005-db9c99e77b13",
        "u0000006-2909bf5f7ac0",
        "u0000007-7cbdc4c4af79",
        "u0000008-0f68438918cf",
        "u0000009-e4cbf1cff502",
        "u0000010-4f584dfbc501",
    ]
    assert [(unit.position, unit.generation) for unit in units] == [(5 + n, 0) for n in range(len(units))]
    apart = [unit for unit, _ in form_units([recording("a", 80, apart=2)], UnitConfig(seconds=30))]
    assert [unit.id for unit in apart] == [
        "u0000000-8a8ac2da4048",
        "u0000001-f99e7d0fa31a",
        "u0000002-2fffda0f54bb",
        "u0000003-0778a92bec93",
    ]


def test_golden_sources() -> None:
    assert (
        source_key(SourceConfig(name="Talks ^ more_1", url="https://example.org/feed", limit=3))
        == "Talks---more_1-a516260581f6"
    )
    assert (
        source_key(SourceConfig(name="x" * 60, path="/data", language="en", licence="cc0-1.0", domain="talk"))
        == "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-66906100afd9"
    )


def test_golden_lines_of_the_listing(tmp_path: Path) -> None:
    """What is listed by two sources, and by a later run, is a line of its own each time."""
    listing = Run(str(tmp_path)).listing

    def listed(source: SourceConfig) -> list[Item]:
        return [item(source.name), item("both")]

    sources = [SourceConfig(name=name, path=f"/{name}") for name in "ab"]
    listing.extend(sources, listed)
    assert [one.id for one in items_of(listing)] == [
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        "ff7772053abf7d817d6eec229a09e14f0d1552f1cb0aeedb2ac73784ac2d2e39",
        "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d",
        "65c18ee3493437dcb0a8efec0f4ade4e0d1c877230cddf3fdbddb66e3e331cc8",
    ]


def test_golden_overrides() -> None:
    assert metadata_overrides.fingerprint({"talks": {"licence": "cc0-1.0", "domain": None}}) == "6347d998c71a802d"
    assert metadata_overrides.fingerprint({}) == "v1"


def test_golden_tombstones(tmp_path: Path) -> None:
    run = Run(str(tmp_path))
    run.save({"buckets": 4, "config": {}, "fingerprints": {}})
    assert _salt(run) == "84b22e7891ef54813e5f1c51e56e15813ea913dbfb27c1fd5aa9fda5026627af"
    run.ledger.append({"generation": {"sources": ["talks-0123"], "facts": {}, "groups": [0, 0], "units": None}})
    assert _salt(run) == "dbbbca8bca6092d75d765d96ac7bb13ea3c0e01f65dd2c906fc5277c69759ff0"
    other = Run(str(tmp_path / "other"))  # what is stated of sources in whatever order
    other.save({"buckets": 4, "config": {}, "fingerprints": {}})
    facts = {"talks": {"licence": "cc0-1.0", "domain": None}, "calls": {"licence": None, "domain": "phone"}}
    other.ledger.append({"generation": {"sources": ["talks-0123"], "facts": facts, "groups": [0, 0], "units": None}})
    assert _salt(other) == "7ee0e9ba8feb832f0f1c708f244dd985d3785a71c2446114bea574e3027fa073"
    scrub = Scrub(run, Tombstones([]), "salt", 4)
    assert [scrub.pseudonym(digits * 4) for digits in ("0123456789abcdef", "fedcba9876543210")] == [
        "5acd85cfe58df4add6173fac5100370760c6adcce2aadc26ae9dc1a8f6c10833",
        "6b78e6b23cc8454815f2403d685d47722a19bcffd53cde2ca4808a326710c8ea",
    ]
    assert Scrub(run, Tombstones([]), "salt", 1).pseudonym("ab" * 32) == pseudonym("salt", "ab" * 32)
    stone = Tombstone("salt", "", (), ("m",), 1, 2)
    assert name_of(stone) == hashlib.sha256(records_bytes([stone], Tombstone)).hexdigest()[:20]


def config(**changes: Any) -> RunConfig:
    settings: dict[str, Any] = {
        "sources": [{"name": "a", "path": "/nowhere/a.wav"}],
        "crawl": {"contact": "tests@example.org"},
        "segment": {"model": "weights"},
        "transcribe": [{"kind": "moonshine", "name": "m", "model": "weights"}],
        "frames": {},
        "label": [{"kind": "endpoints"}],
        "duplicates": {},
    }
    return parse_config(settings | changes)


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Stage]:
    """The stages of a run with weights that are the same wherever the test runs."""
    monkeypatch.chdir(tmp_path)
    Path("weights").mkdir()
    Path("weights", "model.onnx").write_bytes(b"weights")
    return build(config(), Run(str(tmp_path / "run")), no_gate())


def test_golden_fingerprints(stages: Mapping[str, Stage]) -> None:
    varying = ("reconcile", "shingle", "duplicates", "select")  # they name the versions of installed libraries
    assert {name: stage.key for name, stage in stages.items() if name not in varying} == {
        "items": "items/v1",
        "crawl": "crawl/v1",
        "decode": "decode/v1",
        "outcomes": "outcomes/v1",
        "units": "units/v1",
        "recordings": "recordings/v1",
        "segment": "segment/117511bcf79af9bc",
        "frames": "frames/472827333f6a9e51",
        "transcribe:m": "transcribe-m/6fcd7afc846b9409",
        "label:vad_ends": "label-vad_ends/d6b8f6477ccea7f3",
        "label": "label/690f5db2515db8c2",
        "fingerprint": "fingerprint/d69571b8f6737107",
    }


def test_golden_service(stages: Mapping[str, Stage], tmp_path: Path) -> None:
    """Of a service that is asked: where it is, and how fast, does not make its answers other ones; its version does."""

    def key(**more: str | int) -> str:
        asked = {"kind": "openai", "name": "s", "url": "https://asr.example.org/v1", "served_model": "m", **more}
        return build(config(transcribe=[asked]), Run(str(tmp_path / "served")), no_gate())["transcribe:s"].key

    assert key() == key(url="https://other.example.org/v1", timeout=7) == "transcribe-s/ee6caaf3aa33bd71"
    assert key(version="2") != key()


def test_golden_recipe_of_fingerprints(stages: Mapping[str, Stage]) -> None:
    """What is hashed, in its order; of the stages that are not in the table above as well."""
    made, settings = config(), {}
    for name, one in (("reconcile", made.reconcile), ("select", made.select)):
        settings[name] = json.dumps(
            {k: v for k, v in one.model_dump(mode="json").items() if k not in RECORDED_ONLY}, sort_keys=True
        )
    of = {name: stage.fingerprint for name, stage in stages.items()}
    heard = [f"{name}={of[name]}" for name in ("segment", "transcribe:m")]
    assert of["reconcile"] == digest(["reconcile", f"2 {NORMALISER}", settings["reconcile"], "", "", *heard])[:16]
    shingles = '{"shingle": 4}'
    cut = [f"{name}={of[name]}" for name in ("segment", "reconcile")]
    assert of["shingle"] == digest(["shingle", "1", shingles, "", "", *cut])[:16]
    reads = [of[name] for name in ("fingerprint", "shingle")]
    assert made.duplicates is not None
    assert of["duplicates"] == digest(["duplicates 3", made.duplicates.model_dump_json(), "", *reads])[:16]
    judged = [f"{name}={of[name]}" for name in ("segment", "reconcile", "duplicates")]
    assert of["select"] == digest(["select", "1", settings["select"], "", "", *judged])[:16]


def test_golden_calibrations(tmp_path: Path, stages: Mapping[str, Stage]) -> None:
    """What a calibration holds is part of the fingerprint, and not only its name."""
    Path("calibration.json").write_text("{}")
    calibrated = config(select={"calibration": "calibration.json"})
    select = build(calibrated, Run(str(tmp_path / "run")), no_gate())["select"]
    settings = {k: v for k, v in calibrated.select.model_dump(mode="json").items() if k not in RECORDED_ONLY}
    judged = [f"{name}={stages[name].fingerprint}" for name in ("segment", "reconcile", "duplicates")]
    parts = ["select", "1", json.dumps(settings, sort_keys=True), "", digest(["{}"]), *judged]
    assert select.fingerprint == digest(parts)[:16]


def test_golden_packing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "PACKER", "3")
    assert failures.pack_stage("upstream").key == "pack/c6b9bfdb09be376c"
