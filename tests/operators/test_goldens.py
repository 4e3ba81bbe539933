"""Splits, ids and digests that operators write into the ledger: as they were, for ever."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voxmill.manifests.ids import digest
from voxmill.manifests.reasons import reject
from voxmill.operators.crawl.facts.candidate import Candidate
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.decode import channel_mix
from voxmill.operators.decode.channel_mix import ChannelStats
from voxmill.operators.dedup.evaluation_sets import sets_digest
from voxmill.operators.dedup.shingles import part_shingles
from voxmill.operators.select.select import split_of
from voxmill.operators.weights import kinds, registry

IDS = tuple(digest([str(number)]) for number in range(60))


def test_golden_splits() -> None:
    """train, dev and test, by their last letters."""
    assert (
        "".join(split_of(one, dev=0.1, test=0.2)[-1] for one in IDS)
        == "nnnnntnntnnnvnnnnnvntttnvnnnnnvnntnnnnnnnnnnnntnntnttttntntt"
    )
    assert (
        "".join(split_of(one, dev=0.2, test=0.0)[-1] for one in IDS)
        == "nnnnnvnnvnnnnnnnnnnnvvvnnnnnnnnnnvnnnnnnnnnnnnvnnvnvvvvnvnvv"
    )


def test_golden_ids_of_candidates() -> None:
    source = SourceConfig(name="talks", url="https://example.org/feed")
    whole = Candidate("https://example.org/a.mp3", "http")
    assert whole.item(source).id == "419b5443a170824f9e639183b8027bdcecf7b80cc53821a941995fb285d75094"
    unread = Candidate("https://example.org/a.mp3", "http", rejection=reject("list.unreadable"))
    assert unread.item(source).id == "eafcd66ef25810b759f4864cd35e4ff345750951086cabadf25e369cd7899029"


def test_golden_digests_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_mix, "DECODER", "4 libavformat1.2.3")
    steps = np.arange(1600)
    stereo = np.stack([steps % 801 - 400, steps * steps % 799 - 399]).astype(np.float32) / np.float32(400)
    channels = ChannelStats(("FL", "FR"))
    for half in np.array_split(stereo, 2, axis=1):
        channels.add(half)
    assert channels.digest(None) == "e6625db99a1d3ff5a99c93087dcd1d416cca1d1650b7702d3448060743a14a04"
    assert channels.digest((1.0, 0.0)) == "67d623a32834cfa76165be3d9691181a2aa92de9d3684cba90a49530dab2efb9"
    assert channels.digest((0.5, 0.25)) == "5ebb15b1b1788a89a140d3eae9a4e61ae7cfc67bde622dab0ea57a1e2e8e422e"
    assert channels.digest((0.5, 0.5), 2) == "02d7997208b266df05c0190a572d0071f35bf878e0a525cd398cec037df354f7"


def test_golden_shingles() -> None:
    one = part_shingles([["it", "was", "the"], ["best", "of", "times"]], 4)
    assert one.shingles == (823633661556592735, 2229011129580272810, 5224457526697348737)
    assert one.segments == (0, 0, 0)


def test_golden_evaluation_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.wav").write_bytes(b"1234")
    Path("set.jsonl").write_text(
        '{"audio_filepath": "a.wav", "text": "it was"}\n{"audio_filepath": "b.wav"}\n{"id": "c", "text": "the best"}\n'
    )
    assert sets_digest(["set.jsonl", "absent.jsonl"]) == "c060ff3516c453c737abda12187c9fa7a404dd954572468857a3ad7e22575a61"
    assert sets_digest(["absent.jsonl"]) == ""


def test_golden_weights(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"weights")
    (folder / "vocab.txt").write_bytes(b"a b c")
    assert kinds.digest({"b": "22", "a": "11"}) == "416ccbb108242872963558d2b2800ec8cc6d6c2b62ec0ce35f6a0ae486adbfaa"
    assert registry.identity(str(folder)) == "weights@572e07bd413a"
