from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samples import read_audio, recording, sample, several
from toolkit_readers import READERS
from voxmill.manifests.errors import UserError
from voxmill.manifests.matching_rows import ConditionError
from voxmill.manifests.storage import events
from voxmill.sharding.exports.data_export import DataExport, export_data
from voxmill.sharding.exports.export_files import FAN_IN, ExportFiles
from voxmill.sharding.exports.export_plan import ExportChoice
from voxmill.sharding.exports.format_table import FORMATS
from voxmill.sharding.index import NoShards
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.sample import Sample
from voxmill.sharding.writer import pack_shard


@pytest.fixture(scope="module")
def made() -> dict[str, Sample]:
    """Every tier, several splits, two licences; the second sample is `weak`."""
    rows = [replace(s, selection=replace(s.selection, split="dev")) if s.unit == 1 else s for s in several()]
    rows[0] = replace(rows[0], selection=replace(rows[0].selection, tier="unlabelled"))
    rows[1] = replace(rows[1], selection=replace(rows[1].selection, tier="weak", weight=0.5))
    rows[2] = replace(rows[2], hypotheses=tuple(replace(h, words=h.words and h.words[:2]) for h in rows[2].hypotheses))
    rows += several(2, 2, licence="cc0-1.0")
    rows += [sample(recording(f"silent-{i}", licence="cc0-1.0"), 0, 1, tier="unlabelled", split="test") for i in range(2)]
    return {s.key: s for s in rows}


