"""A revoked address is not asked for, and revoked bytes are not kept, whatever the address."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from factory import item, provenance
from voxmill.manifests.records import Recording
from voxmill.manifests.tombstones import Tombstone, Tombstones, mark, scrubbed_item
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.crawl.crawl import Crawl
from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig, FetchSettings
from voxmill.pipeline.execution.host_limit_server import no_gate


def fetched(tmp_path: Path, *, hidden: bool, copy: bool) -> Recording:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF and more")
    listed = replace(item("a"), kind="file", provenance=provenance(url=path.as_uri(), host="local"))
    stone = Tombstone("salt", "", (), (mark("salt", "hash", hashlib.sha256(path.read_bytes()).hexdigest()),), 1, 0)
    crawl = Crawl(
        CrawlConfig(contact="tests@example.org", copy_local=copy),
        str(tmp_path / "audio"),
        no_gate(),
        Tombstones([stone] if hidden else []),
    )
    (recording,) = crawl(UnitInput("g", items=(listed,)))
    return recording


def test_bytes_that_are_revoked_are_not_kept(tmp_path: Path) -> None:
    for copy in (True, False):
        refused = fetched(tmp_path, hidden=True, copy=copy)
        assert refused.rejection is not None
        assert (refused.rejection.reason, refused.rejection.detail) == ("crawl.revoked", "")
        assert not [p for p in (tmp_path / "audio").rglob("*") if p.is_file()]
    assert fetched(tmp_path, hidden=False, copy=True).rejection is None


def test_a_revoked_line_of_the_listing_is_refused_without_a_look(tmp_path: Path) -> None:
    crawl = Crawl(CrawlConfig(contact="tests@example.org"), str(tmp_path), no_gate())
    (refused,) = crawl(UnitInput("g", items=(scrubbed_item(item("a"), "salt"),)))
    assert refused.rejection is not None
    assert refused.rejection.reason == "crawl.revoked"


def test_a_deny_list_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "deny.txt"
    path.write_text("# hosts\nexample.org\n\nhttps://a.net/x/*  # and a folder\n")
    settings = FetchSettings(contact="tests@example.org", deny=("b.net",), deny_files=(str(path),))
    assert settings.denied == ("b.net", "example.org", "https://a.net/x/*")
