"""Fingerprints and shingles: what is found, what is not, and in which order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.manifests.duplicate_records import Duplicate
from voxmill.manifests.ids import segment_id
from voxmill.manifests.records import Segment
from voxmill.operators.dedup.acoustic import AcousticIndex, Values, match_at, non_silent
from voxmill.operators.dedup.evaluation_sets import NoEvaluationSet, clips, sets_digest
from voxmill.operators.dedup.minhash import TextIndex, containment, part_shingles
from voxmill.operators.select.select import copy_of


def values(seed: int, count: int = 200) -> Values:
    return np.random.default_rng(seed).integers(0, 2**32, count, dtype=np.uint32)


def test_a_trimmed_copy_is_found_with_its_shift() -> None:
    index = AcousticIndex()
    for seed in range(20):
        index.add(seed, values(seed))
    (match,) = index.find(values(7)[30:90], 0.5)
    assert (match.key, match.shift, match.score, match.first, match.last) == (7, 30, 1.0, 0, 59)


def test_a_few_flipped_bits_still_match() -> None:
    copy = values(3).copy()
    copy[::2] ^= np.uint32(1 << 5)
    index = AcousticIndex()
    index.add("a", values(3))
    assert index.find(copy, 0.9)[0].score == 1.0


def test_strangers_and_silence_are_no_match() -> None:
    index = AcousticIndex()
    index.add("speech", values(1))
    index.add("silence", np.full(200, 627964279, np.uint32))
    assert index.find(values(2), 0.01) == []
    assert index.find(np.full(300, 627964279, np.uint32), 0.01) == []
    assert int(non_silent(np.full(300, 1, np.uint32)).sum()) == 1


def test_of_two_equal_partners_the_first_is_named() -> None:
    index = AcousticIndex()
    index.add("first", values(1))
    index.add("second", values(1))
    assert [match.key for match in index.find(values(1), 0.5)] == ["first", "second"]


@given(st.integers(0, 50), st.integers(1, 60), st.integers(-80, 80))
def test_a_score_is_a_share(seed: int, count: int, shift: int) -> None:
    match = match_at("x", values(seed, count), values(seed + 1, 40), shift)
    assert 0.0 <= match.score <= 1.0
    assert match.first <= match.last


def words(seed: int, count: int = 60) -> list[str]:
    return [f"w{n}" for n in np.random.default_rng(seed).integers(0, 5000, count)]


def test_a_copy_cut_at_other_places_reads_the_same() -> None:
    one = part_shingles([words(1)[:20], words(1)[20:]], 4)
    other = part_shingles([words(1)[:35], words(1)[35:]], 4)
    assert one.unique == other.unique
    assert one.segments != other.segments


def test_the_partner_is_found_by_what_is_shared() -> None:
    index = TextIndex()
    for seed in range(30):
        index.add(seed, part_shingles([words(seed)], 4).unique)
    half = part_shingles([words(9)[:30] + words(99)[:20]], 4).unique
    ((key, score),) = index.find(half, 0.4)
    assert key == 9
    assert score == containment(half, part_shingles([words(9)], 4).unique)
    assert index.find(part_shingles([words(1234)], 4).unique, 0.1) == []


def test_the_first_stretch_that_covers_half_decides() -> None:
    segment = Segment(segment_id("r", 0, 100), "r", 0, 100)
    row = Duplicate("r", 0, 60, "select.duplicate", "text", "p", "", 1.0)
    small = Duplicate("r", 0, 40, "select.contaminated", "text", "p", "set", 1.0)
    assert copy_of(segment, (row, small)) is row
    assert copy_of(segment, (small,)) is None
    assert copy_of(segment, (Duplicate("q", 0, 100, "select.duplicate", "text", "p", "", 1.0),)) is None


def test_an_evaluation_set_may_be_a_manifest_or_a_folder(tmp_path: Path) -> None:
    manifest = tmp_path / "set.jsonl"
    manifest.write_text(
        json.dumps({"audio_filepath": "a.wav", "text": "hello there"}) + "\n\n" + json.dumps({"text": "x"}) + "\n"
    )
    assert [(c.name, c.text) for c in clips(str(manifest))] == [("a.wav", "hello there"), ("2", "x")] or len(
        list(clips(str(manifest)))
    ) == 2
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"")
    (folder / "a.txt").write_text("hello")
    assert [(c.name, c.text) for c in clips(str(folder))] == [("a.wav", "hello")]
    before = sets_digest([str(folder)])
    (folder / "a.txt").write_text("hello again")
    assert sets_digest([str(folder)]) != before
    with pytest.raises(NoEvaluationSet, match="no evaluation set"):
        list(clips(str(tmp_path / "absent")))
