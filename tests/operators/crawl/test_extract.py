"""yt-dlp reads pages and streams; our fetcher makes every request of it."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voxmill import __version__
from voxmill.operators.crawl.errors import (
    Blocked,
    CrawlError,
    Disallowed,
    HttpError,
    NotFound,
    TooLarge,
    TooLong,
    Unreadable,
    Unsupported,
)
from voxmill.operators.crawl.extract import Extractor, clear_parts
from voxmill.operators.crawl.fetcher import Fetcher
from website import Answer, Website, html, in_turn, typed

pytest.importorskip("yt_dlp")

Make = Callable[..., Fetcher]

VIDEO_PAGE = """<!doctype html><html><head><title>A talk</title>
<script type="application/ld+json">{"@context": "https://schema.org", "@type": "VideoObject", "name": "The talk",
"contentUrl": "%s", "uploadDate": "2025-07-01", "duration": "PT90S"}</script></head><body></body></html>"""

PARTS = [b"\x47" + bytes([n]) * 999 for n in range(3)]


def playlist(*names: str, end: bool = True, extra: str = "", seconds: float = 4.0) -> str:
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:4", *filter(None, [extra])]
    for name in names:
        lines += [f"#EXTINF:{seconds},", name]
    return "\n".join(lines + ["#EXT-X-ENDLIST"] * end) + "\n"


@pytest.fixture
def stream(site: Website) -> Website:
    """/radio/all.m3u8 with two qualities of one stream in three parts."""
    master = (
        '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"\nlow/list.m3u8\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=128000,CODECS="mp4a.40.2"\nhigh/list.m3u8\n'
    )
    mpegurl = "application/vnd.apple.mpegurl"
    site.routes |= {
        "/radio/all.m3u8": typed(master, mpegurl, ETag='"m1"'),
        "/radio/low/list.m3u8": typed(playlist("0.ts"), mpegurl),
        "/radio/high/list.m3u8": typed(playlist("0.ts", "1.ts", "/parts/2.ts?x=1"), mpegurl),
        "/radio/high/0.ts": typed(PARTS[0], "video/mp2t"),
        "/radio/high/1.ts": typed(PARTS[1], "video/mp2t"),
        "/parts/2.ts": typed(PARTS[2], "video/mp2t"),
        "/a.mp3": typed(b"ID3", "audio/mpeg"),
    }
    return site


def join(fetcher: Fetcher, url: str, folder: Path, max_bytes: int = 10**9, max_seconds: float = 3600) -> bytes:
    target = folder / "item.hls"
    got = Extractor(fetcher).stream(url, target, max_bytes, max_seconds)
    body = target.read_bytes()
    assert (got.sha256, got.num_bytes) == (hashlib.sha256(body).hexdigest(), len(body))
    return body


def test_a_page_that_only_yt_dlp_understands(site: Website, fetcher: Fetcher) -> None:
    site.routes["/talk"] = html(VIDEO_PAGE % f"{site.url}/media/talk.mp4")
    site.routes["/media/talk.mp4"] = typed(b"\0\0\0\x20ftypisom" + bytes(10**6), "video/mp4")
    (found,) = Extractor(fetcher).entries(f"{site.url}/talk")
    assert found.url == f"{site.url}/media/talk.mp4"
    assert (found.kind, found.title, found.published, found.seconds) == ("http", "The talk", "2025-07-01", 90)
    assert found.page_url == f"{site.url}/talk"


def test_every_request_is_the_fetcher_s(
    stream: Website, fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's log is the proof: robots.txt first, our name on everything; and no other socket was opened."""
    from voxmill.operators.crawl import transport

    dialled: list[object] = []
    connected: list[object] = []
    dial, connect = transport._dial, socket.socket.connect

    def spy_dial(*args: Any) -> socket.socket:
        dialled.append(args)
        return dial(*args)

    def spy_connect(self: socket.socket, address: Any) -> None:
        connected.append(address)
        connect(self, address)

    monkeypatch.setattr(transport, "_dial", spy_dial)
    monkeypatch.setattr(socket.socket, "connect", spy_connect)
    assert join(fetcher, f"{stream.url}/radio/all.m3u8", tmp_path) == b"".join(PARTS)
    assert stream.paths(rules=True)[:3] == ["/robots.txt", "/.well-known/tdmrep.json", "/radio/all.m3u8"]
    assert stream.paths()[-3:] == ["/radio/high/0.ts", "/radio/high/1.ts", "/parts/2.ts?x=1"]
    assert {asked.headers["user-agent"] for asked in stream.asked()} == {
        f"Voxmill/{__version__} (+https://crawl.example/about)"
    }
    assert not any("cookie" in asked.headers or "x-forwarded-for" in asked.headers for asked in stream.asked())
    assert len(connected) == len(dialled) > 0