@pytest.fixture(scope="module")
def shards(made: dict[str, Sample], tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("packed") / "shards"
    for plan in plan_shards((s.entry for s in made.values()), 2, 100_000):
        pack_shard(plan, made.values(), read_audio, str(root))
    return str(root)


Export = Callable[..., DataExport]


@pytest.fixture
def export(shards: str) -> Export:
    def run(name: str, out: Path, **choice: tuple[str, ...] | str) -> DataExport:
        return export_data(shards, str(out), FORMATS[name], ExportChoice(**choice))  # type: ignore[arg-type]

    return run


def tree(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", READERS)
def test_its_own_reader_finds_every_sample(name: str, export: Export, made: dict[str, Sample], tmp_path: Path) -> None:
    """Sound, text, tier, labels, word times and provenance, in a folder for each licence and split."""
    done = export(name, tmp_path)
    expected = {key: s for key, s in made.items() if s.text is not None or not FORMATS[name].labelled_only}
    seen = {}
    for one in done.sets:
        keys = []
        for found in READERS[name](tmp_path / one.folder):
            wanted = expected[found.key]
            keys.append(found.key)
            sound = read_audio(wanted.recording, wanted.segment.start, wanted.segment.num_samples)
            assert np.abs(found.audio - sound).max() <= 0.5 / 32768
            assert (found.text or None, found.language) == (wanted.text, "zh")
            assert (wanted.recording.licence.name, wanted.selection.split) == (one.licence, one.split)
            assert found.facts["tier"] == wanted.selection.tier
            assert found.facts["labels"]["gender"]["marks"][0]["value"] == "female"
            assert found.facts["provenance"]["url"] == wanted.recording.provenance.url
            assert found.facts["licence"]["evidence"] == "stated on the page"
            if found.words:
                assert found.words == [("谢谢", 0.0), ("thank", wanted.segment.seconds / 2)]
        assert len(keys) == len(set(keys)) == one.samples
        seen[one.folder] = sum(expected[key].segment.num_samples for key in keys) / 16000
        assert seen[one.folder] == pytest.approx(one.seconds)
    assert sum(one.samples for one in done.sets) == len(expected)
    assert {"cc-by-4_0/train", "cc-by-4_0/dev", "cc0-1_0/train"} <= seen.keys()


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_bytes_again_and_after_a_kill(name: str, export: Export, tmp_path: Path) -> None:
    counted: list[str] = []
    events.append(lambda event, uri: counted.append(event))
    try:
        export(name, tmp_path / "once", splits=("train",))
    finally:
        events.pop()
    whole = tree(tmp_path / "once")
    for at in (len(counted) // 2, len(counted) - 1):
        out, left = tmp_path / f"killed-{at}", at

        def kill(_event: str, _uri: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise KeyboardInterrupt

        events.append(kill)
        try:
            with pytest.raises(KeyboardInterrupt):
                export(name, out, splits=("train",))
        finally:
            events.pop()
        export(name, out, splits=("train",))
        assert tree(out) == whole, f"killed at commit event {at} of {len(counted)}"
    sums = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tmp_path / "once", check=True, capture_output=True)
    assert not sums.stdout
    listed = (tmp_path / "once" / "SHA256SUMS").read_text().splitlines()
    assert len(listed) == len(whole) - 2, "all files but the sums and export.json"


def test_what_is_done_is_not_done_again(export: Export, tmp_path: Path) -> None:
    done = export("nemo", tmp_path)
    happened: list[str] = []
    events.append(lambda event, uri: happened.append(uri))
    try:
        assert export("nemo", tmp_path) == done
    finally:
        events.pop()
    assert happened == []
    assert json.loads((tmp_path / "export.json").read_text())["complete"]


def test_what_a_killed_writer_left_is_taken_away(export: Export, tmp_path: Path) -> None:
    export("jsonl", tmp_path / "once")
    export("jsonl", tmp_path / "out")
    (tmp_path / "out/cc0-1_0/train/audio/00000/.some.flac.12-0a0b0c0d.tmp").write_bytes(b"half")
    export("jsonl", tmp_path / "out")
    assert tree(tmp_path / "out") == tree(tmp_path / "once")


def test_a_folder_is_for_one_export(export: Export, tmp_path: Path) -> None:
    export("nemo", tmp_path / "out")
    with pytest.raises(UserError, match=r"holds another export .nemo"):
        export("nemo", tmp_path / "out", splits=("dev",))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="holds no export"):
        export("nemo", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_a_choice_takes_what_it_says(export: Export, made: dict[str, Sample], tmp_path: Path) -> None:
    (weak,) = (s for s in made.values() if s.selection.tier == "weak")
    assert [s.samples for s in export("nemo", tmp_path / "weak", tiers=("weak",)).sets] == [1]
    (free,) = export("lhotse", tmp_path / "free", licences=("cc0-1.0",)).sets
    assert (free.licence, free.samples) == ("cc0-1.0", 4)
    short = export("nemo", tmp_path / "short", where="seconds < 1.2 AND labels.gender.marks[1].value = 'female'")
    assert sum(s.samples for s in short.sets) == sum(s.segment.seconds < 1.2 and s.text is not None for s in made.values())
    with pytest.raises(ConditionError, match="no column 'tear'"):
        export("nemo", tmp_path / "bad", where="tear = 'high'")
    with pytest.raises(UserError, match=r"--tier unlabelled: nemo has no use"):
        export("nemo", tmp_path / "bad", tiers=("unlabelled",))
    with pytest.raises(NoShards, match=r"holds nothing of what is asked for .tier high or weak, licence mit"):
        export("nemo", tmp_path / "bad", licences=("mit",))
    assert not (tmp_path / "bad").exists()
    assert weak.key in (tmp_path / "weak/cc-by-4_0/train/manifest_0.json").read_text()


def test_every_format_with_audio_has_a_reader() -> None:
    assert FORMATS.keys() - READERS.keys() == {"urls"}


def test_merging_opens_few_files_and_sorts_bytes(tmp_path: Path) -> None:
    """More shares than are opened at once; capitals come before small letters, as in the C locale."""
    files = ExportFiles(str(tmp_path))
    names = [f"{i:04d}" for i in range(2 * FAN_IN + 3)]
    for i, name in enumerate(names):
        files.put(name, f"B{i:04d} x\nb{i:04d} é\n".encode())
    files.merge("all", names)
    lines = (tmp_path / "all").read_bytes().splitlines()
    assert lines == sorted(lines)
    assert len(lines) == 2 * len(names)
