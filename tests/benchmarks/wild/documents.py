"""Feeds, pages, lists and streams with what they must come to: how many can be heard, and which rows stand beside them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from website import Answer, html, typed

RSS = """<?xml version="1.0" encoding="utf-8"?><rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"
 xmlns:podcast="https://podcastindex.org/namespace/1.0"><channel><title>Show</title>%s</channel></rss>"""
ITEM = '<item><title>Episode {0}</title><guid>g{0}</guid><enclosure url="/{0}.mp3" type="audio/mpeg" length="1"/></item>'
ATOM = '<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title>%s</feed>'


@dataclass(frozen=True)
class Made:
    name: str
    answer: Answer
    items: int
    """Addresses that can be heard."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows beside them, by reason."""


def rss(count: int, extra: str = "") -> str:
    return RSS % ("".join(ITEM.format(n) for n in range(count)) + extra)


def json_feed(count: int) -> str:
    items = [
        {"id": str(n), "title": f"E{n}", "attachments": [{"url": f"/{n}.mp3", "mime_type": "audio/mpeg"}]} for n in range(count)
    ]
    return json.dumps({"version": "https://jsonfeed.org/version/1.1", "title": "J", "items": items})


def opml(count: int) -> str:
    lines = "".join(f'<outline type="audio" text="Song {n}" url="/{n}.mp3"/>' for n in range(count))
    return f'<opml version="2.0"><head><title>o</title></head><body>{lines}</body></opml>'


def xspf(count: int) -> str:
    tracks = "".join(f"<track><location>/{n}.mp3</location><title>T{n}</title></track>" for n in range(count))
    return (
        f'<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList>{tracks}</trackList></playlist>'
    )


def page(count: int) -> str:
    links = "".join(f'<li><p>Talk {n}: <a href="/{n}.mp3" title="Talk {n}">listen</a></li>' for n in range(count))
    return f"<!doctype html><html lang=en><head><title>Talks</title></head><body><ul>{links}</ul></body></html>"


def m3u(count: int) -> str:
    return "#EXTM3U\n" + "".join(f"#EXTINF:{n},Song {n}\n/{n}.mp3\n" for n in range(count))


def pls(count: int) -> str:
    return "[playlist]\n" + "".join(f"File{n}=/{n}.mp3\nTitle{n}=Song {n}\n" for n in range(1, count + 1))


def made() -> Iterator[Made]:
    yield from _feeds()
    yield from _lists()
    yield from _pages()
    yield from _cut()
    yield from _absurd()


def _feeds() -> Iterator[Made]:
    odd = "".join(
        f'<item><title>{n}</title><enclosure url="{url}" {said}/></item>'
        for n, (url, said) in enumerate(
            (("/a", ""), ("/b.bin", 'type="application/octet-stream"'), ("/c.php?id=3", 'type="text/html"'))
        )
    )
    yield Made("enclosures of odd types", typed(RSS % odd, "application/rss+xml"), 3)
    words = "<item><title>w</title><link>http://a.example/w</link></item>" * 4
    yield Made("entries without an enclosure", typed(rss(3, words), "text/xml"), 3, {"list.no_media": 4})
    yield Made("an entry that comes again", typed(rss(3, ITEM.format(1)), "text/xml"), 3, {"list.duplicate": 1})
    group = '<item><media:group><media:content url="/l.mp3" medium="audio"/><media:content url="/h.mp3" medium="audio"/></media:group></item>'
    yield Made("media groups", typed(RSS % group, "text/xml"), 1)
    other = '<item><podcast:alternateEnclosure type="audio/opus"><podcast:source uri="/o.opus"/></podcast:alternateEnclosure></item>'
    yield Made("an alternate enclosure alone", typed(RSS % other, "text/xml"), 1)
    atom = (
        '<entry><title>1</title><content type="audio/mpeg" src="1.mp3"/></entry><entry><link rel="enclosure" href="2"/></entry>'
    )
    yield Made("Atom: content elsewhere, and an enclosing link", typed(ATOM % atom, "application/atom+xml"), 2)
    yield Made("JSON Feed", typed(json_feed(5), "application/feed+json"), 5)
    rdf = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"><item><title>1</title><link>/1.mp3</link></item></rdf:RDF>'
    yield Made("RSS 1.0", typed(rdf, "application/rdf+xml"), 1)
    yield Made("a feed called HTML", typed(rss(4), "text/html"), 4)
    yield Made("a feed in UTF-16", typed(rss(4).replace("utf-8", "utf-16").encode("utf-16"), "text/xml"), 4)
    latin = rss(2).replace("Show", "Fünf").encode("cp1252")
    yield Made("Windows-1252 called UTF-8", typed(latin, "text/xml; charset=utf-8"), 2)
    yield Made("a feed in gzip, unsaid", typed(gzip.compress(rss(4).encode(), mtime=0), "application/octet-stream"), 4)
    yield Made(
        "bare ampersands", typed(rss(2, '<item><enclosure url="/x?a=1&b=2"/><title>R & B</title></item>'), "text/xml"), 3
    )


