from __future__ import annotations

import json
from dataclasses import replace

import pytest

from samples import recording, sample
from voxmill.manifests.records import Consensus, Hypothesis, Provenance, Rejection
from voxmill.manifests.schema import from_plain, plain
from voxmill.sharding.sample import RECORDS, Entry, Sample, document, document_bytes, portable, read_document


def test_the_document_keeps_the_evidence() -> None:
    one = sample(recording("a"), 1, 2)
    words = read_document(document_bytes(one))
    assert words == document(one)
    assert words["text"] == "谢谢 thank you"
    assert words["duration"] == 2.0
    assert tuple(from_plain(h, Hypothesis) for h in words["hypotheses"]) == one.hypotheses
    assert from_plain(words["consensus"], Consensus) == one.consensus
    assert words["labels"] == plain(one.labels)
    assert words["labels"]["emotion"] is None, "unlabelled"
    assert words["labels"]["sound_events"]["marks"] == [], "labelled, and empty: not the same"
    assert words["licence"]["name"] == "cc-by-4.0"


def shape(sample: Sample) -> dict[str, type]:
    return {key: type(value) for key, value in json.loads(document_bytes(sample)).items()}


def test_every_sample_has_the_same_keys_and_types() -> None:
    """Whatever is not known of it: the first samples decide what `datasets` takes for the types of all."""
    full = sample(recording("a"), 1, 2)
    bare = replace(
        full,
        recording=replace(full.recording, language=None, sampling_rate=None, codec=None),
        hypotheses=(Hypothesis(full.key, "one", "m@1", ""),),
        consensus=replace(full.consensus, language=None, agreement=None, slots=(), vote=None, normalised=()),
        labels=None,
        pictures=None,
        selection=replace(full.selection, tier="unlabelled"),
    )
    whole = replace(full, consensus=replace(full.consensus, agreement=1), selection=replace(full.selection, weight=1))
    assert shape(full) == shape(bare) == shape(whole)
    assert set(shape(full).values()) == {str, int, float}, "no null, list or object to take another type elsewhere"
    assert {key for key in shape(full) if isinstance(document(full)[key], dict | list | None)} <= set(RECORDS)
    for one in (full, bare, whole):
        assert read_document(document_bytes(one)) == document(one)


@pytest.mark.parametrize("blob", [b"", b"[]", b"{}", b'{"packer": "3"}', b'{"packer": null}', b'"3"'])
def test_what_is_no_document_is_no_json_of_ours(blob: bytes) -> None:
    with pytest.raises(json.JSONDecodeError):
        read_document(blob)


def test_the_document_is_the_same_wherever_and_whenever_the_file_was_fetched() -> None:
    here = recording("a")
    local = Provenance("disk", "/home/me/talks/a.wav", final_url="file:///home/me/talks/a.wav", host="local", etag="1")
    there = replace(local, url="/mnt/data/a.wav", final_url="file:///mnt/data/a.wav", etag="2", last_modified="yesterday")
    first = replace(here, provenance=local, audio="/home/me/talks/a.wav", item_id="one")
    second = replace(here, provenance=there, audio="audio/a.wav", item_id="two")
    assert document_bytes(sample(first, 0, 1)) == document_bytes(sample(second, 0, 1))
    assert b"/home" not in document_bytes(sample(first, 0, 1))


def test_the_unlabelled_tier_has_no_text_but_keeps_the_consensus() -> None:
    words = document(sample(recording("a"), 0, 1, tier="unlabelled"))
    assert words["text"] is None
    assert words["consensus"]["text"]


def test_web_addresses_stay() -> None:
    for address in ("https://example.org/a?b=c", "s3://bucket/a.mp3", "a sentence", None):
        assert portable(address) == address


def test_records_of_another_segment_are_refused() -> None:
    one, other = sample(recording("a"), 0, 1), sample(recording("a"), 1, 1)
    with pytest.raises(ValueError, match="records of other segments"):
        replace(one, consensus=other.consensus)
    with pytest.raises(ValueError, match="belongs to recording"):
        replace(one, recording=recording("b"))


def test_a_rejected_segment_is_never_packed() -> None:
    with pytest.raises(ValueError, match="rejected"):
        sample(recording("a"), 0, 1, rejection=Rejection("select.low_agreement"))


@pytest.mark.parametrize("key", ["a.b", "", "a/b", "a b", "ä", "x" * 91])
def test_keys_that_break_readers_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match="sample key"):
        Entry(key, "r", 0, 1, "train", "cc0-1.0", 0, 0, 0)


def test_json_has_no_nan() -> None:
    one = sample(recording("a"), 0, 1)
    broken = replace(one, consensus=replace(one.consensus, agreement=float("nan")))
    with pytest.raises(ValueError, match="JSON compliant"):
        document_bytes(broken)
