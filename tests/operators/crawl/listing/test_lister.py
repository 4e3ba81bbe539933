"""Every kind of source, listed from a real server, a disk and a store."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
from pydantic import ValidationError

from voxmill.manifests.ids import item_id
from voxmill.manifests.parquet import records_bytes
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Item, Licence, Provenance, Recording
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.facts.urls import file_path
from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig, NoContact
from voxmill.operators.crawl.listing.lister import Lister
from voxmill.operators.crawl.policy.local_gate import LocalGate
from website import Website, html, redirect, typed

Listed = Callable[..., list[Item]]
MakeConfig = Callable[..., CrawlConfig]

CC = "https://creativecommons.org/licenses/by/4.0/"

FEED = f"""<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"
 xmlns:creativeCommons="http://backend.userland.com/creativeCommonsRssModule">
<channel><title>Ünder way</title><language>de-AT</language><itunes:author>A. Host</itunes:author>
<creativeCommons:license>{CC}</creativeCommons:license>
<item><title>One</title><pubDate>Tue, 01 Jul 2025 10:00:00 GMT</pubDate>
 <enclosure url="/1.mp3" type="audio/mpeg" length="9"/><itunes:duration>10:00</itunes:duration></item>
<item><title>Only words</title><link>http://a.example/words</link></item>
<item><title>Two, long</title><enclosure url="https://cdn.example/2" type="audio/x-m4a" length="9"/>
 <itunes:duration>20:00:00</itunes:duration></item>
