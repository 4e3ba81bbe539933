"""Verdicts on a run of made-up words and fingerprints: what is found, beside which, and that what comes later changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factory import item, recording, segment
from rows import items_of, put, put_by_item
from voxmill.manifests.duplicate_records import Duplicate, Fingerprint
from voxmill.manifests.errors import UserError
from voxmill.manifests.records import Consensus
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.dedup.shingles import ShingleConfig, TakeShingles
from voxmill.pipeline.build import build
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.duplicates import by_sound
from voxmill.pipeline.duplicates.find_duplicates import FindDuplicates
from voxmill.pipeline.execution.host_limit_server import no_gate
from voxmill.pipeline.execution.quarantine import insert
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.reruns.rededup import with_duplicates
from voxmill.pipeline.state.run import Run


def words(seed: int, count: int = 40) -> str:
    return " ".join("".join(map(chr, one)) for one in np.random.default_rng(seed).integers(97, 123, (count, 6)))


def sound(seed: int, count: int = 60) -> str:
    return ",".join(map(str, np.random.default_rng(seed).integers(0, 2**32, count)))


class Decoder:
    """In the place of the C library, which need not be here: a fingerprint is written as its values."""

    def values(self, encoded: str) -> Any:
        return np.asarray(encoded.split(","), np.uint32)


@pytest.fixture(autouse=True)
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_sound, "Chromaprint", Decoder)


def config(listed: int, **duplicates: Any) -> RunConfig:
    return parse_config({
        "sources": [{"name": "source", "path": f"/nowhere/{listed}.wav"}], "crawl": {"contact": "tests@example.org"},
        "transcribe": [{"kind": "moonshine", "name": "m", "model": "moonshine-tiny-en"}], "duplicates": duplicates,
        "units": {"seconds": 20},
    })  # fmt: skip


def heard(root: Path, said: dict[str, tuple[str, str]], **duplicates: Any) -> tuple[Run, Any]:
    """A run with a recording for each name: its words and its fingerprint. Two fit in a unit. Called again, it goes on."""
    run, settings = Run(str(root)), config(len(said), **duplicates)
    stages = build(settings, run, no_gate())
    prints = {n: s.fingerprint for n, s in stages.items()}
    run.save({"buckets": 2, "config": settings.model_dump(mode="json"), "fingerprints": prints})
    listing, before = run.listing, run.listing.num_units
    known = {i.id for i in items_of(listing)}
    new = [name for name in said if item(name).id not in known]
    listing.extend(settings.sources, lambda source: [item(name) for name in new])
    generation = listing.num_generations() - 1
    for name in ("crawl", "decode"):
        put_by_item(run, stages[name], [recording(one) for one in new])
    listing.make_units(generation, stages["crawl"], stages["decode"], settings.units)
    names = {recording(name).id: name for name in said}
    for unit in [*listing.each_unit()][before:]:
        segments = tuple(segment(recording(names[part.recording_id])) for part in unit.parts)
        agreed = tuple(_agreed(s.id, said[names[s.recording_id]][0]) for s in segments)
        put(run, stages["segment"], unit.id, segments)
        put(run, stages["reconcile"], unit.id, agreed)
        if "shingle" in stages:
            made = TakeShingles(ShingleConfig())(UnitInput(unit.id, parts=unit.parts, segments=segments, consensus=agreed))
            put(run, stages["shingle"], unit.id, made)
        if "fingerprint" in stages:
            values = [tuple(said[names[p.recording_id]][1].split("|")) for p in unit.parts]
            rows = [Fingerprint(p.recording_id, p.start, p.num_samples, v) for p, v in zip(unit.parts, values, strict=True)]
            put(run, stages["fingerprint"], unit.id, rows)
    return run, (stages, settings.duplicates)


def _agreed(key: str, text: str) -> Consensus:
    return Consensus(key, text, "only", "en", 1.0, None, None, "word", ("m",), (text,), "1", (), 0, 0.9, 15.0, 0.8, 1)


def found(run: Run, made: Any) -> dict[str, tuple[str, str, str]]:
    """Of each recording with a verdict: by what, of which place, whose copy."""
    FindDuplicates(run, *made)()
    stage, names = made[0]["duplicates"], {recording(name).id: name for name in "abcdefgh"}
    rows: list[Duplicate] = [row for unit in run.listing.each_unit() for row in run.ledger.read(stage, unit.id)]
    for unit in run.listing.each_unit():
        assert set(run.ledger.table(stage, unit.position)["unit"].to_pylist()) <= {unit.id}
    return {names[r.recording_id]: (r.by, Path(r.of).name, names.get(r.partner, r.partner)) for r in rows}


SAID = {
    "a": (words(1), sound(1)), "b": (words(2), sound(2)), "c": (words(3), sound(3)),
    "d": (words(1), sound(4)),  # says what a says
    "e": (words(5), ",".join(sound(2).split(",")[20:])),  # sounds like a part of b
    "f": (words(1)[:60] + " " + words(6), sound(6)),  # too little of a
}  # fmt: skip


def test_what_was_there_first_is_named_and_what_comes_later_changes_nothing(tmp_path: Path) -> None:
    run, made = heard(tmp_path / "run", SAID, speeds=[1.0])
    first = found(run, made)
    assert first == {"d": ("text", "", "a"), "e": ("acoustic", "", "b")}
    more = {**SAID, "g": (words(5), sound(3)), "h": (words(2), sound(8))}
    run, made = heard(tmp_path / "run", more, speeds=[1.0])
    assert found(run, made) == {**first, "g": ("acoustic", "", "c"), "h": ("text", "", "b")}
    whole, again = heard(tmp_path / "whole", more, speeds=[1.0])
    assert found(whole, again) == found(run, made)


@pytest.mark.parametrize(
    "theirs", [{"by": ["acoustic", "text"]}, {"by": ["acoustic", "text"], "shingle": 3}, {"by": ["acoustic"]}]
)
def test_another_run_was_there_before(tmp_path: Path, theirs: dict[str, Any]) -> None:
    """Whether it has shingles, of this size or of another, or none."""
    other, _ = heard(tmp_path / "other", {"c": (words(5), sound(9)), "f": (words(9), sound(8))}, speeds=[1.0], **theirs)
    run, made = heard(tmp_path / "run", SAID, speeds=[1.0], against=[str(other.root)])
    assert found(run, made) == {
        "c": ("bytes", "other", "c"), "f": ("bytes", "other", "f"), "d": ("text", "", "a"), "e": ("acoustic", "", "b")
    }  # fmt: skip


def test_a_copy_at_another_speed(tmp_path: Path) -> None:
    said = {"a": (words(1), sound(1) + "|" + sound(11)), "b": (words(2), sound(2) + "|" + sound(1))}
    run, made = heard(tmp_path / "run", said, speeds=[1.0, 1.05])
    assert found(run, made) == {"b": ("acoustic", "", "a")}
    (row,) = run.ledger.read(made[0]["duplicates"], [*run.listing.each_unit()][-1].id)
    assert row.speed == 1.05


def test_clips_of_an_evaluation_set_come_before_all(tmp_path: Path) -> None:
    clips = [{"id": "long", "text": words(1)}, {"id": "short", "text": words(2, 5)}, {"id": "other", "text": words(77)}]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(clip) + "\n" for clip in clips))
    run, made = heard(tmp_path / "run", SAID, by=["text"], evaluation=[str(tmp_path / "set.jsonl")])
    FindDuplicates(run, *made)()
    rows = [row for unit in run.listing.each_unit() for row in run.ledger.read(made[0]["duplicates"], unit.id)]
    names = {recording(name).id: name for name in SAID}
    said = {(names[r.recording_id], r.reason, names.get(r.partner, r.partner)) for r in rows}
    assert said == {
        ("a", "select.contaminated", "long"), ("b", "select.contaminated", "short"),
        ("d", "select.contaminated", "long"), ("d", "select.duplicate", "a"),
    }  # fmt: skip


def test_a_part_that_kills_its_stage_is_not_compared_and_the_others_are(tmp_path: Path) -> None:
    """A stage with a row for each part is held by parts, though it reads segments."""
    run, (stages, _) = heard(tmp_path / "run", {"a": SAID["a"], "b": SAID["b"]}, by=["text"])
    (unit,) = run.listing.each_unit()
    reads = tuple(run.ledger.read(stages["segment"], unit.id))
    work = UnitInput(unit.id, parts=unit.parts, segments=reads, by_part=True)
    assert work.members() == tuple(part.recording_id for part in unit.parts)
    left = work.only(unit.parts[0].recording_id)
    assert {s.recording_id for s in left.segments} == {unit.parts[0].recording_id}
    rows = run.ledger.read(stages["shingle"], unit.id)
    gone, kept = (part.recording_id for part in unit.parts)
    found = insert(stages["shingle"], work, rows[1:], {gone: "it was killed"})
    assert [(row.recording_id, bool(row.values)) for row in found] == [(gone, False), (kept, True)]


def test_a_way_that_there_is_not_is_named_as_it_was_typed(tmp_path: Path) -> None:
    run, _ = heard(tmp_path / "run", {"a": SAID["a"]}, by=["text"])
    with pytest.raises(UserError, match=r"--by txet: parts are not compared so; did you mean `text`\?"):
        with_duplicates(run, ["txet"], (), ())
    changed = with_duplicates(run, ["acoustic"], (), ()).duplicates
    assert changed is not None
    assert changed.by == ("acoustic",)