def test_each_document_is_asked_for_once(stream: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    join(fetcher, f"{stream.url}/radio/all.m3u8", tmp_path)
    assert len(stream.paths()) == len(set(stream.paths()))


def test_robots_txt_holds_for_the_parts(stream: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    stream.routes["/robots.txt"] = typed("User-agent: *\nDisallow: /parts/", "text/plain")
    with pytest.raises(Disallowed):
        join(fetcher, f"{stream.url}/radio/all.m3u8", tmp_path)
    assert not any(path.startswith("/parts/") for path in stream.paths())


def test_a_part_that_fails_for_a_while(stream: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    stream.routes["/radio/high/1.ts"] = in_turn(Answer(b"", 500), Answer(PARTS[1]))
    assert join(fetcher, f"{stream.url}/radio/all.m3u8", tmp_path) == b"".join(PARTS)


def test_a_part_that_breaks_off_is_fetched_again(stream: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    stream.routes["/radio/high/1.ts"] = in_turn(Answer(PARTS[1], cut=10), Answer(PARTS[1], ranges=True))
    assert join(fetcher, f"{stream.url}/radio/all.m3u8", tmp_path) == b"".join(PARTS)


def test_retries_do_not_multiply(stream: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    stream.routes["/radio/high/1.ts"] = Answer(b"", 500)
    with pytest.raises(HttpError):
        join(fetcher, f"{stream.url}/radio/all.m3u8", tmp_path)
    assert stream.paths().count("/radio/high/1.ts") == fetcher.settings.retries + 1


def test_a_playlist_of_any_type(stream: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    for number, content_type in enumerate(("text/plain", "application/octet-stream", "audio/x-mpegurl")):
        stream.routes["/radio/high/list.m3u8"] = typed(playlist("0.ts", "1.ts"), content_type)
        (tmp_path / str(number)).mkdir()
        assert join(fetcher, f"{stream.url}/radio/high/list.m3u8", tmp_path / str(number)) == b"".join(PARTS[:2])


def test_what_is_left_of_another_playlist_is_not_continued(stream: Website, make_fetcher: Make, tmp_path: Path) -> None:
    stream.routes["/radio/high/1.ts"] = in_turn(Answer(b"", 500), Answer(PARTS[1]))
    with pytest.raises(HttpError):
        join(make_fetcher(retries=0), f"{stream.url}/radio/high/list.m3u8", tmp_path)
    stream.routes["/radio/high/list.m3u8"] = typed(playlist("/parts/2.ts", "1.ts"), "application/vnd.apple.mpegurl")
    assert join(make_fetcher(retries=0), f"{stream.url}/radio/high/list.m3u8", tmp_path) == PARTS[2] + PARTS[1]


def test_a_playlist_of_pages(site: Website, fetcher: Fetcher) -> None:
    """Each entry is looked at; one that cannot be read is not lost from the books."""
    item = "<item><title>{n}</title><link>{u}/{n}</link></item>"
    items = "".join(item.format(n=n, u=site.url) for n in (1, 2, 3))
    site.routes |= {
        "/list": typed(f"<?xml version='1.0'?><rss version='2.0'><channel><title>t</title>{items}</channel></rss>", "text/xml"),
        "/1": html(VIDEO_PAGE % f"{site.url}/1.mp4"),
        "/3": html(VIDEO_PAGE % f"{site.url}/3.mp4"),
        "/1.mp4": typed(b"\0\0\0\x20ftypisom", "video/mp4"),
        "/3.mp4": typed(b"\0\0\0\x20ftypisom", "video/mp4"),
    }
    found = Extractor(fetcher).entries(f"{site.url}/list")
    assert [entry.url.removeprefix(site.url) for entry in found] == ["/1.mp4", "/list#2", "/3.mp4"]
    assert [entry.rejection.reason if entry.rejection else None for entry in found] == [None, "list.unreadable", None]
    assert len(Extractor(fetcher).entries(f"{site.url}/list", limit=1)) == 1


def test_a_part_that_is_missing_is_no_smaller_stream(stream: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    del stream.routes["/radio/high/1.ts"]
    with pytest.raises(NotFound):
        join(fetcher, f"{stream.url}/radio/all.m3u8", tmp_path)
    del stream.routes["/radio/high/list.m3u8"]
    with pytest.raises(NotFound):
        join(fetcher, f"{stream.url}/radio/all.m3u8", tmp_path)


def test_the_next_attempt_goes_on(stream: Website, make_fetcher: Make, tmp_path: Path) -> None:
    stream.routes["/radio/high/1.ts"] = in_turn(Answer(PARTS[1], cut=10), Answer(PARTS[1]))
    with pytest.raises(CrawlError):
        join(make_fetcher(retries=0), f"{stream.url}/radio/all.m3u8", tmp_path)
    assert join(make_fetcher(retries=0), f"{stream.url}/radio/all.m3u8", tmp_path) == b"".join(PARTS)
    assert stream.paths().count("/radio/high/0.ts") == 1
    (tmp_path / "item.hls.part-Frag9").touch()
    clear_parts(tmp_path / "item.hls")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (playlist("0.ts", end=False), Unsupported),
        (playlist("0.ts", extra='#EXT-X-KEY:METHOD=AES-128,URI="key.bin"'), Unsupported),
        (
            playlist("0.ts", extra='#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="com.apple.streamingkeydelivery"'),
            Unsupported,
        ),
        (playlist("0.ts", seconds=5000), TooLong),
        (playlist(), CrawlError),
        ("just text", Unsupported),
    ],
    ids=["live", "encrypted", "drm", "long", "empty", "no playlist"],
)
def test_streams_that_are_not_taken(
    stream: Website, fetcher: Fetcher, tmp_path: Path, text: str, error: type[CrawlError]
) -> None:
    stream.routes["/radio/x.m3u8"] = typed(text, "application/vnd.apple.mpegurl")
    with pytest.raises(error):
        join(fetcher, f"{stream.url}/radio/x.m3u8", tmp_path)
    assert not any("key" in path or path.endswith(".ts") for path in stream.paths())


def test_a_stream_that_is_too_large(stream: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        join(fetcher, f"{stream.url}/radio/all.m3u8", tmp_path, max_bytes=2500)
    (tmp_path / "2").mkdir()
    with pytest.raises(TooLarge):
        join(fetcher, f"{stream.url}/radio/all.m3u8", tmp_path / "2", max_bytes=500)


def test_a_page_with_nothing(site: Website, fetcher: Fetcher) -> None:
    site.routes["/p"] = html("<!doctype html><p>Nothing</p>")
    with pytest.raises(Unreadable, match="Unsupported URL"):
        Extractor(fetcher).entries(f"{site.url}/p")
    with pytest.raises(NotFound):
        Extractor(fetcher).entries(f"{site.url}/gone")


def test_a_bot_page_behind_yt_dlp_stops_the_host(site: Website, fetcher: Fetcher) -> None:
    site.routes["/p"] = html("<script>window._cf_chl_opt={}</script>")
    with pytest.raises(Blocked):
        Extractor(fetcher).entries(f"{site.url}/p")
    with pytest.raises(Blocked):
        Extractor(fetcher).entries(f"{site.url}/q")
    assert site.paths() == ["/p"]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("[youtube] x: Sign in to confirm you’re not a bot. Use --cookies", Blocked),
        ("[soundcloud] x: This video is DRM protected", Unsupported),
        ("[vimeo] x: This video is only available for registered users; login required", Unsupported),
        ("[a] x: Sign in to confirm your age", Unsupported),
        (
            "[a] x: The uploader has not made this video available in your country; not available from your location",
            Unsupported,
        ),
        ("[a] x: This live event will begin in 3 days", Unsupported),
        ("[generic] Unsupported URL: http://a.example/", Unreadable),
        ("[a] x: No video formats found!; please report this issue on https://github.com/", Unreadable),
    ],
)
def test_what_yt_dlp_says(fetcher: Fetcher, said: str, error: type[CrawlError]) -> None:
    extractor = Extractor(fetcher)
    with extractor._session("http://a.example/p") as ydl:
        ydl.report_error(said)
        found = extractor._explain(ydl, "http://a.example/p")
    assert type(found) is error, found
    assert "please report" not in found.detail


@pytest.mark.parametrize(
    ("info", "rejected"),
    [
        ({"live_status": "is_live"}, True),
        ({"is_live": True}, True),
        ({"live_status": "is_upcoming"}, True),
        ({"live_status": "was_live"}, False),
        ({"has_drm": True}, True),
        ({"age_limit": 18}, True),
        ({"age_limit": 12}, False),
        ({"availability": "premium_only"}, True),
        ({"availability": "public"}, False),
        ({"url": None}, True),
        ({"license": "Creative Commons Attribution 3.0"}, False),
    ],
)
def test_what_is_found_and_not_taken(info: dict[str, object], rejected: bool) -> None:
    from voxmill.operators.crawl.extract import _found

    found = _found({"url": "http://a.example/x.mp3", "webpage_url": "http://a.example/p", **info}, "http://a.example/p")
    assert (found.rejection is not None) == rejected
    if found.rejection:
        assert found.rejection.reason == "crawl.unsupported"
        assert found.url == "http://a.example/p" if info.get("url", 1) is None else found.url
    assert found.licence.name == ("cc-by-3.0" if "license" in info else "unknown")


def test_sites_that_yt_dlp_knows(fetcher: Fetcher) -> None:
    extractor = Extractor(fetcher)
    assert extractor.knows("https://archive.org/details/some_audio")
    assert not extractor.knows("https://a.example/talks")


def test_no_other_way_out(fetcher: Fetcher) -> None:
    """What yt-dlp could do beside asking our handler is switched off, in the version that is installed here."""
    import yt_dlp.extractor

    with Extractor(fetcher)._session("http://a.example/") as ydl:
        assert list(ydl._request_director.handlers) == ["Fetcher"]
        assert ydl.params["js_runtimes"] == {}
        assert not ydl.params["remote_components"]
        assert not ydl.params["geo_bypass"]
        assert ydl.params.get("external_downloader") is None
        loaded = {type(ie).__module__ if "lazy" not in type(ie).__module__ else ie._module for ie in ydl._ies.values()}
        kept = {module.rsplit(".", 1)[-1] for module in loaded}
        names = set(ydl._ies)
    folder = Path(yt_dlp.extractor.__file__).parent
    for path in folder.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name in ("openload.py", "common.py") or path.is_relative_to(folder / "youtube"):
            continue
        assert not re.search(r"^(?:import|from) (?:subprocess|socket|http\.client|requests)\b", text, re.MULTILINE), path
        for block in re.split(r"^class ", text, flags=re.MULTILINE)[1:]:
            if "PhantomJSwrapper(" in block:
                name = re.match(r"(\w+?)IE\b", block)
                assert name is None or name[1] not in names, f"{path.name}: {name[1] if name else ''} starts a browser"
    assert kept
