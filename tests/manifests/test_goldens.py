"""Ids and marks that are in every ledger, shard and tombstone: as they were, for ever."""

from __future__ import annotations

import pytest

from voxmill.manifests.ids import archive_key, digest, item_id, segment_id
from voxmill.manifests.secret_patterns import digest_of
from voxmill.manifests.tombstones import mark, pseudonym

RECORDING = "0123456789abcdef" * 4


def test_golden_digests() -> None:
    assert digest(["a", "麦", b"\0"]) == "10d66f52ff1ecf9cc344467fe2bc14c2ff40f89fda909d493008812ee6c9ade1"
    assert digest([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest(["a" * 300]) == "dc1a27fc85539ae152d698a74d8f1548edb30c070876f6a1b28ddef11447054f"


def test_golden_segment_ids() -> None:
    assert segment_id(RECORDING, 16_000, 48_000) == "0123456789abcdef01234567-0000016000-0000048000"


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("HTTP://User@Example.ORG:80/a b/%c3%a9.mp3?q=1#t=3", "http://example.org/a%20b/%C3%A9.mp3?q=1"),
        ("https://example.org:443/~a/!$&'()*+,;=:@-._.mp3", "https://example.org/~a/!$&'()*+,;=:@-._.mp3"),
        ("https://example.org/a^b.mp3 ", "https://example.org/a%5Eb.mp3"),
        ("/data/a b.flac", "/data/a%20b.flac"),
        ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
        ("http://[broken/a.mp3 ", "http://[broken/a.mp3"),
        ("ftp://example.org:80/a", "ftp://example.org:80/a"),
    ],
)
def test_golden_addresses(url: str, key: str) -> None:
    assert archive_key(url) == key


def test_golden_item_ids() -> None:
    assert (
        item_id("HTTPS://example.org:443/a.mp3#t=3")
        == item_id("https://example.org/a.mp3")
        == "419b5443a170824f9e639183b8027bdcecf7b80cc53821a941995fb285d75094"
    )


def test_golden_marks_and_pseudonyms() -> None:
    assert (
        mark("salt", "url", "https://example.org/a.mp3") == "13d9bc36b637990423c6fced574d933982aff99462d53278197c7a4646026546"
    )
    assert pseudonym("salt", RECORDING) == "ac367a1b885c1561098f45e49ba2efc75abacb9faeebfb5b3832496cf70073e1"
    assert pseudonym("salt", RECORDING, 3) == "ec63b39e5b03dbf69ed7a1d0b3926e4aa2e27d253d38f4dc8c27ca7c2ed34048"


def test_golden_forms_of_secrets() -> None:
    assert digest_of("麦\udcff") == "~d42c1dc2f34a"
    assert digest_of("9f86d081884c7d659a2feaa0c55ad015") == "~672124622314"
