"""The demo's site is the same each time, and its server does what crawlers rely on."""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import recordings
from demo.server import byte_range, serve
from demo.site import DISALLOWED, SOURCES, build
from speech.debian import PackagesUnavailable
from speech.waves import RATE, decode


def fetch(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, headers={key.replace("_", "-"): value for key, value in headers.items()})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The site as it is built without apt: tests reach no network."""

    def unavailable(language: str) -> list[object]:
        raise PackagesUnavailable(f"no {language} in a test")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(recordings, "prompts", unavailable)
        yield build(tmp_path_factory.mktemp("demo") / "site")


def digests(root: Path) -> dict[str, str]:
    return {str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in root.rglob("*") if f.is_file()}


def test_the_site_is_built_to_the_same_bytes_and_holds_what_it_lists(site: Path) -> None:
    again = build(site.parent / "again")
    assert digests(site) == digests(again)
    listing = json.loads((site / "site.json").read_text())
    assert "not to be had" in listing["note"]
    for path, seconds in listing["seconds"].items():
        assert len(decode(site / path.lstrip("/"))) / RATE == pytest.approx(seconds, abs=0.2)
    assert (site / "files/reading.flac").read_bytes() == (site / "mirror/reading.flac").read_bytes()
    with pytest.raises(ValueError, match="Invalid data"):
        decode(site / "files/broken.m4a")


def test_every_source_is_served_and_the_log_tells_who_asked(site: Path, tmp_path: Path) -> None:
    with serve(site, log=tmp_path / "log.jsonl") as served:
        for source in SOURCES:
            status, headers, body = fetch(served.url + source.path, User_Agent="test")
            assert status == 200
            assert headers["Content-Length"] == str(len(body))
        _, headers, feed = fetch(f"{served.url}/podcast.xml")
        assert headers["Content-Type"].startswith("application/rss+xml")
        assert feed.count(f'enclosure url="{served.url}/episodes/'.encode()) == 2
        assert DISALLOWED.encode() in fetch(f"{served.url}/talks/switch.html")[2]
        assert b"Disallow: /private/" in fetch(f"{served.url}/robots.txt")[2]
        assert not served.requested(DISALLOWED)
        assert served.requested("/podcast.xml")[0].user_agent == "test"
        logged = len(served.requests)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == logged


def test_ranges_resume_and_nothing_outside_the_site_is_served(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("no")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.mp3").write_bytes(bytes(range(100)))
    with serve(tmp_path / "site") as served:
        status, headers, body = fetch(f"{served.url}/a.mp3", Range="bytes=60-")
        assert (status, body, headers["Content-Range"]) == (206, bytes(range(60, 100)), "bytes 60-99/100")
        assert fetch(f"{served.url}/a.mp3", Range="bytes=60-", If_Range='"other"')[0] == 200
        assert fetch(f"{served.url}/a.mp3", Range="bytes=60-", If_Range=headers["ETag"])[0] == 206
        assert fetch(f"{served.url}/a.mp3", Range="bytes=100-")[0] == 416
        assert fetch(f"{served.url}/%2e%2e/secret")[0] == 404
        assert fetch(f"{served.url}/none")[0] == 404


@given(st.integers(1, 50), st.integers(0, 60), st.integers(0, 60))
def test_a_range_is_what_a_slice_would_be(size: int, first: int, last: int) -> None:
    body = list(range(size))
    expected = body[first : last + 1]
    if expected:
        start, end = byte_range(f"bytes={first}-{last}", size) or (0, 0)
        assert body[start:end] == expected
    else:
        with pytest.raises(ValueError, match="bytes="):
            byte_range(f"bytes={first}-{last}", size)
