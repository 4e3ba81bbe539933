"""Feeds as they are: no entry vanishes, whatever its enclosure's type says and wherever the document ends."""

from __future__ import annotations

import json

import pytest

from voxmill.operators.crawl.facts.crawl_errors import CrawlError, Limit, Unreadable
from voxmill.operators.crawl.listing.document import ParsedDocument, packed, unpacked
from voxmill.operators.crawl.listing.feed import read_feed

URL = "http://a.example/dir/feed.xml"

RSS = """<?xml version="1.0" encoding="utf-8"?><rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"
 xmlns:podcast="https://podcastindex.org/namespace/1.0"><channel><title>Ünder</title>{}</channel></rss>"""


def rss(*items: str) -> bytes:
    return RSS.format("".join(f"<item><title>e</title>{item}</item>" for item in items)).encode()


def heard(document: ParsedDocument) -> list[str | None]:
    """By entry: its address, or None where it is only a row."""
    return [None if found.rejection else found.url.removeprefix("http://a.example") for found in document.found]


GROUP = """<media:group><media:content url="/low.mp3" type="audio/mpeg" {}/>
<media:content url="/high.mp3" type="audio/mpeg" bitrate="128"/></media:group>"""

ALTERNATES = """<podcast:alternateEnclosure type="video/mp4"><podcast:source uri="/v.mp4"/></podcast:alternateEnclosure>
<podcast:alternateEnclosure type="audio/opus" bitrate="32000"><podcast:source uri="ipfs://x"/>
<podcast:source uri="http://a.example/o.opus"/></podcast:alternateEnclosure>
<podcast:alternateEnclosure type="audio/flac" bitrate="500000"><podcast:source uri="/o.flac"/></podcast:alternateEnclosure>"""


@pytest.mark.parametrize(
    ("enclosure", "address"),
    [
        ('<enclosure url="/a"/>', "/a"),
        ('<enclosure url="/a.bin" type="application/octet-stream"/>', "/a.bin"),
        ('<enclosure url="/get.php?id=3" type="text/html"/>', "/get.php?id=3"),
        ('<enclosure url="/get.php?id=3" type="image/jpeg"/>', "/get.php?id=3"),
        ('<enclosure url="cover.jpg" type="image/jpeg"/>', None),
        ('<enclosure url="cover.jpg" type="image/jpeg"/><enclosure url="b" type=""/>', "/dir/b"),
        ('<enclosure url="a.mp4" type="video/mp4"/><enclosure url="a.mp3" type="audio/mpeg"/>', "/dir/a.mp3"),
        ('<enclosure type="audio/mpeg"/>', None),
        ("<link>http://a.example/page</link>", None),
        ("<link>http://a.example/x.mp3</link>", "/x.mp3"),
        ('<media:content url="/p.jpg" medium="image"/><media:content url="/m" medium="audio"/>', "/m"),
        (
            GROUP.format('bitrate="32"'),
            "/high.mp3",
        ),
        (
            GROUP.format('isDefault="true"'),
            "/low.mp3",
        ),
        (
            ALTERNATES,
            "/o.flac",
        ),
        (
            f'<enclosure url="/e.mp3" type="audio/mpeg"/>{ALTERNATES}',
            "/e.mp3",
        ),
    ],
)
def test_which_address_is_an_entry_s_sound(enclosure: str, address: str | None) -> None:
    document = read_feed(rss(enclosure, '<enclosure url="/next.mp3"/>'), URL)
    assert heard(document) == [address, "/next.mp3"]
    assert [found.rejection.reason for found in document.found if found.rejection] == ["list.no_media"] * (address is None)
    assert document.cut is None
    assert unpacked(json.loads(json.dumps(packed(document)))) == document


ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:base="http://b.example/pod/"><title>t</title>
<entry><title>1</title><content type="audio/mpeg" src="1.mp3"/></entry>
<entry><title>2</title><link rel="enclosure" href="2" type="application/octet-stream"/><content>text</content></entry>
<entry xml:base="/else/"><title>3</title><content type="video/mp4" src="3.mp4"/></entry>
<entry><title>4</title><content type="text/html" src="4.html"/></entry><link rel="next" href="feed?page=2"/></feed>"""


def test_atom() -> None:
    document = read_feed(ATOM.encode(), URL)
    assert [None if f.rejection else f.url for f in document.found] == [
        "http://b.example/pod/1.mp3",
        "http://b.example/pod/2",
        "http://b.example/else/3.mp4",
        None,
    ]
    assert document.next_url == "http://b.example/pod/feed?page=2"


def test_rdf() -> None:
    text = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
      xmlns:enc="http://purl.oclc.org/net/rss_2.0/enc#"><channel rdf:about="x"><title>t</title></channel>
      <item rdf:about="1"><title>1</title><link>http://a.example/1.mp3</link></item>
      <item rdf:about="2"><title>2</title><link>http://a.example/2</link></item></rdf:RDF>"""
    assert heard(read_feed(text.encode(), URL)) == ["/1.mp3", None]
    cut = read_feed(text[: text.index('<item rdf:about="2')].encode(), URL)
    assert (heard(cut), bool(cut.cut)) == (["/1.mp3"], True)