<item><title>One again</title><enclosure url="/1.mp3#again" type="audio/mpeg" length="9"/></item>
<item><title>Moving</title><enclosure url="/3.jpg" type="image/jpeg"/><enclosure url="/3.m3u8" type="application/x-mpegurl"/></item>
</channel></rss>"""


@pytest.fixture
def listed(make_config: MakeConfig, make_lister: Callable[[CrawlConfig], Lister]) -> Listed:
    def run(url: str | None = None, *, crawl: dict[str, object] | None = None, **fields: object) -> list[Item]:
        config = make_config(**(crawl or {}))
        source = SourceConfig(name="src", url=url, **fields)  # type: ignore[arg-type]
        return make_lister(config)(source)

    return run


def urls(items: list[Item]) -> list[str]:
    return [item.provenance.url for item in items if item.rejection is None]


def reasons(items: list[Item]) -> list[str]:
    return [item.rejection.reason for item in items if item.rejection]


def test_a_direct_address_is_not_requested(site: Website, listed: Listed) -> None:
    (item,) = listed(f"{site.url}/a%20b.MP3?x=1", language="en", domain="talk", licence="CC BY 4.0")
    assert site.log == []
    assert (item.kind, item.language, item.domain) == ("http", "en", "talk")
    assert item.licence == Licence("cc-by-4.0", "config: CC BY 4.0", "config")
    assert (item.provenance.source, item.provenance.host) == ("src", site.host)
    assert item.id == item_id(f"{site.url}/a%20b.MP3?x=1")


def test_a_stream_is_one_item(site: Website, listed: Listed) -> None:
    (item,) = listed(f"{site.url}/live/evening.m3u8")
    assert (item.kind, site.log) == ("hls", [])


def test_a_feed(site: Website, listed: Listed) -> None:
    site.routes["/feed.xml"] = typed(FEED, "application/rss+xml")
    items = listed(f"{site.url}/feed.xml")
    assert urls(items) == [f"{site.url}/1.mp3", f"{site.url}/3.m3u8"]
    first, words, long, again, stream = items
    assert [item.provenance.title for item in items] == ["One", "Only words", "Two, long", "One again", "Moving"]
    assert (words.rejection and words.rejection.reason) == "list.no_media"
    assert (again.rejection and again.rejection.reason, again.rejection and again.rejection.detail) == (
        "list.duplicate",
        first.id,
    )
    assert first.provenance.title == "One"
    assert first.provenance.author == "A. Host"
    assert first.provenance.published == "2025-07-01T10:00:00Z"
    assert first.provenance.page_url == f"{site.url}/feed.xml"
    assert first.language == "de-AT"
    assert (first.licence.name, first.licence.source) == ("cc-by-4.0", "feed")
    assert (long.rejection and long.rejection.reason) == "crawl.too_long"
    assert stream.kind == "hls"
    assert [asked.path for asked in site.asked() if "1.mp3" in asked.path] == []


@pytest.mark.parametrize("content_type", ["text/xml", "application/octet-stream", "text/html"])
def test_a_feed_under_any_type_and_name(site: Website, listed: Listed, content_type: str) -> None:
    site.routes["/podcast"] = typed(FEED, content_type)
    assert len(urls(listed(f"{site.url}/podcast"))) == 2


def test_a_feed_in_parts(site: Website, listed: Listed) -> None:
    part = '<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title>{}<entry><title>e</title><link rel="enclosure" href="/{}.mp3"/></entry></feed>'
    site.routes |= {
        "/1.atom": typed(part.format('<link rel="next" href="/2.atom"/>', 1), "application/atom+xml"),
        "/2.atom": typed(part.format("", 2), "application/atom+xml"),
    }
    assert urls(listed(f"{site.url}/1.atom")) == [f"{site.url}/1.mp3", f"{site.url}/2.mp3"]


def test_a_feed_never_fetches_by_itself(site: Website, listed: Listed) -> None:
    """feedparser takes text that looks like an address for one to fetch, and XML may name entities elsewhere."""
    evil = f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY x SYSTEM "{site.url}/entity">]><rss version="2.0"><channel><title>&x;</title></channel></rss>'
    site.routes |= {"/bare.xml": typed(f"{site.url}/other.xml", "text/xml"), "/evil.xml": typed(evil, "text/xml")}
    assert reasons(listed(f"{site.url}/bare.xml")) == ["list.unreadable"]
    assert reasons(listed(f"{site.url}/evil.xml")) == ["list.unreadable"]
    assert site.paths() == ["/bare.xml", "/evil.xml"]


PAGE = f"""<!doctype html><html lang="en"><head><title>Talks &amp; more</title><base href="/media/">
<link rel="license" href="{CC}"><meta property="og:audio" content="/og.mp3"></head><body>
<audio src="one.ogg" title="The first"></audio>
<video><source src="two.webm"><source src="two.mp4"></video>
<a href="three.MP3?dl=1">Number three</a> <a href="four.m3u8">four</a> <a href="/about.html">about</a>
<a href="one.ogg#t=30">one again</a> <a href="mailto:x@y.example">mail</a> <audio></audio>
</body></html>"""


def test_a_page(site: Website, listed: Listed) -> None:
    site.routes["/talks"] = html(PAGE)
    items = listed(f"{site.url}/talks")
    assert [item.provenance.url.removeprefix(site.url) for item in items] == [
        "/og.mp3",
        "/media/one.ogg",
        "/media/two.webm",
        "/media/three.MP3?dl=1",
        "/media/four.m3u8",
    ]
    assert [item.kind for item in items] == ["http"] * 4 + ["hls"]
    assert [item.provenance.title for item in items[:4]] == ["Talks & more", "The first", "Talks & more", "Number three"]
    assert {item.licence.name for item in items} == {"cc-by-4.0"}
    assert {item.language for item in items} == {"en"}
    assert {item.provenance.page_url for item in items} == {f"{site.url}/talks"}
    assert site.paths() == ["/talks"]


def test_a_page_after_a_redirect_resolves_against_where_it_is(site: Website, listed: Listed) -> None:
    site.routes |= {"/old": redirect("/new/page"), "/new/page": html("<!doctype html><audio src=a.mp3>")}
    assert urls(listed(f"{site.url}/old")) == [f"{site.url}/new/a.mp3"]


@pytest.mark.parametrize(
    "meta", ['name="robots" content="noai"', 'name="tdm-reservation" content="1"', 'name="voxmill" content="noindex"']
)
def test_a_page_that_opts_out(site: Website, listed: Listed, meta: str) -> None:
    site.routes["/p"] = html(f"<!doctype html><html><head><meta {meta}></head><audio src=a.mp3></html>")
    items = listed(f"{site.url}/p")
    assert reasons(items) == ["crawl.opt_out"]
    assert urls(items) == []


def test_a_page_without_media(site: Website, listed: Listed) -> None:
    site.routes["/p"] = html("<!doctype html><p>Nothing to hear</p>")
    (item,) = listed(f"{site.url}/p")
    assert item.rejection
    assert item.rejection.reason == "list.unreadable"
    assert item.provenance.url == f"{site.url}/p"
    assert site.paths() == ["/p"]  # yt-dlp looked at the same bytes


def test_what_the_type_says_of_an_address_without_suffix(site: Website, listed: Listed) -> None:
    site.routes |= {
        "/audio": typed(b"ID3" + b"x" * 10**6, "audio/mpeg"),
        "/hls": typed("#EXTM3U\n#EXT-X-VERSION:3\n", "application/vnd.apple.mpegurl"),
        "/blob": typed(b"OggS" + b"x" * 10**6, "application/octet-stream"),
    }
    assert listed(f"{site.url}/audio")[0].kind == "http"
    assert listed(f"{site.url}/hls")[0].kind == "hls"
    assert urls(listed(f"{site.url}/blob")) == [f"{site.url}/blob"]


@pytest.mark.parametrize(
    ("name", "content_type", "body"),
    [
        ("/l.txt", "text/plain", "# mine\n\n{u}/1.mp3\n{u}/2.mp3\n{u}/1.mp3\n"),
        ("/l.m3u", "audio/x-mpegurl", "#EXTM3U\n#EXTINF:9,One\n{u}/1.mp3\n#EXTINF:9,Two\n2.mp3\n"),
        ("/l.csv", "text/csv", "\ufeffTitle,URL\nOne,{u}/1.mp3\nTwo,{u}/2.mp3\nnone,\n"),
        ("/list", "text/csv", "title,url\nOne,{u}/1.mp3\nTwo,{u}/2.mp3\n"),
        ("/l.tsv", "text/plain", "url\ttitle\n{u}/1.mp3\tOne\n{u}/2.mp3\tTwo\n"),
        ("/l.jsonl", "application/x-ndjson", '{{"url": "{u}/1.mp3", "title": "One"}}\n\n"{u}/2.mp3"\n'),
    ],
)
def test_lists(site: Website, listed: Listed, name: str, content_type: str, body: str) -> None:
    site.routes[name] = typed(body.format(u=site.url), content_type)
    items = listed(f"{site.url}{name}", kind="auto" if name != "/l.m3u" else "list")
    assert urls(items) == [f"{site.url}/1.mp3", f"{site.url}/2.mp3"]
    assert items[0].provenance.page_url == f"{site.url}{name}"
    if not name.endswith(".txt"):
        assert items[0].provenance.title == "One"


def test_what_a_list_says_of_its_lines(site: Website, listed: Listed) -> None:
    rows = f"url,language,domain,licence,kind\n{site.url}/1.mp3,fr,talk,CC0,\n{site.url}/p,,,,page\n"
    site.routes |= {
        "/l.csv": typed(rows, "text/csv"),
        "/p": html(f"<!doctype html><a rel=license href={CC}></a><audio src=/2.mp3>"),
    }
    first, second = listed(f"{site.url}/l.csv")
    assert (first.language, first.domain, first.licence.name) == ("fr", "talk", "cc0-1.0")
    assert (second.provenance.url, second.licence.name) == (f"{site.url}/2.mp3", "cc-by-4.0")


@pytest.mark.parametrize("line", ["/etc/passwd", "file:///etc/passwd", "s3://bucket/key", "ftp://a.example/x.mp3"])
def test_a_list_from_the_web_cannot_name_this_machine(site: Website, listed: Listed, line: str) -> None:
    site.routes["/l.jsonl"] = typed(f'{{"url": "{line}"}}', "text/plain")
    items = listed(f"{site.url}/l.jsonl")
    assert [i.rejection.reason if i.rejection else i.kind for i in items] in (["crawl.unsupported"], ["http"])
    assert not any(i.kind == "file" for i in items)


def test_broken_lists(tmp_path: Path, listed: Listed) -> None:
    for name, text in (
        ("a.csv", "who,where\nx,y\n"),
        ("a.jsonl", "{broken\n"),
        ("b.jsonl", '{"title": "x"}\n'),
        ("empty.txt", "\n# x\n"),
    ):
        (tmp_path / name).write_text(text)
        assert reasons(listed(str(tmp_path / name))) == ["list.unreadable"], name


def test_a_folder(tmp_path: Path, listed: Listed) -> None:
    (tmp_path / "b").mkdir()
    for name in ("z.wav", "b/a.mp3", "b/notes.txt", "B.FLAC", "no-suffix"):
        (tmp_path / name).write_bytes(b"x")
    items = listed(str(tmp_path))
    assert [file_path(item.provenance.url) for item in items] == [str(tmp_path / n) for n in ("B.FLAC", "b/a.mp3", "z.wav")]
    assert {(item.kind, item.provenance.host) for item in items} == {("file", "local")}
    assert [Path(file_path(u)).name for u in urls(listed(path=str(tmp_path), glob="*.txt"))] == ["notes.txt"]
    assert len(listed(path=str(tmp_path), glob="*")) == 5
    assert [Path(file_path(u)).name for u in urls(listed(path=str(tmp_path), glob="b/*"))] == ["a.mp3", "notes.txt"]
    assert len(listed(str(tmp_path), limit=2)) == 2


def test_names_of_any_bytes(tmp_path: Path, listed: Listed) -> None:
    names = [b"caf\xe9.wav", "北京 #1?.mp3".encode(), b"..%2f..%2fetc.wav", b"a\nb.wav", b"-rf.wav"]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    items = listed(str(tmp_path))
    assert [os.fsencode(file_path(i.provenance.url)).rsplit(b"/", 1)[1] for i in items] == sorted(names)
    assert all(item.provenance.url.isascii() for item in items)
    assert len({item.id for item in items}) == len(names)
    assert records_bytes(items, Item)  # a record can hold them


def test_links_to_folders_are_not_followed(tmp_path: Path, listed: Listed) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret.wav").write_bytes(b"x")
    (tmp_path / "in" / "a.wav").write_bytes(b"x")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "away").symlink_to(tmp_path / "out")
    assert [Path(file_path(u)).name for u in urls(listed(str(tmp_path / "in")))] == ["a.wav"]


def test_a_run_in_the_folder_is_left_alone(tmp_path: Path, listed: Listed) -> None:
    (tmp_path / "a.wav").write_bytes(b"x")
    for name in ("run/audio/ab", "run/ledger", "no-run/ledger"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("run/run.json", "run/audio/ab/b.wav", "no-run/c.wav"):
        (tmp_path / name).write_bytes(b"x")
    assert [Path(file_path(u)).name for u in urls(listed(str(tmp_path)))] == ["a.wav", "c.wav"]
    assert [Path(file_path(u)).name for u in urls(listed(str(tmp_path / "run")))] == ["b.wav"]  # who names it means it


def test_single_files(tmp_path: Path, listed: Listed) -> None:
    (tmp_path / "a.wav").write_bytes(b"x")
    (tmp_path / "strange").write_bytes(b"x")
    assert urls(listed((tmp_path / "a.wav").as_uri())) == [(tmp_path / "a.wav").as_uri()]
    assert urls(listed(str(tmp_path / "strange"))) == [(tmp_path / "strange").as_uri()]
    assert reasons(listed(str(tmp_path / "gone.wav"))) == ["list.unreadable"]
    assert reasons(listed(str(tmp_path), kind="files")) == []
    (tmp_path / "list.txt").write_text(f"a.wav\n{tmp_path}/strange\n{tmp_path.as_uri()}/a.wav\nhttp://a.example/x.mp3\n")
    assert urls(listed(str(tmp_path / "list.txt"))) == [
        (tmp_path / "a.wav").as_uri(),
        (tmp_path / "strange").as_uri(),
        "http://a.example/x.mp3",
    ]
    (tmp_path / "feed.xml").write_text(FEED.replace('"/1.mp3', '"http://a.example/1.mp3'))
    assert urls(listed(str(tmp_path / "feed.xml")))[0] == "http://a.example/1.mp3"


def test_a_store(listed: Listed) -> None:
    root = f"memory://bucket-{uuid.uuid4().hex}"
    for name in ("b/2.wav", "a#1.mp3", "a#2.mp3", "readme.md"):
        with fsspec.open(f"{root}/{name}", "wb") as file:
            file.write(b"x")
    items = listed(root)
    assert [item.provenance.url.rsplit("/", 1)[1] for item in items] == ["a#1.mp3", "a#2.mp3", "2.wav"]
    assert len({item.id for item in items}) == 3
    assert {item.kind for item in items} == {"file"}
    with fsspec.open(f"{root}/list.txt", "wb") as file:
        file.write(f"{root}/b/2.wav\n".encode())
    assert urls(listed(f"{root}/list.txt")) == [f"{root}/b/2.wav"]


@pytest.mark.parametrize(
    "address", ["sftp://host/x.mp3", "ftp://host/x.mp3", "github://a:b@/x.mp3", "simplecache::http://a.example/x.mp3"]
)
def test_no_other_way_to_a_network(listed: Listed, address: str) -> None:
    (item,) = listed(address)
    assert item.rejection
    assert item.rejection.reason in ("crawl.unsupported", "list.unreadable")


def test_a_manifest(tmp_path: Path, listed: Listed) -> None:
    run = tmp_path / "run"
    (run / "ledger").mkdir(parents=True)
    (run / "run.json").write_text("{}")
    came = Provenance("old", "https://a.example/1.mp3", host="a.example", title="One", permission="robots")
    licence = Licence("cc-by-4.0", "x", "page")
    rows = [
        Recording("1" * 64, "i1", came, licence, audio="audio/11/1.mp3", language="en", num_samples=16_000),
        Recording("2" * 64, "i2", came, licence, audio="/data/2.wav"),
        Recording("3" * 64, "i3", came, licence, audio="s3://bucket/3.wav"),
        Recording("4" * 64, "i4", Provenance("old", "https://a.example/4.mp3", host="a.example"), licence),
        Recording("5" * 64, "i5", came, licence, audio="audio/55/5.mp3", rejection=reject("decode.corrupt")),
    ]
    place = run / "ledger" / "recordings.parquet"
    place.write_bytes(records_bytes(rows, Recording))
    items = listed(str(place))
    assert urls(items) == [
        (run / "audio/11/1.mp3").as_uri(),
        "file:///data/2.wav",
        "s3://bucket/3.wav",
        "https://a.example/4.mp3",
    ]
    assert [item.kind for item in items] == ["manifest"] * 3 + ["http"]
    assert items[0].licence == licence
    assert items[0].provenance.page_url == "https://a.example/1.mp3"
    assert (items[0].provenance.host, items[0].language) == ("a.example", "en")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    assert reasons(listed(str(tmp_path / "broken.parquet"))) == ["list.unreadable"]


def test_several_addresses_of_one_source(site: Website, listed: Listed) -> None:
    site.routes |= {"/robots.txt": typed("User-agent: *\nDisallow: /no", "text/plain")}
    items = listed(
        urls=(f"{site.url}/1.mp3", f"{site.url}/no.html", f"{site.url}/gone.html", f"{site.url}/1.mp3", f"{site.url}/2.mp3")
    )
    assert urls(items) == [f"{site.url}/1.mp3", f"{site.url}/2.mp3"]
    assert reasons(items) == ["crawl.robots", "crawl.not_found", "list.duplicate"]
    assert "/no.html" not in site.paths()


def test_the_same_source_lists_the_same(site: Website, listed: Listed) -> None:
    site.routes |= {"/feed.xml": typed(FEED, "application/rss+xml"), "/talks": html(PAGE)}
    fields = {"urls": (f"{site.url}/feed.xml", f"{site.url}/talks")}
    assert records_bytes(listed(**fields), Item) == records_bytes(listed(**fields), Item)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"url": " "},
        {"url": "x", "kind": "podcast"},
        {"url": "x", "licence": "ask me first!"},
        {"url": "x", "limit": 0},
        {"url": "x", "huh": 1},
    ],
)
def test_sources_that_make_no_sense(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SourceConfig(name="src", **fields)  # type: ignore[arg-type]


def test_a_list_of_yours_names_no_web_address_for_nobody(tmp_path: Path) -> None:
    (tmp_path / "here.wav").write_bytes(b"RIFF")
    (tmp_path / "urls.txt").write_text("here.wav\n")
    config = CrawlConfig()
    source = SourceConfig(name="mine", path=str(tmp_path / "urls.txt"))
    assert len(urls(Lister(config, LocalGate(config))(source))) == 1
    (tmp_path / "urls.txt").write_text("here.wav\nhttps://radio.test/a.mp3\n")
    with pytest.raises(NoContact, match=r"`mine` names web addresses .*crawl\.contact"):
        Lister(config, LocalGate(config))(source)


ODD_NAMES = (b"b c#1?.wav", b"d%20e.wav", "ü.wav".encode(), b"\xfcn.wav", b"-x.wav")


@pytest.mark.parametrize("name", ["list.txt", "list.m3u", "list.csv"])
def test_names_in_ones_own_list_are_names_and_no_addresses(name: str, listed: Listed, tmp_path: Path) -> None:
    for one in ODD_NAMES:
        (tmp_path / os.fsdecode(one)).write_bytes(b"RIFF")
    (tmp_path / "a b.wav").write_bytes(b"RIFF")
    lines = [*ODD_NAMES, b"a%20b.wav", b"gone#1.wav"]
    head = [b"path"] if name.endswith("csv") else []
    (tmp_path / name).write_bytes(b"\n".join([*head, *lines]))
    items = listed(path=str(tmp_path / name))
    assert [os.fsencode(file_path(url)) for url in urls(items)] == [
        os.fsencode(tmp_path) + b"/" + one for one in (*ODD_NAMES, b"a b.wav")
    ]
    (lost,) = [item.rejection for item in items if item.rejection]
    assert (lost.reason, lost.detail) == ("list.unreadable", f"no such file: {tmp_path}/gone#1.wav")


def test_a_feed_on_a_disk_may_enclose_files_beside_it(listed: Listed, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for one in ("a.wav", "sub/ün ï.wav", "c.wav"):
        (tmp_path / one).write_bytes(b"RIFF")
    named = (
        "a.wav",
        "sub/%C3%BCn%20%C3%AF.wav",
        f"{tmp_path}/c.wav",
        f"file://{tmp_path}/a.wav#again",
        "gone.wav",
        "http://a.example/d.mp3",
    )
    entries = "".join(
        f'<item><title>{n}</title><enclosure url="{url}" type="audio/wav"/></item>' for n, url in enumerate(named)
    )
    (tmp_path / "f.rss").write_text(f"<rss version='2.0'><channel><title>x</title>{entries}</channel></rss>")
    items = listed(path=str(tmp_path / "f.rss"))
    assert [(item.kind, file_path(item.provenance.url)) for item in items if item.rejection is None] == [
        ("file", f"{tmp_path}/a.wav"), ("file", f"{tmp_path}/sub/ün ï.wav"), ("file", f"{tmp_path}/c.wav"), ("http", "http://a.example/d.mp3"),
    ]  # fmt: skip
    assert f"no such file: {tmp_path}/gone.wav" in [item.rejection.detail for item in items if item.rejection]


def test_a_feed_of_the_web_may_not(site: Website, listed: Listed, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    entry = f'<item><title>a</title><enclosure url="file://{tmp_path}/a.wav" type="audio/wav"/></item>'
    feed = f"<rss version='2.0'><channel><title>x</title>{entry}</channel></rss>"
    site.routes["/f.rss"] = typed(feed, "application/rss+xml")
    (item,) = listed(f"{site.url}/f.rss")
    assert (item.kind, item.provenance.title) == ("http", "a")  # which has no way to open it


@pytest.mark.parametrize("name", ["manifest.json", "manifest.jsonl"])
def test_a_manifest_by_itself_is_a_corpus(name: str, listed: Listed, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    (tmp_path / name).write_text('{"audio_filepath": "a.wav", "duration": 1.0, "text": "good morning"}\n')
    (item,) = listed(path=str(tmp_path / name))
    assert file_path(item.provenance.url) == f"{tmp_path}/a.wav"
    assert item.given is not None
    assert item.given[0].text == "good morning"
