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
from voxmill.operators.dedup.acoustic import Values, keys, match_at
from voxmill.operators.dedup.evaluation_sets import NoEvaluationSet, clips, sets_digest
from voxmill.operators.dedup.shingles import part_shingles
from voxmill.operators.select.select import copy_of


def values(seed: int, count: int = 200) -> Values:
    return np.random.default_rng(seed).integers(0, 2**32, count, dtype=np.uint32)


def test_a_trimmed_copy_matches_whole_at_its_shift() -> None:
    match = match_at(values(7)[30:90], values(7), 30)
    assert (match.score, match.first, match.last) == (1.0, 0, 59)
    assert match_at(values(7)[30:90], values(7), 29).score == 0.0


def test_a_few_flipped_bits_still_match() -> None:
    copy = values(3).copy()
    copy[::2] ^= np.uint32(1 << 5)
    assert match_at(copy, values(3), 0).score == 1.0


def test_keys_are_of_sound_and_keep_what_a_copy_keeps() -> None:
    silence = np.full(200, 627964279, np.uint32)
    assert len(keys(silence)[0]) == 1
    assert len(keys(values(1)[:0])[0]) == len(keys(values(1)[:1])[0]) == 0
    found, places = keys(values(1))
    assert places.tolist() == list(range(199))
    later, there = keys(values(1)[50:])
    assert (found[50:] == later).all()
    assert (places[50:] - 50 == there).all()
    wobbly = values(1).copy()
    wobbly[1::2] ^= np.uint32(1 << 16)  # a bit that copies often have otherwise
    assert (keys(wobbly)[0][::2] == found[::2]).all()


@given(st.integers(0, 50), st.integers(1, 60), st.integers(-80, 80))
def test_a_score_is_a_share(seed: int, count: int, shift: int) -> None:
    match = match_at(values(seed, count), values(seed + 1, 40), shift)
    assert 0.0 <= match.score <= 1.0
    assert match.first <= match.last


def words(seed: int, count: int = 60) -> list[str]:
    return [f"w{n}" for n in np.random.default_rng(seed).integers(0, 5000, count)]


def test_a_copy_cut_at_other_places_reads_the_same() -> None:
    one = part_shingles([words(1)[:20], words(1)[20:]], 4)
    other = part_shingles([words(1)[:35], words(1)[35:]], 4)
    assert one.shingles == other.shingles
    assert one.segments != other.segments


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
