"""Playlists and outlines of every common form, and what is missing of them."""

from __future__ import annotations

import pytest

from voxmill.operators.crawl.facts.crawl_errors import CrawlError
from voxmill.operators.crawl.facts.media_types import is_xml_list, kind_by_content
from voxmill.operators.crawl.listing.gzip_body import gunzip
from voxmill.operators.crawl.listing.url_list import Row, read_list
from voxmill.operators.crawl.listing.xml_list import read_xml_list

URL = "http://a.example/dir/list"

OPML = """<?xml version="1.0"?><opml version="2.0"><head><title>x & y</title></head><body>
<outline text="News"><outline type="rss" text="One" xmlUrl="http://b.example/1.xml?a=1&b=2" htmlUrl="http://b.example/"/>
<outline type="rss" title="Zwei" text="t" xmlUrl="two.xml" language="de"/></outline>
<outline type="include" text="more" url="more.opml"/><outline type="link" text="Song" url="song.mp3"/>
<outline type="audio" url="listen"/><outline type="rss" text="Three"/></body></opml>"""

XSPF = """<?xml version="1.0" encoding="UTF-8"?><playlist version="1" xmlns="http://xspf.org/ns/0/" xml:base="http://c.example/">
<title>list</title><trackList><track><location>1.mp3</location><title>One</title><creator>Me</creator></track>
<track><title>Nowhere</title></track><track><location>http://b.example/2.ogg?a&amp;b</location><location>x</location></track>
</trackList></playlist>"""

WPL = """<?wpl version="1.0"?><smil><head><title>w</title></head><body><seq><media src="..\\music\\1.wma"/>
<media src="2.mp3"/></seq></body></smil>"""

ASX = """<ASX VERSION="3.0"><TITLE>Radio</TITLE><BASE HREF="http://b.example/x/"><ENTRY><REF HREF="a.wma?x=1&y=2" /></ENTRY>
<entry><ref href = 'http://c.example/b.mp3'/></entry><EntryRef HREF="more.asx"/></ASX>"""


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_xml_lists(codec: str) -> None:
    def rows(text: str) -> list[tuple[str, str | None, str | None]]:
        body = text.encode(codec)
        assert is_xml_list(body)
        assert kind_by_content("text/xml", body) == "list"
        document = read_xml_list(body, URL)
        assert document.cut is None
        return [(row.url, row.kind, row.title) for row in document.rows]

    assert rows(OPML) == [
        ("http://b.example/1.xml?a=1&b=2", "feed", "One"),
        ("http://a.example/dir/two.xml", "feed", "Zwei"),
        ("http://a.example/dir/more.opml", "list", "more"),
        ("http://a.example/dir/song.mp3", "media", "Song"),
        ("http://a.example/dir/listen", "media", None),
        ("", None, "Three"),
    ]
    assert rows(XSPF) == [
        ("http://c.example/1.mp3", None, "One"),
        ("", None, "Nowhere"),
        ("http://b.example/2.ogg?a&b", None, None),
    ]
    assert rows(WPL) == [("http://a.example/music/1.wma", None, None), ("http://a.example/dir/2.mp3", None, None)]
    assert rows(ASX) == [
        ("http://b.example/x/a.wma?x=1&y=2", None, None),
        ("http://c.example/b.mp3", None, None),
        ("http://b.example/x/more.asx", "list", None),
    ]


@pytest.mark.parametrize(("text", "least"), [(OPML, 2), (XSPF, 1), (WPL, 1)])
def test_cut_lists(text: str, least: int) -> None:
    whole = read_xml_list(text.encode(), URL).rows
    document = read_xml_list(text[: int(len(text) * 0.8)].encode(), URL)
    assert document.cut
    assert document.rows == whole[: len(document.rows)]
    assert len(document.rows) >= least


@pytest.mark.parametrize(
    "body",
    [b"<opml>", b"<opml><body>" + b"<outline>" * 10_000, b"<opml" * 9999, b'<!DOCTYPE o [<!ENTITY a "b">]><opml>&a;</opml>'],
)
def test_broken_lists(body: bytes) -> None:
    with pytest.raises(CrawlError):
        read_xml_list(body, URL)


def urls(body: bytes, name: str) -> list[str]:
    return [row.url for row in read_list(body, name)]


