"""Streams, part by part, from a real server; our fetcher makes every request."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from voxmill import __version__
from voxmill.operators.crawl.facts.crawl_errors import (
    CrawlError,
    Disallowed,
    HttpError,
    NotFound,
    TooLarge,
    TooLong,
    Unsupported,
)
from voxmill.operators.crawl.fetch.fetcher import Fetcher
from voxmill.operators.crawl.fetch.hls_download import GAP, LostPart, Stream, clear_parts, fetch_stream
from voxmill.operators.crawl.fetch.hls_playlist import choose_stream, read_playlist
from website import Answer, Asked, Website, in_turn, typed

Make = Callable[..., Fetcher]

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


def fetched(
    fetcher: Fetcher, url: str, folder: Path, max_bytes: int = 10**9, max_seconds: float = 3600, language: str | None = None
) -> tuple[bytes, Stream]:
    target = folder / "item.hls"
    got = fetch_stream(fetcher, url, target, max_bytes, max_seconds, language)
    body = target.read_bytes()
    assert (got.sha256, got.num_bytes) == (hashlib.sha256(body).hexdigest(), len(body))
    return body, got


def join(fetcher: Fetcher, url: str, folder: Path, max_bytes: int = 10**9, max_seconds: float = 3600) -> bytes:
    return fetched(fetcher, url, folder, max_bytes, max_seconds)[0]


def test_every_request_is_the_fetcher_s(
    stream: Website, fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's log is the proof: robots.txt first, our name on everything; and no other socket was opened."""
    from voxmill.operators.crawl.fetch import http_transport as transport

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


