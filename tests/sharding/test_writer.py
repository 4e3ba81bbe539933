from __future__ import annotations

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from samples import read_audio, recording, sample, several
from voxmill.manifests.records import SAMPLE_RATE, Recording
from voxmill.manifests.schema import SchemaError
from voxmill.manifests.storage import commit_events, locate
from voxmill.sharding.layout import ShardPlan, plan_shards
from voxmill.sharding.sample import Sample
from voxmill.sharding.shard_files import commit_of, sidecar_of, tar_of
from voxmill.sharding.sidecar import committed, read_commit, read_members
from voxmill.sharding.writer import MAX_RUN, pack_shard, prune, up_to_date

Pack = Callable[..., list[ShardPlan]]
TESTS = Path(__file__).parents[1]


def digests(root: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*")) if p.is_file()}


def only(plans: list[ShardPlan]) -> ShardPlan:
    (plan,) = plans
    return plan


def files_of(plan: ShardPlan) -> list[str]:
    return [commit_of(plan.name), tar_of(plan.name), sidecar_of(plan.name)]


def no_audio(rec: Recording, start: int, num_samples: int) -> NDArray[np.float32]:
    raise AssertionError("nothing was to be read")


def test_the_same_samples_give_the_same_bytes_in_whatever_order_they_come(
    made: list[Sample], once: Path, pack: Pack, tmp_path: Path
) -> None:
    shuffled = random.Random(1).sample(made, len(made))
    pack(shuffled, tmp_path)
    assert digests(tmp_path) == digests(once)
    assert len(digests(once)) >= 3 * 4, "several shards, or the test says little"


def test_a_tar_holds_nothing_but_names_and_contents(once: Path) -> None:
    for path in once.glob("*.tar"):
        with tarfile.open(path) as tar:
            infos = tar.getmembers()
        assert {(i.mtime, i.uid, i.gid, i.uname, i.gname, i.mode) for i in infos} == {(0, 0, 0, "", "", 0o644)}
        keys = [i.name.split(".")[0] for i in infos[::2]]
        assert [i.name for i in infos] == [f"{key}.{suffix}" for key in keys for suffix in ("flac", "json")]


def test_rows_point_at_the_members(once: Path, made: list[Sample]) -> None:
    by_key = {s.key: s for s in made}
    seen = set()
    for shard in committed(str(once)):
        blob = (once / shard.tar).read_bytes()
        assert (len(blob), hashlib.sha256(blob).hexdigest()) == (shard.tar_bytes, shard.tar_sha256)
        for row in read_members(str(once), shard):
            sound = blob[row.flac_offset : row.flac_offset + row.flac_size]
            assert sound[:4] == b"fLaC"
            assert hashlib.sha256(sound).hexdigest() == row.audio_sha256
            assert json.loads(blob[row.json_offset : row.json_offset + row.json_size])["key"] == row.key
            assert (row.text, row.num_samples) == (by_key[row.key].text, by_key[row.key].segment.num_samples)
            seen.add(row.key)
    assert seen == by_key.keys()


def test_a_committed_shard_is_left_alone(made: list[Sample], once: Path) -> None:
    before = digests(once)
    for plan in plan_shards((s.entry for s in made), 2, 150_000, upstream="fingerprint"):
        assert pack_shard(plan, [], no_audio, str(once)).fresh is False
    assert digests(once) == before


def test_new_sources_only_append(made: list[Sample], once: Path, pack: Pack, tmp_path: Path) -> None:
    pack(made, tmp_path)
    inodes = {p.name: p.stat().st_ino for p in tmp_path.rglob("*.*")}
    pack(made + several(4, generation=1, first=6), tmp_path)
    assert digests(once).items() < digests(tmp_path).items()
    assert inodes.items() < {p.name: p.stat().st_ino for p in tmp_path.rglob("*.*")}.items(), (
        "old files were not even rewritten"
    )


def test_another_fingerprint_uncommits_first_and_rewrites(
    made: list[Sample], pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = pack(made, tmp_path)[0]
    told: list[str] = []
    monkeypatch.setattr(commit_events, "events", [lambda event, uri: told.append(f"{event} {uri.rsplit('.')[-1]}")])
    other = plan_shards(plan.entries, 2, 10**9, upstream="another")[0]
    assert pack_shard(other, made, read_audio, str(tmp_path)).fresh
    steps = ["removed json"] + [
        f"{event} {suffix}" for suffix in ("tar", "parquet", "json") for event in ("staged", "committed")
    ]
    assert told == steps


def test_stale_shards_and_leftovers_are_pruned(made: list[Sample], pack: Pack, tmp_path: Path) -> None:
    plans = pack(made, tmp_path)
    (tmp_path / f".{plans[0].name}.tar.99-abc.tmp").write_bytes(b"left by a dead writer")
    (tmp_path / "notes.json").write_text("not ours")
    gone = prune(str(tmp_path), plans[1:])
    assert gone == files_of(plans[0])
    assert [s.name for s in committed(str(tmp_path))] == [p.name for p in plans[1:]]
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.*")} == {
        "notes.json", *(file for p in plans[1:] for file in files_of(p))
    }  # fmt: skip


class Stop(Exception):
    pass


@pytest.mark.parametrize("at", range(8))
def test_stopped_between_any_two_steps_and_run_again_gives_the_same_bytes(
    at: int, made: list[Sample], once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starts from a stale shard, so that uncommitting it is one of the steps."""
    stale, fresh = (plan_shards((s.entry for s in made), 2, 150_000, upstream=u)[0] for u in ("stale", "fingerprint"))
    pack_shard(stale, made, read_audio, str(tmp_path))
    steps = iter(range(100))

    def stop(event: str, uri: str) -> None:
        if next(steps) == at:
            raise Stop

    monkeypatch.setattr(commit_events, "events", [stop])
    if at < 7:
        with pytest.raises(Stop):
            pack_shard(fresh, made, read_audio, str(tmp_path))
        assert (up_to_date(fresh, str(tmp_path)) is None) == (at < 6), "committed by the last step, not before"
    monkeypatch.setattr(commit_events, "events", [])
    pack_shard(fresh, made, read_audio, str(tmp_path))
    assert digests(tmp_path).items() <= digests(once).items()


WORKER = """
import os, signal
from samples import read_audio, several
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.writer import pack_shard

def strike(event, uri):
    if f"{event} {uri.rsplit('.')[-1]}" == os.environ.get("STRIKE"):
        os.kill(os.getpid(), signal.SIGKILL)

def work(root):
    samples = several()
    for plan in plan_shards((s.entry for s in samples), 2, 150_000, upstream="fingerprint"):
        pack_shard(plan, samples, read_audio, root)
"""


def worker(tmp_path: Path, root: Path, strike: str = "") -> subprocess.Popen[bytes]:
    module = tmp_path / "packing_worker.py"
    if not module.exists():  # another one may just be reading it
        module.write_text(WORKER)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, TESTS, *filter(None, [os.environ.get("PYTHONPATH")])))),
        "VOXMILL_ON_COMMIT": "packing_worker:strike",
        "STRIKE": strike,
    }
    return subprocess.Popen(
        [sys.executable, "-c", f"import packing_worker; packing_worker.work({str(root)!r})"], env=environment
    )


@pytest.mark.parametrize("strike", ["staged tar", "committed tar", "staged parquet", "staged json"])
def test_killed_and_run_again_gives_the_same_bytes(
    strike: str, made: list[Sample], once: Path, pack: Pack, tmp_path: Path
) -> None:
    root = tmp_path / "shards"
    assert worker(tmp_path, root, strike).wait() == -signal.SIGKILL
    assert list(committed(str(root))) == []
    assert digests(root), "something was left behind"
    pack(made, root)
    assert digests(root) == digests(once), "and nothing of it is there now"


def test_two_writers_at_once_do_no_harm(once: Path, tmp_path: Path) -> None:
    root = tmp_path / "shards"
    workers = [worker(tmp_path, root) for _ in range(3)]
    assert [w.wait() for w in workers] == [0, 0, 0]
    assert digests(root) == digests(once)


def test_object_stores_get_the_same_bytes(made: list[Sample], once: Path, pack: Pack, tmp_path: Path) -> None:
    root = f"memory://{tmp_path.name}/shards/"
    plans = pack(made, root)
    fs, path = locate(root)
    stored = {name.rsplit("/", 1)[-1]: hashlib.sha256(fs.cat_file(name)).hexdigest() for name in fs.find(path)}
    assert stored == digests(once)
    assert prune(root, plans[1:]) == files_of(plans[0])


def test_a_lost_or_cut_file_is_made_again(made: list[Sample], once: Path, pack: Pack, tmp_path: Path) -> None:
    plans = pack(made, tmp_path)
    (tmp_path / f"{plans[0].name}.tar").unlink()
    os.truncate(tmp_path / sidecar_of(plans[1].name), 10)
    (tmp_path / commit_of(plans[2].name)).write_text("{")
    pack(made, tmp_path)
    assert digests(tmp_path) == digests(once)


def test_a_shard_of_a_newer_voxmill_is_not_touched(made: list[Sample], pack: Pack, tmp_path: Path) -> None:
    path = tmp_path / commit_of(pack(made, tmp_path)[0].name)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(SchemaError, match="upgrade voxmill"):
        pack(made, tmp_path)


def test_a_recording_is_read_in_runs_not_once_per_segment(tmp_path: Path) -> None:
    rec = recording("lecture", seconds=1900)
    samples = [sample(rec, start, 5) for start in range(0, 1890, 30)]
    plan = only(plan_shards((s.entry for s in samples), 1, 10**9))
    asked: list[tuple[int, int]] = []

    def read(r: Recording, start: int, num_samples: int) -> NDArray[np.float32]:
        asked.append((start, num_samples))
        return np.zeros(num_samples, np.float32)

    pack_shard(plan, samples, read, str(tmp_path))
    assert len(asked) == 4
    assert max(length for _, length in asked) <= MAX_RUN == 600 * SAMPLE_RATE


def test_audio_of_another_length_is_an_error(tmp_path: Path) -> None:
    one = sample(recording("a"), 0, 1)
    plan = only(plan_shards([one.entry], 1, 10**9))
    with pytest.raises(ValueError, match="asked for 16000 samples from 0"):
        pack_shard(plan, [one], lambda *_: np.zeros(15_999, np.float32), str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_samples_must_be_those_of_the_plan(tmp_path: Path) -> None:
    one = sample(recording("a"), 0, 1)
    plan = only(plan_shards([one.entry], 1, 10**9))
    with pytest.raises(ValueError, match="1 samples that were not given"):
        pack_shard(plan, [], read_audio, str(tmp_path))
    with pytest.raises(ValueError, match="plan again"):
        pack_shard(plan, [sample(recording("a"), 0, 1, generation=3)], read_audio, str(tmp_path))


def test_webdataset_reads_every_sample_back(once: Path, made: list[Sample]) -> None:
    wds = pytest.importorskip("webdataset")
    import soundfile

    urls = sorted(map(str, once.glob("*.tar")))
    read: dict[str, Any] = {s["__key__"]: s for s in wds.WebDataset(urls, shardshuffle=False).decode()}
    assert read.keys() == {s.key for s in made}
    for one in made:
        audio, rate = soundfile.read(io.BytesIO(read[one.key]["flac"]), dtype="float32")
        wanted = read_audio(one.recording, one.segment.start, one.segment.num_samples)
        assert rate == SAMPLE_RATE
        assert np.abs(audio - wanted).max() <= 0.5 / 32768
        assert read[one.key]["json"]["text"] == one.text


def test_the_commit_counts(once: Path, made: list[Sample]) -> None:
    shards = list(committed(str(once)))
    assert sum(s.num_shard_samples for s in shards) == len(made)
    assert sum(s.seconds for s in shards) == pytest.approx(sum(s.segment.seconds for s in made))
    assert read_commit(str(once), "train-none-00000-000") is None