def test_m3u() -> None:
    text = (
        '\ufeff#EXTM3U\r\n#EXTINF:12 tvg-name="a,b",One, two\r\nsub dir/1.mp3\r\n\r\n#EXTINF:-1\r\nhttp://b.example/2?x=1#f\r\n'
    )
    rows = list(read_list(text.encode(), "x.m3u"))
    assert [(row.url, row.title) for row in rows] == [("sub dir/1.mp3", "One, two"), ("http://b.example/2?x=1#f", None)]
    old = list(read_list("#EXTINF:1,Süß\nSüß.mp3\n".encode("cp1252"), "x.m3u"))
    assert [(row.url, row.title) for row in old] == [("S\udcfc\udcdf.mp3", "Süß")]
    assert urls("a\u2028b.mp3\n".encode(), "x.m3u") == ["a\u2028b.mp3"]
    assert urls("#EXTM3U\n1.mp3\n".encode("utf-16"), "x.m3u") == ["1.mp3"]


def test_pls() -> None:
    text = "[playlist]\nNumberOfEntries=3\nFile2 = http://b.example/2\nTitle2=Two\nFile1=1.mp3\nTitle3=Lost\nLength1=-1\nVersion=2\n"
    assert list(read_list(text.encode(), "x.pls")) == [
        Row("1.mp3"),
        Row("http://b.example/2", title="Two"),
        Row("", title="Lost", broken="entry 3 names no file"),
    ]
    assert kind_by_content("audio/x-scpls", b"[playlist]") == kind_by_content("text/plain", b"[Playlist]\n") == "list"


def test_a_broken_line_is_not_the_loss_of_the_others() -> None:
    lines = b'{"url": "1"}\n{broken\n' + b'{"url": ' + b"[" * 10**5 + b'\n{"title": "x"}\n3\n{"url": "2"}\n'
    rows = list(read_list(lines, "x.jsonl"))
    assert [row.url for row in rows] == ["1", "", "", "", "", "2"]
    assert all(bool(row.url) != bool(row.broken) for row in rows)
    table = b'url,title\n1,a\n"' + b"x" * 200_000 + b'",b\n,c\n2,"d\n'
    rows = list(read_list(table, "x.csv"))
    assert [row.url for row in rows if not row.broken] == ["1", "2"]
    assert sum(bool(row.broken) for row in rows) == 2


@pytest.mark.parametrize(
    ("content_type", "head", "kind"),
    [
        ("audio/x-mpegurl", b"http://a.example/1.mp3\n", "list"),
        ("audio/x-mpegurl", b"#EXTM3U\n1.mp3\n", "list"),
        ("text/plain", "#EXTM3U\n#EXT-X-VERSION:3\n".encode("utf-16"), "playlist"),
        ("text/html", b"<?xml version='1.0'?>" + b"<!-- x -->" * 500 + b"<rss>", "feed"),
        ("application/json", b'{"version": "https://jsonfeed.org/version/1"', "feed"),
        ("text/xml", "<rss>".encode("utf-16-be"), "feed"),
        ("text/xml", b"<atom:feed xmlns:atom='x'>", "feed"),
        ("text/html", b"<br/>Warning: deprecated<?xml version='1.0'?><rss>", "feed"),
        ("audio/mpeg", b"ID3<rss>", "media"),
    ],
)
def test_kinds(content_type: str, head: bytes, kind: str) -> None:
    assert kind_by_content(content_type, head) == kind


def test_gzip() -> None:
    import gzip

    packed = gzip.compress(b"x" * 10**6)
    assert gunzip(packed, 10**6) == (b"x" * 10**6, None)
    assert gunzip(packed, 10) == (b"x" * 10, "it unpacks to more than 10 bytes")
    assert gunzip(packed[:-10], 10**7)[1] == "its gzip stream is cut off"
    assert gunzip(b"\x1f\x8b\x08 no", 10) == (b"", gunzip(b"\x1f\x8b\x08 no", 10)[1])


def test_no_entry_of_a_pls_vanishes_for_its_number() -> None:
    text = "[playlist]\nFile=a.mp3\nFile=b.mp3\nFile 3 = c.mp3\nFile3=d.mp3\nTitle3=C\n"
    assert sorted(row.url for row in read_list(text.encode(), "x.pls")) == ["a.mp3", "b.mp3", "c.mp3", "d.mp3"]


def test_a_mark_of_byte_order_is_no_part_of_an_address() -> None:
    text = "\ufeff\ufeffa.mp3\r\n\ufeffb.mp3\r\n"
    for body in (text.encode(), text.encode("utf-16")):
        assert [row.url for row in read_list(body, "x.txt")] == ["a.mp3", "b.mp3"]


def test_what_is_no_text_is_no_address() -> None:
    lines = (
        '{"url": 7}\n{"url": ["a.mp3"]}\n{"url": {"href": "a.mp3"}}\n{"url": true}\n{"url": 7, "path": "b.mp3", "title": 5}\n'
    )
    rows = list(read_list(lines.encode(), "x.jsonl"))
    assert [row.url for row in rows] == ["", "", "", "", "b.mp3"]
    assert [bool(row.broken) for row in rows] == [True] * 4 + [False]
    assert rows[4].title == "5"