WHOLE = rss(*(f'<description><![CDATA[</item></rss> {n}]]></description><enclosure url="/{n}.mp3"/>' for n in range(4)))


@pytest.mark.parametrize("mark", ['<enclosure url="/3', '"/3.mp3"', "</channel>", "</rss>", "<item><title>e</title><description><![CDATA[</item></rss> 3"])  # fmt: skip
@pytest.mark.parametrize("after", [0, 4])
def test_a_feed_that_ends_early(mark: str, after: int) -> None:
    """Wherever the cut goes, every entry before it is there, and the document says that it is not whole."""
    end = WHOLE.rindex(mark.encode()) + after
    document = read_feed(WHOLE[:end], URL)
    assert document.cut
    assert document.cut.startswith("cut off")
    assert heard(document)[:3] == ["/0.mp3", "/1.mp3", "/2.mp3"]
    assert len(document.found) in (3, 4)
    assert all(found.rejection is None for found in document.found)


def test_every_cut_is_said() -> None:
    first = WHOLE.index(b"<rss") + 200
    for end in range(first, len(WHOLE) - 1, 7):
        assert read_feed(WHOLE[:end], URL).cut, end
    assert read_feed(WHOLE, URL).cut is None
    assert read_feed(WHOLE + b"\n<!-- served by a cache -->\n", URL).cut is None


def test_not_well_formed_and_whole() -> None:
    """Bare ampersands and undeclared prefixes are everywhere; nothing is missing for it."""
    body = rss('<x:y>a & b</x:y><enclosure url="/1.mp3?a=1&b=2"/>', '<enclosure url="/2.mp3"/>')
    document = read_feed(body, URL)
    assert (heard(document), document.cut) == (["/1.mp3?a=1&b=2", "/2.mp3"], None)


@pytest.mark.parametrize(
    ("codec", "declared"),
    [
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-8"),
        ("cp1252", "utf-8"),
        ("cp1252", "windows-1252"),
        ("utf-8-sig", "latin-1"),
    ],
)
def test_encodings(codec: str, declared: str) -> None:
    text = rss('<enclosure url="/1.mp3"/>').decode().replace('encoding="utf-8"', f'encoding="{declared}"')
    document = read_feed(text.encode(codec), URL)
    assert (heard(document), document.cut) == (["/1.mp3"], None)
    assert document.found[0].author == "Ünder"


def test_bombs() -> None:
    laughs = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    body = (
        f'<!DOCTYPE l [<!ENTITY a "ha">{laughs}]>'.encode()
        + rss("<description>&j;</description><enclosure url='/1.mp3'/>")[38:]
    )
    assert heard(read_feed(body, URL)) == ["/1.mp3"]
    with pytest.raises(Limit):
        read_feed(RSS.format("<a>" * 100_000).encode(), URL)


JSON_FEED = {
    "version": "https://jsonfeed.org/version/1.1", "title": "J", "language": "fr", "next_url": "/more.json",
    "items": [
        {"id": "1", "title": "one", "attachments": [{"url": "/1.mp3", "mime_type": "audio/mpeg", "duration_in_seconds": 9}]},
        {"id": "2", "url": "http://a.example/2.html"},
        {"id": "3", "attachments": [{"url": "c.png", "mime_type": "image/png"}, {"url": "/3?x", "mime_type": "text/html"}]},
        {"id": "4", "attachments": "none", "url": 4}, "five", {"id": "6", "attachments": [{"url": "/6.ogg"}]},
    ],
}  # fmt: skip


def test_json_feed() -> None:
    document = read_feed(json.dumps(JSON_FEED).encode(), URL)
    assert heard(document) == ["/1.mp3", None, "/3?x", None, None, "/6.ogg"]
    assert (document.next_url, document.cut) == ("http://a.example/more.json", None)
    first = document.found[0]
    assert (first.title, first.author, first.language, first.seconds) == ("one", "J", "fr", 9.0)
    text = json.dumps(JSON_FEED)
    cut = read_feed(text[: text.index('{"id": "6"') + 20].encode(), URL)
    assert cut.cut
    assert heard(cut) == ["/1.mp3", None, "/3?x", None, None]
    assert cut.found[0].language == "fr"


@pytest.mark.parametrize("body", [b"", b"{", b'{"items": 3}', b"{" * 10**6, b"[" * 10**6, b"<html>", b"\xff\xfe", b"\0" * 99])
def test_what_is_no_feed(body: bytes) -> None:
    with pytest.raises((Unreadable, Limit)) as caught:
        read_feed(body, URL)
    assert isinstance(caught.value, CrawlError)
