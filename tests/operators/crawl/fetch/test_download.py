"""Transfers that break off, and go on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from voxmill.operators.crawl.facts.crawl_errors import Blocked, NetworkError, TooLarge, Unsupported
from voxmill.operators.crawl.fetch.download import Download, download, part_file
from voxmill.operators.crawl.fetch.fetcher import Fetcher
from website import Answer, Asked, Website, html, in_turn

Make = Callable[..., Fetcher]
BODY = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(BODY).hexdigest()


def get(fetcher: Fetcher, url: str, folder: Path, limit: int = 10**9) -> Download:
    with part_file(folder, "item") as part:
        return download(fetcher, url, part, limit)


def whole(folder: Path) -> bytes:
    return (folder / "item.part").read_bytes()


def test_in_one_go(site: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    site.routes["/a.mp3"] = Answer(
        BODY, headers={"Content-Type": "audio/mpeg; x=y", "Last-Modified": "Tue, 01 Jul 2025 00:00:00 GMT"}
    )
    got = get(fetcher, f"{site.url}/a.mp3", tmp_path)
    assert (got.sha256, got.num_bytes, got.resumed_at) == (SHA256, len(BODY), 0)
    assert whole(tmp_path) == BODY
    assert got.facts.content_type == "audio/mpeg"
    assert got.facts.last_modified == "Tue, 01 Jul 2025 00:00:00 GMT"
    assert got.facts.final_url == f"{site.url}/a.mp3"
    assert "robots.txt (404): no rules" in (got.facts.permission or "")


def test_a_broken_transfer_goes_on_where_it_stopped(site: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    site.routes["/a.mp3"] = in_turn(
        Answer(BODY, cut=100_000, ranges=True), Answer(BODY, cut=200_000, ranges=True), Answer(BODY, ranges=True)
    )
    got = get(fetcher, f"{site.url}/a.mp3", tmp_path)
    assert (got.sha256, got.num_bytes) == (SHA256, len(BODY))
    assert whole(tmp_path) == BODY
    ranges = [asked.headers.get("range") for asked in site.asked("/a.mp3")]
    assert ranges[0] is None
    assert ranges[1:] == ["bytes=100000-", "bytes=300000-"]
    assert all(asked.headers["if-range"].startswith('"') for asked in site.asked("/a.mp3")[1:])


def test_so_does_the_next_process(site: Website, make_fetcher: Make, tmp_path: Path) -> None:
    site.routes["/a.mp3"] = in_turn(Answer(BODY, cut=100_000, ranges=True), Answer(BODY, ranges=True))
    with pytest.raises(NetworkError):
        get(make_fetcher(retries=0), f"{site.url}/a.mp3", tmp_path)
    got = get(make_fetcher(retries=0), f"{site.url}/a.mp3", tmp_path)
    assert (got.sha256, got.num_bytes, got.resumed_at) == (SHA256, len(BODY), 100_000)


def test_facts_do_not_tell_a_resumed_transfer_from_an_undisturbed_one(site: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    site.routes["/a.mp3"] = in_turn(Answer(BODY, cut=100_000, ranges=True), Answer(BODY, ranges=True))
    resumed = get(fetcher, f"{site.url}/a.mp3", tmp_path / "1")
    undisturbed = get(fetcher, f"{site.url}/a.mp3", tmp_path / "2")
    assert resumed.facts == undisturbed.facts


def test_what_changed_meanwhile_starts_again(site: Website, make_fetcher: Make, tmp_path: Path) -> None:
    old, new = b"old" * 50_000, BODY
    site.routes["/a.mp3"] = in_turn(Answer(old, cut=10_000, ranges=True), Answer(new, ranges=True))
    got = get(make_fetcher(), f"{site.url}/a.mp3", tmp_path)
    assert (got.sha256, whole(tmp_path)) == (SHA256, BODY)


def test_without_a_validator_it_starts_again(site: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    site.routes["/a.mp3"] = in_turn(Answer(BODY, cut=10_000), Answer(BODY))
    assert get(fetcher, f"{site.url}/a.mp3", tmp_path).sha256 == SHA256
    assert [asked.headers.get("range") for asked in site.asked("/a.mp3")] == [None, None]
    assert whole(tmp_path) == BODY


def test_a_weak_etag_is_no_validator(site: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    site.routes["/a.mp3"] = in_turn(
        Answer(BODY, headers={"ETag": 'W/"1"'}, cut=10_000), Answer(BODY, headers={"ETag": 'W/"1"'})
    )
    assert get(fetcher, f"{site.url}/a.mp3", tmp_path).sha256 == SHA256
    assert [asked.headers.get("range") for asked in site.asked("/a.mp3")] == [None, None]


def test_a_server_that_promises_more_than_it_has(site: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    site.routes["/a.mp3"] = Answer(BODY, length=len(BODY) + 5)
    with pytest.raises(NetworkError, match="broke off"):
        get(fetcher, f"{site.url}/a.mp3", tmp_path)
    assert len(site.asked("/a.mp3")) == 3


def test_a_server_that_answers_another_range_than_asked(site: Website, make_fetcher: Make, tmp_path: Path) -> None:
    def wrong(asked: Asked) -> Answer:
        if "range" in asked.headers:
            return Answer(BODY[7:], 206, {"Content-Range": f"bytes 7-{len(BODY) - 1}/{len(BODY)}", "ETag": '"1"'})
        return Answer(BODY, headers={"ETag": '"1"'}, cut=100_000 if len(site.asked("/a.mp3")) == 1 else None)

    site.routes["/a.mp3"] = wrong
    assert get(make_fetcher(retries=2), f"{site.url}/a.mp3", tmp_path).sha256 == SHA256
    assert whole(tmp_path) == BODY


def test_only_the_end_was_not_noticed(site: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    site.routes["/a.mp3"] = Answer(BODY, ranges=True)
    first = get(fetcher, f"{site.url}/a.mp3", tmp_path)
    again = get(fetcher, f"{site.url}/a.mp3", tmp_path)  # as after a kill between the last byte and the commit
    assert (again.sha256, again.facts) == (first.sha256, first.facts)
    assert len(site.asked("/a.mp3")) == 2


def test_too_large(site: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    site.routes |= {"/said": Answer(BODY), "/unsaid": Answer(BODY, length=-1)}
    for path in ("/said", "/unsaid"):
        with pytest.raises(TooLarge):
            get(fetcher, f"{site.url}{path}", tmp_path, limit=1000)


def test_a_web_page_is_no_media(site: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    site.routes |= {
        "/a": html("<!doctype html><p>Listen!"),
        "/odd": Answer(b"ID3" + BODY, headers={"Content-Type": "text/html"}),
    }
    with pytest.raises(Unsupported, match="kind: page"):
        get(fetcher, f"{site.url}/a", tmp_path)
    assert get(fetcher, f"{site.url}/odd", tmp_path / "2").num_bytes == len(BODY) + 3  # media under a wrong name
    site.routes["/b"] = html("<script>window._cf_chl_opt={}</script>")
    with pytest.raises(Blocked):
        get(fetcher, f"{site.url}/b", tmp_path)


def test_another_process_at_the_same_item_gets_its_own_file(tmp_path: Path) -> None:
    with part_file(tmp_path, "item") as first, part_file(tmp_path, "item") as second:
        assert first.name != second.name
    assert [path.name for path in tmp_path.iterdir()] == ["item.part"]