def test_a_part_that_is_missing_is_not_the_loss_of_the_others(stream: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    del stream.routes["/radio/high/1.ts"]
    body, got = fetched(fetcher, f"{stream.url}/radio/all.m3u8", tmp_path)
    assert body == PARTS[0] + PARTS[2]
    assert (got.seconds, got.lost) == (12.0, (LostPart(4.0, 4.0, "it is not there (HTTP 404)"),))
    del stream.routes["/radio/high/list.m3u8"]
    with pytest.raises(NotFound):
        join(fetcher, f"{stream.url}/radio/all.m3u8", tmp_path)


def test_nothing_left(stream: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    stream.routes["/radio/x.m3u8"] = typed(playlist("gone.ts", "lost.ts"), "application/vnd.apple.mpegurl")
    with pytest.raises(NotFound):
        join(fetcher, f"{stream.url}/radio/x.m3u8", tmp_path)
    stream.routes["/radio/x.m3u8"] = typed(playlist("gone.ts", extra="#EXT-X-GAP"), "application/vnd.apple.mpegurl")
    with pytest.raises(Unsupported):
        join(fetcher, f"{stream.url}/radio/x.m3u8", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_gap_is_not_asked_for(stream: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    """Two parts in the middle, one a gap by the publisher's word and one that turns out to be a web page."""
    text = playlist("0.ts", "1.ts", "page.ts", "/parts/2.ts").replace("#EXTINF:4.0,\n1.ts", "#EXT-X-GAP\n#EXTINF:6.5,\n1.ts")
    stream.routes |= {
        "/radio/high/gap.m3u8": typed(text.replace("\n", "\r\n").encode("utf-8-sig"), "application/vnd.apple.mpegurl"),
        "/radio/high/page.ts": typed("<html>no such part", "text/html"),
    }
    body, got = fetched(fetcher, f"{stream.url}/radio/high/gap.m3u8", tmp_path)
    assert body == PARTS[0] + PARTS[2]
    assert "/radio/high/1.ts" not in stream.paths()
    assert got.lost == (LostPart(4.0, 6.5, GAP), LostPart(10.5, 4.0, "it is not there (a web page)"))
    assert got.seconds == 18.5


HEADS = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-MAP:URI="a.mp4"
#EXTINF:2,
a0
#EXTINF:2,
a1
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="b.mp4",BYTERANGE="4@2"
#EXTINF:3,
b0
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="a.mp4"
#EXTINF:2,
a0
#EXT-X-ENDLIST
"""


def test_a_new_head_after_a_discontinuity(stream: Website, make_fetcher: Make, tmp_path: Path) -> None:
    stream.routes |= {
        "/h/list.m3u8": typed(HEADS, "application/vnd.apple.mpegurl"),
        "/h/b.mp4": ranged(b"..[B].."),
        "/h/b0": in_turn(Answer(b"", 500), Answer(b"b0")),
        **{f"/h/{name}": Answer(body) for name, body in {"a.mp4": b"[A]", "a0": b"a0", "a1": b"a1"}.items()},
    }
    with pytest.raises(HttpError):
        join(make_fetcher(retries=0), f"{stream.url}/h/list.m3u8", tmp_path)
    body, got = fetched(make_fetcher(retries=0), f"{stream.url}/h/list.m3u8", tmp_path)  # goes on, and still knows its head
    assert (body, got.lost, got.seconds) == (b"[A]a0a1[B].b0[A]a0", (), 9.0)
    assert stream.paths().count("/h/a1") == 1
    (tmp_path / "2").mkdir()
    stream.routes["/h/b.mp4"] = Answer(b"", 404)
    body, got = fetched(make_fetcher(), f"{stream.url}/h/list.m3u8", tmp_path / "2")
    assert (body, got.lost) == (b"[A]a0a1a0", (LostPart(4.0, 3.0, "its head is not there (HTTP 404)"),))


def ranged(whole: bytes, *, honest: bool = True) -> Callable[[Asked], Answer]:
    """Answers ranges with an end; one that is not honest sends the whole to whoever asks for a part."""

    def answer(asked: Asked) -> Answer:
        said = asked.headers.get("range")
        if not said or not honest:
            return Answer(whole)
        start, end = map(int, said.removeprefix("bytes=").split("-"))
        if start >= len(whole):
            return Answer(b"", 416)
        end = min(end, len(whole) - 1)
        return Answer(whole[start : end + 1], 206, {"Content-Range": f"bytes {start}-{end}/{len(whole)}"})

    return answer


@pytest.mark.parametrize("honest", [True, False])
def test_parts_of_one_file(stream: Website, fetcher: Fetcher, tmp_path: Path, honest: bool) -> None:
    text = playlist("all.mp4", "all.mp4", "all.mp4", "all.mp4")
    for span in ("10@0", "10", "10@50", "10@95"):  # the last one ends behind the end of the file
        text = text.replace("#EXTINF:4.0,\nall", f"#EXT-X-BYTERANGE:{span}\n#EXTINF:4.5,\nall", 1)
    whole = bytes(range(100))
    stream.routes |= {"/r/x.m3u8": typed(text, "application/x-mpegurl"), "/r/all.mp4": ranged(whole, honest=honest)}
    body, got = fetched(fetcher, f"{stream.url}/r/x.m3u8", tmp_path)
    assert body == whole[:20] + whole[50:60]
    assert [(one.at, one.seconds) for one in got.lost] == [(13.5, 4.5)]
    assert stream.paths().count("/r/all.mp4") == 3  # the first two at once


@pytest.mark.parametrize(
    "key",
    [
        'METHOD=AES-128,URI="k.bin?METHOD=NONE"',
        'URI="k.bin?a=1,METHOD=NONE",METHOD=AES-128',
        'METHOD=SAMPLE-AES-CTR,URI="data:text/plain;base64,AAAA",KEYFORMAT="urn:uuid:x"',
        'METHOD="NONE" X',
        "URI=k.bin",
        "METHOD=NONE,METHOD=AES-128",
        'IV=0x1,URI="k.bin"\n#EXT-X-KEY:METHOD=NONE',
    ],
)
def test_encrypted_whatever_its_address_says(stream: Website, fetcher: Fetcher, tmp_path: Path, key: str) -> None:
    stream.routes["/radio/x.m3u8"] = typed(playlist("high/0.ts", extra=f"#EXT-X-KEY:{key}"), "application/vnd.apple.mpegurl")
    with pytest.raises(Unsupported, match="encrypted"):
        join(fetcher, f"{stream.url}/radio/x.m3u8", tmp_path)
    assert stream.paths() == ["/radio/x.m3u8"]


def test_no_key(stream: Website, fetcher: Fetcher, tmp_path: Path) -> None:
    text = playlist("high/0.ts", extra='#EXT-X-KEY:METHOD=NONE\n#EXT-X-KEY: METHOD=NONE,KEYFORMAT="METHOD=AES-128"')
    stream.routes["/radio/x.m3u8"] = typed(text, "application/vnd.apple.mpegurl")
    assert join(fetcher, f"{stream.url}/radio/x.m3u8", tmp_path) == PARTS[0]


MASTER = """#EXTM3U
#EXT-X-DEFINE:NAME="where",VALUE="media"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="snd",NAME="English, described",LANGUAGE="en",AUTOSELECT=YES,URI="d.m3u8",CHARACTERISTICS="public.accessibility.describes-video"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="snd",NAME="Deutsch",LANGUAGE="de",DEFAULT=YES,AUTOSELECT=YES,URI="{$where}/de.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="snd",NAME="English",LANGUAGE="en-GB",AUTOSELECT=YES,URI="{$where}/en.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="sub",NAME="URI=",LANGUAGE="en",URI="no.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=1280x720,CODECS="avc1.64001f,mp4a.40.2",AUDIO="snd"
high.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=300000,RESOLUTION=640x360,CODECS="avc1.64001f,mp4a.40.2",AUDIO="snd"
low.m3u8
"""


@pytest.mark.parametrize(("language", "chosen"), [(None, "de"), ("en-US", "en"), ("en", "en"), ("fr", "de"), ("de", "de")])
def test_the_sound_in_the_source_s_language(
    stream: Website, fetcher: Fetcher, tmp_path: Path, language: str | None, chosen: str
) -> None:
    media = '#EXTM3U\n#EXT-X-DEFINE:IMPORT="where"\n#EXTINF:1,\n//{host}/{{$where}}/{name}.aac\n#EXT-X-ENDLIST\n'
    stream.routes["/m.m3u8"] = typed(MASTER, "application/vnd.apple.mpegurl")
    for name in ("de", "en"):
        text = media.format(host=stream.host, name=name)
        stream.routes |= {f"/media/{name}.m3u8": Answer(text.encode()), f"/media/{name}.aac": Answer(name.encode())}
    assert fetched(fetcher, f"{stream.url}/m.m3u8", tmp_path, language=language)[0] == chosen.encode()


@pytest.mark.parametrize(
    ("variants", "chosen"),
    [
        (["BANDWIDTH=9,RESOLUTION=1920x1080", "BANDWIDTH=5,RESOLUTION=854x480", "BANDWIDTH=3,RESOLUTION=320x200"], 1),
        (["BANDWIDTH=9,RESOLUTION=1920x1080", "BANDWIDTH=7,RESOLUTION=1280x720"], 1),
        (["BANDWIDTH=9,RESOLUTION=640x480", 'BANDWIDTH=1,CODECS="mp4a.40.5"', 'BANDWIDTH=2,CODECS="mp4a.40.2"'], 2),
        (["BANDWIDTH=1", "BANDWIDTH=2", "BANDWIDTH=2"], 1),
    ],
)
def test_which_variant(variants: list[str], chosen: int) -> None:
    lines = "".join(f"#EXT-X-STREAM-INF:{said}\n{number}\n" for number, said in enumerate(variants))
    assert choose_stream(read_playlist(f"#EXTM3U\n{lines}".encode(), "http://a.example/")) == f"http://a.example/{chosen}"


def test_the_next_attempt_goes_on(stream: Website, make_fetcher: Make, tmp_path: Path) -> None:
    stream.routes["/radio/high/1.ts"] = in_turn(Answer(PARTS[1], cut=10), Answer(PARTS[1]))
    with pytest.raises(CrawlError):
        join(make_fetcher(retries=0), f"{stream.url}/radio/all.m3u8", tmp_path)
    assert join(make_fetcher(retries=0), f"{stream.url}/radio/all.m3u8", tmp_path) == b"".join(PARTS)
    assert stream.paths().count("/radio/high/0.ts") == 1
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


def test_what_is_not_heard_of_a_stream_is_in_the_books(site: Website, make_config: Callable[..., Any], tmp_path: Path) -> None:
    """Real parts of a second each: one is a gap, one is gone, one is no sound at all; the rest is heard."""
    import numpy as np

    from demo.encode import encode_hls
    from voxmill.operators.contract.unit_input import UnitInput
    from voxmill.operators.crawl.crawl import Crawl
    from voxmill.operators.crawl.facts.source_config import SourceConfig
    from voxmill.operators.crawl.listing.lister import Lister
    from voxmill.operators.crawl.policy.local_gate import LocalGate
    from voxmill.operators.decode.probe import Decode, DecodeConfig

    rng = np.random.default_rng(0)
    encode_hls(tmp_path / "show.m3u8", (rng.standard_normal(8 * 16_000) * 3000).astype(np.int16), seconds=1)
    text = (tmp_path / "show.m3u8").read_text()
    names = sorted(path.name for path in tmp_path.glob("*.ts"))
    site.routes |= {f"/{name}": Answer((tmp_path / name).read_bytes()) for name in names}
    del site.routes[f"/{names[2]}"]
    site.routes[f"/{names[-2]}"] = Answer(b"\0" * 5000)
    site.routes["/show.m3u8"] = typed(text.replace("#EXTINF", "#EXT-X-GAP\n#EXTINF", 1), "text/plain")
    config = make_config()
    (item,) = Lister(config, LocalGate(config))(SourceConfig(name="s", url=f"{site.url}/show.m3u8"))
    crawled = Crawl(config, str(tmp_path / "audio"), LocalGate(config)).fetch(item)
    assert crawled.rejection is None
    crawled = replace(crawled, audio=str(tmp_path / (crawled.audio or "")))
    (heard,) = Decode(DecodeConfig())(UnitInput("u", (item,), (crawled,)))
    assert heard.rejection is None
    total = (heard.num_samples - heard.silent_samples + heard.lost_samples) / 16_000
    assert total == pytest.approx(8.0, abs=0.35)
    assert heard.lost_samples / 16_000 == pytest.approx(3.0, abs=0.5)
    assert "not fetched" in (heard.lost_why or "")
