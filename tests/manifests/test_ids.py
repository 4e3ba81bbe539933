from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.manifests import ids
from voxmill.manifests.ids import SHORT, archive_key, digest, item_id, segment_id

RECORDING = "ab" * 32
samples = st.integers(0, 16_000 * 3600 * 24)


def test_examples() -> None:
    assert doctest.testmod(ids).failed == 0


@given(samples, samples, samples, samples)
def test_segment_ids_sort_by_time_and_hold_no_dot(a: int, b: int, c: int, d: int) -> None:
    first, second = segment_id(RECORDING, a, b), segment_id(RECORDING, c, d)
    assert (first < second) == ((a, b) < (c, d))
    assert "." not in first
    assert first.startswith(RECORDING[:SHORT])
    assert [int(part) for part in first.split("-")[1:]] == [a, b]


@given(st.lists(st.text()), st.lists(st.text()))
def test_a_digest_tells_lists_of_fields_apart(one: list[str], other: list[str]) -> None:
    assert (digest(one) == digest(other)) == (one == other)


def test_a_digest_does_not_see_the_difference_between_text_and_its_bytes() -> None:
    assert digest(["a", "麦"]) == digest([b"a", "麦".encode()])
    assert digest(["ab", "c"]) != digest(["a", "bc"])


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("HTTP://Example.ORG/A.mp3", "http://example.org/A.mp3"),
        ("https://example.org:443/a", "https://example.org/a"),
        ("https://example.org:8443/a", "https://example.org:8443/a"),
        ("http://example.org/a?b=c&d#e", "http://example.org/a?b=c&d"),
        ("http://[2001:DB8::1]:80/a", "http://[2001:db8::1]/a"),
        ("  http://example.org/a b ", "http://example.org/a%20b"),
        ("http://example.org/%7Ea%2Fb", "http://example.org/%7Ea%2Fb"),
        ("http://example.org/麦.mp3", "http://example.org/%E9%BA%A6.mp3"),
        ("http://user:secret@example.org/a", "http://example.org/a"),
        ("/data/talk.flac", "/data/talk.flac"),
    ],
)
def test_an_address_has_one_key(url: str, key: str) -> None:
    assert archive_key(url) == key
    assert archive_key(key) == key
    assert item_id(url) == item_id(key)


def test_the_same_file_name_on_two_hosts_is_two_items() -> None:
    assert item_id("http://a.example/talk.mp3") != item_id("http://b.example/talk.mp3")
