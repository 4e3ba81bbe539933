"""Tombstones: what they refuse, what they do not say, and what is left in the books."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory import item, provenance, recording
from voxmill.manifests.ids import archive_key, segment_id
from voxmill.manifests.parquet import records_bytes
from voxmill.manifests.reasons import reject
from voxmill.manifests.tombstones import (
    Ghost,
    Tombstone,
    Tombstones,
    is_scrubbed,
    mark,
    pseudonym,
    refused,
    scrubbed_item,
    scrubbed_recording,
)  # fmt: skip

SALT = "salt"


def stones(**marks: str) -> Tombstones:
    return Tombstones([Tombstone(SALT, "", (), tuple(sorted(mark(SALT, k, v) for k, v in marks.items())), 1, 0)])


def test_an_address_is_refused_however_it_is_written() -> None:
    asked = stones(url=archive_key("https://example.org/a b.mp3"))
    assert asked.address("HTTPS://EXAMPLE.org:443/a%20b.mp3#t=1")
    assert not asked.address("https://example.org/b.mp3")


@pytest.mark.parametrize("url", ["https://example.org/x", "http://cdn.example.org:8080/y", "https://EXAMPLE.ORG./z"])
def test_a_host_is_refused_with_its_subdomains(url: str) -> None:
    assert stones(host="example.org").address(url)


@pytest.mark.parametrize(
    "url", ["https://notexample.org/x", "https://example.org.net/x", "file:///example.org/a.wav", None, ""]
)
def test_other_hosts_are_not(url: str | None) -> None:
    assert not stones(host="example.org").address(url)


def test_a_page_that_led_there_counts() -> None:
    listed = item("a", provenance=provenance(url="https://cdn.net/1.mp3", page_url="https://example.org/feed"))
    assert stones(url="https://example.org/feed").item(listed)


def test_a_segment_is_known_by_the_start_of_its_id() -> None:
    rec = recording("a")
    asked = stones(hash=rec.id[:24])
    assert asked.hash(segment_id(rec.id, 0, 16000))
    assert asked.hash(f"u0000001-abc.{segment_id(rec.id, 0, 16000)}.try-1")
    assert not asked.hash(segment_id(recording("b").id, 0, 16000))


def test_a_tombstone_says_nothing_of_what_it_covers() -> None:
    rec = recording("a")
    stone = Tombstone(
        SALT, "request 17", (), (mark(SALT, "hash", rec.id),), 1, 0, (Ghost(pseudonym(SALT, rec.id), 0, 1, "train"),)
    )
    blob = records_bytes([stone], Tombstone)
    assert rec.id.encode() not in blob
    assert rec.id[:24].encode() not in blob


def test_what_is_left_of_an_item_is_its_source() -> None:
    listed = item("a", provenance=provenance(title="A name", author="Somebody"), rejection=reject("list.duplicate", "b" * 64))
    left = scrubbed_item(listed, SALT)
    assert (left.provenance.source, left.provenance.title, left.provenance.author, left.provenance.host) == (
        "source",
        None,
        None,
        "",
    )
    assert left.rejection == reject("list.duplicate")
    assert listed.provenance.url not in repr(left)


def test_what_is_left_of_a_recording_is_its_length_and_verdict() -> None:
    rec = recording("a", rejection=None)
    left = scrubbed_recording(rec, SALT, pseudonym(SALT, rec.id))
    assert (left.num_samples, left.rejection, left.audio, left.pcm_sha256) == (rec.num_samples, None, None, None)
    assert left.item_id == scrubbed_item(item("a"), SALT).id
    assert is_scrubbed(left)
    assert rec.id not in repr(left)


def test_a_revoked_recording_without_units_gets_none() -> None:
    rec = recording("a")
    assert refused(rec) == rec
    left = scrubbed_recording(rec, SALT, pseudonym(SALT, rec.id))
    assert refused(left).rejection == reject("crawl.revoked")
    assert refused(replace(left, rejection=reject("decode.empty"))).rejection == reject("decode.empty")


@given(st.text(max_size=40), st.text(max_size=40))
def test_marks_of_two_kinds_never_meet(left: str, right: str) -> None:
    assert mark(SALT, "url", left) != mark(SALT, "host", right)
    assert (mark(SALT, "url", left) == mark(SALT, "url", right)) == (left == right)


def test_without_tombstones_nothing_is_refused() -> None:
    none = Tombstones()
    assert not none
    assert not none.item(item("a"))
    assert not none.recording(recording("a"))
    assert none.refuse([item("a")]) == [item("a")]
