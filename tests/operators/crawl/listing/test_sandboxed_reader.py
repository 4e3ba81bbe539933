"""What strangers write is read in a process of its own, and none of it holds up a listing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from voxmill.manifests.records import Item
from voxmill.operators.crawl.facts.crawl_errors import Limit, Unreadable
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig
from voxmill.operators.crawl.fetch.fetcher import Fetcher
from voxmill.operators.crawl.listing.document import RawDocument
from voxmill.operators.crawl.listing.lister import Lister
from voxmill.operators.crawl.listing.page import media_links, parse, parse_to_end
from voxmill.operators.crawl.listing.sandboxed_reader import SandboxedReader
from website import Answer, Website, html, typed

ITEM = '<item><title>e</title><enclosure url="/{}.mp3"/></item>'
RSS = '<rss version="2.0"><channel><title>t</title>{}</channel></rss>'


@pytest.fixture
def reader(fetcher: Fetcher) -> Iterator[SandboxedReader]:
    made = SandboxedReader(fetcher, 5)
    yield made
    made.close()


@pytest.fixture
def listed(make_config: Callable[..., CrawlConfig], make_lister: Callable[[CrawlConfig], Lister]) -> Callable[..., list[str]]:
    lists: dict[str, Lister] = {}

    def run(url: str, crawl: dict[str, object] | None = None, **fields: object) -> list[str]:
        if repr(crawl) not in lists:
            lists[repr(crawl)] = make_lister(make_config(**(crawl or {})))
        return [said(item) for item in lists[repr(crawl)](SourceConfig(name="src", url=url, **fields))]  # type: ignore[arg-type]

    return run


def said(item: Item) -> str:
    return item.rejection.reason if item.rejection else "/" + item.provenance.url.split("/", 3)[3]


def page(reader: SandboxedReader, body: str) -> list[str]:
    url = "http://a.example/p"
    document = reader(RawDocument("page", url, url, f"<!doctype html><html><body>{body}".encode()))
    return [found.url.removeprefix(url[:-2]) for found in document.found]


@pytest.mark.parametrize(
    "tag", ["div", "b", "b><i", "a", "audio", "table", "a href=x><div", "nobr", "select", "svg><g", "dd><span"]
)
def test_a_page_of_absurd_depth_is_listed(tag: str) -> None:
    """Its tree, built as it stands, takes a minute."""
    body = f"<html><head><base href=/m/></head><body>{f'<{tag}>' * 40_000}<audio src=x.mp3 title=t></audio><a href=y.mp3>y</a>"
    links = media_links(parse(body.encode()), "http://a.example/")
    assert {link.url for link in links} == {"http://a.example/m/x.mp3", "http://a.example/m/y.mp3"}


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ('<p>1<a href="x.mp3', "a tag"),
        ("<p>1<a href=x.mp3 ", "a tag"),
        ("<p>1<!-- <a href=x.mp3>", "a comment"),
        ("<p>1<script>if (a < b) {", "<script>"),
        ("<p>1<p title='a > b'>", None),
        ("<p>a < b > c <3", None),
        ('<p>1<a title="it\'s" href=x>', None),
        ("<title>a</titles></title><p>", None),
    ],
)
def test_where_a_page_ends(text: str, cut: str | None) -> None:
    assert parse_to_end(text.encode())[1] == cut


def test_a_document_that_keeps_its_reader_busy(fetcher: Fetcher) -> None:
    """A hundred thousand attributes on one tag: the limit ends the process, and the next document gets another."""
    reader = SandboxedReader(fetcher, 1)
    with pytest.raises(Limit, match="more than 1 s"):
        page(reader, f"<p {' '.join(f'a{n}' for n in range(200_000))}><audio src=x.mp3>")
    assert page(reader, "<audio src=x.mp3>") == ["/x.mp3"]
    reader.close()


def test_a_reader_that_dies(reader: SandboxedReader) -> None:
    assert page(reader, "<audio src=x.mp3>") == ["/x.mp3"]
    assert reader._process
    reader._process.kill()
    with pytest.raises(Unreadable, match="broke"):
        page(reader, "<audio src=y.mp3>")
    assert page(reader, "<audio src=z.mp3>") == ["/z.mp3"]


def test_what_yt_dlp_asks_for_goes_through_the_fetcher(site: Website, fetcher: Fetcher, reader: SandboxedReader) -> None:
    pytest.importorskip("yt_dlp")
    site.routes |= {
        "/p": html('<script type="application/ld+json">{"@context": "https://schema.org", "@type": "VideoObject", "name": "n",'
                   f'"contentUrl": "{site.url}/m.mp4"}}</script>'),
        "/m.mp4": typed(b"\0\0\0\x20ftypisom" + bytes(10**5), "video/mp4"),
        "/list": typed(f"<rss version='2.0'><channel><item><link>{site.url}/p</link></item><item><link>{site.url}/gone</link>"
                       "</item></channel></rss>", "text/xml"),
    }  # fmt: skip
    document = reader(RawDocument("playlist", f"{site.url}/list", f"{site.url}/list"))
    assert [(found.url.removeprefix(site.url), bool(found.rejection)) for found in document.found] == [
        ("/m.mp4", False),
        ("/list#2", True),
    ]
    assert {asked.headers["user-agent"] for asked in site.asked()} == {fetcher.settings.user_agent}
    assert "/robots.txt" in site.paths(rules=True)


def test_a_transfer_that_breaks_off(site: Website, listed: Callable[..., list[str]]) -> None:
    """At every attempt: what came is listed, and a row says what did not."""
    feed = RSS.format("".join(ITEM.format(n) for n in range(9))).encode()
    talks = b"<!doctype html><html>" + b"".join(b"<a href=%d.mp3>x</a>\n" % n for n in range(50))
    lines = b"".join(b"%d.mp3\n" % n for n in range(99))
    site.routes |= {
        "/feed": Answer(feed, headers={"Content-Type": "text/xml"}, cut=len(feed) // 2),
        "/page": Answer(talks, headers={"Content-Type": "text/html"}, cut=500),
        "/list.txt": Answer(lines, headers={"Content-Type": "text/plain"}, cut=51),
        "/nothing": Answer(talks, headers={"Content-Type": "text/html"}, cut=0),
        "/short": Answer(feed, headers={"Content-Type": "text/xml"}, length=len(feed) + 9),
        "/unsized": Answer(feed[: len(feed) // 2], headers={"Content-Type": "text/xml"}, length=-1),
    }
    for name in ("feed", "page", "list.txt", "short", "unsized"):
        items = listed(f"{site.url}/{name}")
        assert items[0] == "/0.mp3", name
        assert items.count("list.truncated") == 1, (name, items)
        assert len(items) > 3
    assert listed(f"{site.url}/nothing") == ["crawl.network"]
    assert listed(f"{site.url}/list.txt") == [*(f"/{n}.mp3" for n in range(8)), "list.truncated"]


def test_lists_in_lists(site: Website, listed: Callable[..., list[str]]) -> None:
    """A page that announces a feed; an outline of feeds; one that leads to itself."""
    outline = '<opml version="2.0"><body><outline type="rss" xmlUrl="f"/><outline type="include" url="o"/><outline xmlUrl="g"/></body></opml>'
    site.routes |= {
        "/p": html('<link rel=alternate type="application/rss+xml" title="Comments" href=c><link rel=alternate type="application/rss+xml" href=f>'),
        "/f": typed(RSS.format(ITEM.format(1) + ITEM.format(2)), "text/html"),
        "/o": typed(outline, "text/xml"),
    }  # fmt: skip
    assert listed(f"{site.url}/p") == ["/1.mp3", "/2.mp3"]
    items = listed(f"{site.url}/o")
    assert set(items) == {"/1.mp3", "/2.mp3", "list.duplicate", "list.limit", "crawl.not_found"}
    assert items[:2] == ["/1.mp3", "/2.mp3"]
    assert site.paths().count("/o") <= 4


def test_a_feed_without_end(site: Website, listed: Callable[..., list[str]]) -> None:
    part = '<feed xmlns="http://www.w3.org/2005/Atom"><link rel="next" href="/f?{}"/><entry><link rel="enclosure" href="/{}.mp3"/></entry></feed>'
    site.routes["/f"] = lambda asked: typed(part.format(n := len(site.log), n), "application/atom+xml")
    items = listed(f"{site.url}/f")
    assert (len(items), items[-1]) == (101, "list.limit")
    site.routes["/loop"] = typed(part.format("x", 1).replace("/f?x", "/loop"), "application/atom+xml")
    assert listed(f"{site.url}/loop") == ["/1.mp3"]


def test_a_slow_site_does_not_hold_up_the_listing(site: Website, listed: Callable[..., list[str]]) -> None:
    body = RSS.format(ITEM.format(1)).encode() + b" " * 4000
    site.routes["/slow"] = Answer(body, headers={"Content-Type": "text/xml"}, drip=0.01)
    began = time.monotonic()
    assert listed(f"{site.url}/slow", crawl={"list_seconds": 0.5}) == ["list.limit"]
    assert time.monotonic() - began < 20


def test_limits_count_what_can_be_heard(site: Website, listed: Callable[..., list[str]]) -> None:
    site.routes["/f.xml"] = typed(
        RSS.format("<item><title>words</title></item>" + "".join(map(ITEM.format, (1, 1, 2, 3)))), "text/xml"
    )
    assert listed(f"{site.url}/f.xml", limit=2) == ["list.no_media", "/1.mp3", "list.duplicate", "/2.mp3"]


def test_addresses_of_any_bytes(site: Website, listed: Callable[..., list[str]]) -> None:
    from voxmill.manifests.parquet import records_bytes

    site.routes |= {
        "/l.m3u": typed(b"#EXTINF:1,S\xfc\xdf\nS\xfc\xdf.mp3\n", "audio/x-mpegurl"),
        "/j": typed(b'{"version": "https://jsonfeed.org/version/1", "items": [{"attachments": [{"url": "\\ud800.mp3"}]}]}', "text/plain"),
    }  # fmt: skip
    assert listed(f"{site.url}/l.m3u") == ["/S%FC%DF.mp3"]
    assert listed(f"{site.url}/j") == ["/%EF%BF%BD.mp3"]
    assert records_bytes([], Item)
