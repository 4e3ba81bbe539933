"""yt-dlp reads pages; our fetcher makes every request of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from voxmill.operators.crawl.facts.crawl_errors import Blocked, CrawlError, NotFound, Unreadable, Unsupported
from voxmill.operators.crawl.fetch.fetcher import Fetcher
from voxmill.operators.crawl.listing.extract import Extractor
from website import Website, html, typed

pytest.importorskip("yt_dlp")

VIDEO_PAGE = """<!doctype html><html><head><title>A talk</title>
<script type="application/ld+json">{"@context": "https://schema.org", "@type": "VideoObject", "name": "The talk",
"contentUrl": "%s", "uploadDate": "2025-07-01", "duration": "PT90S"}</script></head><body></body></html>"""


def test_a_page_that_only_yt_dlp_understands(site: Website, fetcher: Fetcher) -> None:
    site.routes["/talk"] = html(VIDEO_PAGE % f"{site.url}/media/talk.mp4")
    site.routes["/media/talk.mp4"] = typed(b"\0\0\0\x20ftypisom" + bytes(10**6), "video/mp4")
    (found,) = Extractor(fetcher).entries(f"{site.url}/talk")
    assert found.url == f"{site.url}/media/talk.mp4"
    assert (found.kind, found.title, found.published, found.seconds) == ("http", "The talk", "2025-07-01", 90)
    assert found.page_url == f"{site.url}/talk"


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
    from voxmill.operators.crawl.listing.extract import _found

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
