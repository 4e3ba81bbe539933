"""Audio that is made again from its original is the audio of the shards, sample by sample, or it is not written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from samples import recording, sample
from voxmill.manifests.ids import segment_id
from voxmill.manifests.records import Recording
from voxmill.operators.decode.audio import AudioReader, Playback
from voxmill.pipeline.rebuild_data import MISSING, OTHER, rebuild
from voxmill.sharding.exports.data_export import export_data
from voxmill.sharding.exports.export_plan import ExportChoice
from voxmill.sharding.exports.url_lists import URLS
from voxmill.sharding.flac import Audio
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.reader import read_run
from voxmill.sharding.redacted import silenced
from voxmill.sharding.writer import pack_shard

HIDDEN = (20_000, 24_000)


def read(one: Recording, start: int, num_samples: int) -> Audio:
    """As the packer reads, with one stretch silenced."""
    return silenced(AudioReader(Playback.of(one)).read(start, num_samples), start, [HIDDEN])


def test_rebuilt_samples_are_those_of_the_shards(tmp_path: Path) -> None:
    original = tmp_path / "talk.wav"
    sound = np.random.default_rng(0).normal(0, 0.1, (2, 4 * 44_100))
    soundfile.write(original, sound.T, 44_100)
    ident = hashlib.sha256(original.read_bytes()).hexdigest()
    one = replace(recording("talk", 4), id=ident, audio=str(original), channels=(0.0, 1.0), gain_db=3.0, dc=0.01)
    made = [sample(one, start, 1) for start in (0.5, 1.25, 2.5)]
    assert made[0].key == segment_id(ident, 8_000, 24_000)
    for plan in plan_shards((s.entry for s in made), 1, 1_000_000):
        pack_shard(plan, made, read, str(tmp_path / "shards"))
    export_data(str(tmp_path / "shards"), str(tmp_path / "urls"), URLS, ExportChoice())
    folder = tmp_path / "urls/cc-by-4_0/train"
    assert not list(folder.rglob("*.flac"))
    assert json.loads((folder / "recordings.jsonl").read_text())["url"] == one.provenance.url

    again = rebuild(str(folder), {ident: str(original)}, str(tmp_path / "again"))
    assert (again.samples, again.seconds, again.problems) == (3, 3.0, {})
    for packed in read_run(str(tmp_path / "shards")):
        rebuilt = soundfile.read(tmp_path / "again" / f"{packed.key}.flac", dtype="float32")[0]
        assert np.array_equal(rebuilt, packed.audio)
        assert (packed.audio[12_000:16_000] == 0).all() == (packed.key == made[0].key)

    soundfile.write(original, 0.5 * sound.T, 44_100)
    changed = rebuild(str(folder), {ident: str(original)}, str(tmp_path / "changed"))
    assert set(changed.problems.values()) == {OTHER}
    assert not (tmp_path / "changed").exists()
    assert set(rebuild(str(folder), {}, str(tmp_path / "gone")).problems.values()) == {MISSING}