def _lists() -> Iterator[Made]:
    yield Made("OPML of files", typed(opml(4), "text/x-opml"), 4)
    outline = '<opml version="2.0"><body><outline type="rss" xmlUrl="/a%20feed%20called%20HTML"/><outline type="rss" xmlUrl="/gone"/></body></opml>'
    yield Made("OPML of feeds", typed(outline, "text/xml"), 4, {"crawl.not_found": 1})
    yield Made("XSPF", typed(xspf(4), "application/xspf+xml"), 4)
    yield Made("PLS", typed(pls(4), "audio/x-scpls"), 4)
    yield Made("m3u, called HLS", typed(m3u(4), "application/vnd.apple.mpegurl"), 4)
    yield Made("m3u in Latin-1", typed("#EXTM3U\n#EXTINF:1,Süß\nSüß.mp3\n".encode("latin-1"), "audio/x-mpegurl"), 1)
    asx = '<ASX version="3.0"><ENTRY><REF HREF="/1.mp3?a&b"/></ENTRY><entry><ref href="/2.mp3"></entry></ASX>'
    yield Made("ASX", typed(asx, "video/x-ms-asf"), 2)
    wpl = '<?wpl version="1.0"?><smil><body><seq><media src="1.mp3"/><media src="2.mp3"/></seq></body></smil>'
    yield Made("WPL", typed(wpl, "application/vnd.ms-wpl"), 2)
    lines = '{"url": "/1.mp3"}\n{broken\n"/2.mp3"\n{"title": "x"}\n'
    yield Made("JSON lines, two of them broken", typed(lines, "application/x-ndjson"), 2, {"list.unreadable": 2})
    entities = '<!DOCTYPE o [<!ENTITY a "b">]><opml><body><outline xmlUrl="&a;"/></body></opml>'
    yield Made("a list that declares entities", typed(entities, "text/xml"), 0, {"list.unreadable": 1})


def _pages() -> Iterator[Made]:
    yield Made("a page of links", html(page(5)), 5)
    feed = '<!doctype html><link rel=alternate type="application/rss+xml" href="/a%20feed%20called%20HTML"><p>words'
    yield Made("a page that only announces a feed", html(feed), 4)
    yield Made("a page in UTF-16", typed(page(3).encode("utf-16"), "text/html"), 3)
    yield Made("a page with nothing", html("<!doctype html><p>words</p>"), 0, {"list.unreadable": 1})


def _cut() -> Iterator[Made]:
    said = {"list.truncated": 1}
    whole = rss(6)
    yield Made("RSS cut inside its last entry", typed(whole[: whole.rindex("<guid>")], "text/xml"), 5, said)
    yield Made("RSS cut between entries", typed(whole[: whole.rindex("<item>")], "text/xml"), 5, said)
    body = whole.encode()
    yield Made(
        "RSS, the transfer breaks off", Answer(body, headers={"Content-Type": "text/xml"}, cut=body.rindex(b"<guid>")), 5, said
    )
    talks = page(6).encode()
    cut = Answer(talks, headers={"Content-Type": "text/html"}, cut=talks.rindex(b"<li>"))
    yield Made("a page, the transfer breaks off", cut, 5, said)
    yield Made("a page that ends inside a tag", html(page(6)[: page(6).rindex('" title')]), 5, said)
    text = json_feed(6)
    yield Made(
        "JSON Feed cut inside its last item", typed(text[: text.rindex('"attachments"')], "application/feed+json"), 5, said
    )
    yield Made("XSPF cut inside a track", typed(xspf(6)[: xspf(6).rindex("</location>")], "application/xspf+xml"), 5, said)
    packed = gzip.compress(body, mtime=0)
    yield Made("gzip cut", typed(packed[:-12], "application/octet-stream"), 6, said)


def _absurd() -> Iterator[Made]:
    end = "<audio src=/x.mp3></audio>"
    yield Made("80,000 nested elements", html("<html><body>" + "<div>" * 80_000 + end), 1)
    yield Made("1,500,000 nested elements", html("<html><body>" + "<div>" * 1_500_000 + end), 1)
    yield Made("formatting that nothing closes", html("<html><body>" + "<b><i>" * 50_000 + end), 1)
    yield Made("links in links", html("<html><body>" + "<a href=y>" * 50_000 + end), 1)
    yield Made("tables in tables", html("<html><body>" + "<table>" * 50_000 + end), 1)
    yield Made(
        "100,000 attributes", html("<html><p " + " ".join(f"a{n}" for n in range(200_000)) + ">" + end), 0, {"list.limit": 1}
    )
    yield Made(
        "elements without end", typed("<rss version='2.0'><channel>" + "<a>" * 200_000, "text/xml"), 0, {"list.limit": 1}
    )
    yield Made(
        "lists without end",
        typed('{"version": "https://jsonfeed.org/version/1", "items": ' + "[" * 10**6, "text/plain"),
        0,
        {"list.unreadable": 1},
    )
    laughs = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    bomb = f'<!DOCTYPE l [<!ENTITY a "ha">{laughs}]>' + rss(1, "<item><title>&j;</title><enclosure url='/j.mp3'/></item>")[38:]
    yield Made("a billion laughs", typed(bomb, "text/xml"), 2)
    yield Made("20,000 entries", typed(rss(20_000), "text/xml"), 20_000)
