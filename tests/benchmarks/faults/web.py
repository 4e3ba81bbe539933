"""Bad servers, bad addresses, and servers that say no."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faults import answers, media
from benchmarks.faults.cases import KEPT, Case
from benchmarks.faults.server import Exchange, Site
from demo.encode import encode_hls
from speech.waves import RATE, Pcm

PAGE = "<!doctype html><html><head>{head}</head><body>{body}</body></html>"
BOT_PAGE = PAGE.format(head="<title>Just a moment...</title>", body='<script src="/cdn-cgi/challenge-platform/h/b"></script>')


def web_cases(site: Site, folder: Path, speech: Iterator[Pcm]) -> Iterator[Case]:
    """Every input on an origin of its own, except where several must share one."""
    folder.mkdir()
    yield from _refusals(site, speech)  # first: their order must hold, so one worker has them all
    yield from _redirects(site)
    yield from _statuses(site, speech)
    yield from _slow_and_broken(site, speech)
    yield from _lengths(site, speech)
    yield from _private(site, speech)
    yield from _rules(site, speech)
    yield from _schemes(site)
    yield from _streams(site, folder, speech)
    yield from _documents(site, speech)
    yield from _paths(site, speech)


def _good(pcm: Pcm) -> bytes:
    return media.wav(pcm)


def _refusals(site: Site, speech: Iterator[Pcm]) -> Iterator[Case]:
    host = site.host()
    host.otherwise = answers.status(403)
    host.most = 2
    first, again, shut = "403", "403 again: the host's breaker opens", "a host whose breaker is open"
    for number, (what, expected) in enumerate([(first, "crawl.http_error"), (again, "crawl.blocked"), (shut, "crawl.blocked")]):
        yield Case(what, {"url": f"{host.url}/{number}.wav"}, expected, among=first)
    pcm = next(speech)
    later = answers.at_first(1, answers.status(429, Retry_After="1"), answers.body(_good(pcm)))
    yield Case("429, Retry-After: 1", {"url": site.host().at("/a.wav", later)}, KEPT, len(pcm) / RATE)
    much_later = answers.status(429, Retry_After="86400")
    yield Case("429, Retry-After: a day", {"url": site.host().at("/a.wav", much_later)}, "crawl.blocked")
    bot = answers.body(BOT_PAGE.encode(), "text/html")
    yield Case("a page that wants a human, status 200", {"url": site.host().at("/a.wav", bot)}, "crawl.blocked")
    bot = answers.body(b"<html><div class=g-recaptcha></div></html>", "text/html", 503)
    yield Case("a page that wants a human, status 503", {"url": site.host().at("/a.wav", bot)}, "crawl.blocked")


def _redirects(site: Site) -> Iterator[Case]:
    host = site.host()
    host.at("/b.wav", answers.redirect("/a.wav"))
    yield Case("redirect loop", {"url": host.at("/a.wav", answers.redirect("/b.wav"))}, "crawl.redirects")
    host = site.host()
    host.otherwise = answers.deeper
    yield Case("redirects without end", {"url": f"{host.url}/deeper/0.wav"}, "crawl.redirects")
    hosts = [site.host(), site.host()]
    for host in hosts:
        host.otherwise = answers.elsewhere(hosts)
    yield Case("redirects without end, to other hosts", {"url": f"{hosts[0].url}/hop/0", "kind": "media"}, "crawl.redirects")
    yield Case("redirect without an address", {"url": site.host().at("/a.wav", answers.status(302))}, "crawl.redirects")
    leave = answers.redirect("file:///etc/passwd")
    yield Case("redirect to a local file", {"url": site.host().at("/a.wav", leave)}, "crawl.unsupported")


def _statuses(site: Site, speech: Iterator[Pcm]) -> Iterator[Case]:
    yield Case("404", {"url": f"{site.host().url}/a.wav"}, "crawl.not_found")
    yield Case("410", {"url": site.host().at("/a.wav", answers.status(410))}, "crawl.not_found")
    yield Case("401", {"url": site.host().at("/a.wav", answers.status(401))}, "crawl.http_error")
    yield Case("503 for ever", {"url": site.host().at("/a.wav", answers.status(503))}, "crawl.http_error")
    pcm = next(speech)
    mended = answers.at_first(1, answers.status(500), answers.body(_good(pcm)))
    yield Case("500, then fine", {"url": site.host().at("/a.wav", mended)}, KEPT, len(pcm) / RATE)


def _slow_and_broken(site: Site, speech: Iterator[Pcm]) -> Iterator[Case]:
    content = _good(next(speech))
    table = {
        "headers that drip (slow loris)": answers.slow_head,
        "a body that drips": answers.slow_body(content),
        "a server that never answers": answers.silence,
        "closes without an answer": answers.hangs_up,
        "answers with bytes that are no HTTP": answers.garbage,
        "a header of 10 MB": answers.huge_header,
        "reset in the middle, every time": answers.breaks(content, 20_000),
    }
    for what, behaviour in table.items():
        yield Case(what, {"url": site.host().at("/a.wav", behaviour)}, "crawl.network")
    pcm = next(speech)
    resumed = answers.resumes(_good(pcm), 20_000)
    yield Case("reset in the middle, resumed by Range", {"url": site.host().at("/a.wav", resumed)}, KEPT, len(pcm) / RATE)
    yield Case("nobody listens there", {"url": "http://127.0.0.1:9/a.wav"}, "crawl.network")
    yield Case("a name that does not exist", {"url": "http://nowhere.invalid/a.wav"}, "crawl.network")
    secure = site.host().url.replace("http:", "https:")
    yield Case("https to a server that speaks http", {"url": f"{secure}/a.wav"}, "crawl.network")


def _lengths(site: Site, speech: Iterator[Pcm]) -> Iterator[Case]:
    content = _good(next(speech))
    longer = answers.lies(content, len(content) + 1000)
    yield Case("Content-Length too long", {"url": site.host().at("/a.wav", longer)}, "crawl.network")
    pcm = next(speech)
    shorter = answers.lies(_good(pcm), 44 + len(pcm))
    yield Case("Content-Length too short", {"url": site.host().at("/a.wav", shorter)}, KEPT, len(pcm) / RATE / 2)
    most = answers.lies(content, 10**15)
    yield Case("Content-Length of a petabyte", {"url": site.host().at("/a.wav", most)}, "crawl.too_large")
    yield Case("a body without an end", {"url": site.host().at("/a.wav", answers.endless)}, "crawl.too_large")
    packed = answers.inflates(200_000_000)
    yield Case("gzip bomb as Content-Encoding", {"url": site.host().at("/a.wav", packed)}, "crawl.too_large")


def _private(site: Site, speech: Iterator[Pcm]) -> Iterator[Case]:
    bait = site.host()
    bait.otherwise = answers.body(_good(next(speech)))
    inside = site.twin(bait)
    inside.otherwise = bait.otherwise
    port = inside.port
    table = {
        "private address": f"http://127.0.0.2:{port}",
        "private address as a number": f"http://2130706434:{port}",
        "private address in hexadecimal": f"http://0x7f000002:{port}",
        "private address, short": f"http://127.2:{port}",
        "private address inside IPv6": f"http://[::ffff:127.0.0.2]:{port}",
        "IPv6 loopback": f"http://[::1]:{port}",
        "every address of this machine": f"http://0.0.0.0:{port}",
        "a cloud's metadata service": "http://169.254.169.254",
        "a name that leads to a private address": f"http://inside.test:{port}",
        "a name that leads to the metadata service": "http://metadata.test",
        "a name with a public and a private address": f"http://mixed.test:{port}",
    }
    for what, origin in table.items():
        yield Case(what, {"url": f"{origin}/a.wav"}, "crawl.private_address")
    sent = answers.redirect(f"http://127.0.0.2:{port}/a.wav")
    yield Case("private address by redirect", {"url": site.host().at("/a.wav", sent)}, "crawl.private_address")


def changing_case(site: Site, changed: Path, speech: Iterator[Pcm]) -> Case:
    """DNS rebinding: the name leads to us until we redirect to it, and from then on to a private address."""
    host = site.host()
    inside = site.twin(host)
    inside.otherwise = answers.body(_good(next(speech)))
    address = f"http://changing.test:{host.port}"

    def change(exchange: Exchange) -> None:
        changed.touch()
        answers.redirect(f"{address}/b.wav")(exchange)

    host.at("/a.wav", change)
    return Case("private address by DNS change", {"url": f"{address}/a.wav"}, "crawl.private_address")


def _rules(site: Site, speech: Iterator[Pcm]) -> Iterator[Case]:
    content = _good(next(speech))
    host = site.host()
    host.at("/robots.txt", answers.body(b"User-agent: *\nDisallow: /private/\n", "text/plain"))
    yield Case(
        "disallowed by robots.txt", {"url": host.at("/private/a.wav", answers.body(content), forbidden=True)}, "crawl.robots"
    )
    host = site.host()
    host.at("/robots.txt", answers.status(500))
    unknown = host.at("/a.wav", answers.body(content), forbidden=True)
    yield Case("robots.txt answers 500", {"url": unknown}, "crawl.robots")
    host = site.host()
    host.at("/robots.txt", answers.silence)
    unknown = host.at("/a.wav", answers.body(content), forbidden=True)
    yield Case("robots.txt never answers", {"url": unknown}, "crawl.network")
    noai = answers.body(content, X_Robots_Tag="noai")
    yield Case("X-Robots-Tag: noai", {"url": site.host().at("/a.wav", noai)}, "crawl.opt_out")
    reserved = answers.body(content, tdm_reservation="1")
    yield Case("tdm-reservation: 1", {"url": site.host().at("/a.wav", reserved)}, "crawl.opt_out")
    host = site.host()
    rule = b'[{"location": "/", "tdm-reservation": 1}]'
    host.at("/.well-known/tdmrep.json", answers.body(rule, "application/json"))
    reserved_all = host.at("/a.wav", answers.body(content), forbidden=True)
    yield Case("tdmrep.json reserves the site", {"url": reserved_all}, "crawl.opt_out")
    page = PAGE.format(head='<meta name="robots" content="noai">', body='<audio src="/a.wav"></audio>')
    yield Case("a page whose meta tag says noai", _page(site, page), "crawl.opt_out")
    host = site.host()
    yield Case("denied by the config", {"url": host.at("/denied/a.wav", answers.body(content), forbidden=True)}, "crawl.denied")


def _schemes(site: Site) -> Iterator[Case]:
    yield Case("ftp", {"url": "ftp://127.0.0.1/a.wav"}, "crawl.unsupported")
    yield Case("user name and password in the address", {"url": "http://me:secret@127.0.0.1/a.wav"}, "crawl.unsupported")
    yield Case("an address without a host", {"url": "http:///a.wav"}, "crawl.unsupported")
    yield Case("a port that cannot be", {"url": "http://127.0.0.1:99999/a.wav"}, "crawl.unsupported")
    yield Case("half an IPv6 address", {"url": "http://[::1/a.wav"}, "crawl.unsupported")
    yield Case("an address with a line break", {"url": f"{site.host().url}/\r\nHost: x/a.wav"}, "crawl.not_found")


def _streams(site: Site, folder: Path, speech: Iterator[Pcm]) -> Iterator[Case]:
    private = site.twin(site.host())
    lines = {
        "m3u8 whose parts lie at a private address": (f"#EXTINF:6,\n{private.url}/a.ts\n", "crawl.private_address"),
        "m3u8 whose parts are local files": ("#EXTINF:6,\nfile:///etc/passwd\n", "crawl.unsupported"),
        "m3u8 of ten days": ("#EXTINF:864000,\na.ts\n", "crawl.too_long"),
        "m3u8 that is encrypted": ('#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:6,\na.ts\n', "crawl.unsupported"),
        "m3u8 without parts": ("", "crawl.unsupported"),
    }
    for what, (parts, expected) in lines.items():
        yield Case(what, _playlist(site, parts + "#EXT-X-ENDLIST\n"), expected)
    yield Case("m3u8 that is live", _playlist(site, "#EXTINF:6,\na.ts\n"), "crawl.unsupported")
    text = answers.body(b"this is no playlist\n", "application/vnd.apple.mpegurl")
    yield Case("m3u8 that is text", {"url": site.host().at("/a.m3u8", text)}, "crawl.unsupported")
    pcm = next(speech)
    encode_hls(folder / "show.m3u8", pcm, seconds=1)
    for what, lost in (("m3u8 with a missing part", 1), ("m3u8, all there", 0)):
        host = site.host()
        files = sorted(folder.glob("*.ts"))
        for part in files[: len(files) - lost]:
            host.at(f"/{part.name}", answers.body(part.read_bytes(), "video/mp2t"))
        playlist = answers.body((folder / "show.m3u8").read_bytes(), "application/vnd.apple.mpegurl")
        yield Case(what, {"url": host.at("/show.m3u8", playlist)}, KEPT)


def _playlist(site: Site, lines: str) -> dict[str, str]:
    head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n"
    return {"url": site.host().at("/a.m3u8", answers.body((head + lines).encode(), "application/vnd.apple.mpegurl"))}


def _documents(site: Site, speech: Iterator[Pcm]) -> Iterator[Case]:
    laughs = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + i, (b"&%c;" % (97 + i)) * 10) for i in range(9)
    )
    feeds = {
        "a feed that is no XML": b"\x00\x01 this is not xml <<<",
        "a feed that laughs a billion times": laughs + b"]><rss><channel><title>&j;</title></channel></rss>",
        "a feed without episodes": b'<?xml version="1.0"?><rss version="2.0"><channel><title>x</title></channel></rss>',
    }
    for what, content in feeds.items():
        url = site.host().at("/feed.xml", answers.body(content, "application/rss+xml"))
        yield Case(what, {"url": url, "kind": "feed"}, "list.unreadable")
    yield Case("a page without media", _page(site, PAGE.format(head="", body="<p>words</p>")), "list.unreadable")
    private = site.twin(site.host())
    hidden = PAGE.format(head="", body=f'<audio src="{private.url}/a.wav"></audio>')
    yield Case("a page whose audio lies at a private address", _page(site, hidden), "crawl.private_address")
    broken = PAGE.format(head="", body='<audio src="http://[::2/a.wav"></audio><a href="http://x:99999/b.mp3">b</a>')
    yield Case("a page whose links are no addresses", _page(site, broken), "crawl.unsupported")
    page = answers.body(PAGE.format(head="", body="<p>words</p>").encode(), "text/html")
    yield Case("a web page at the address of a file", {"url": site.host().at("/a.wav", page)}, "crawl.unsupported")
    names = answers.body(b"file:///etc/passwd\n", "text/plain")
    yield Case("a list from the web that names a local file", {"url": site.host().at("/a.txt", names)}, "crawl.unsupported")
    large = answers.body(b"<html>" + b"a" * 2_000_000, "text/html")
    yield Case("a page of more bytes than a page has", {"url": site.host().at("/a.html", large)}, "crawl.too_large")


def _page(site: Site, text: str) -> dict[str, str]:
    return {"url": site.host().at("/page.html", answers.body(text.encode(), "text/html")), "kind": "page"}


def _paths(site: Site, speech: Iterator[Pcm]) -> Iterator[Case]:
    table = {
        "a path that climbs": "/../../voxmill-escape.wav",
        "a path that climbs, quoted": "/%2e%2e%2f%2e%2e%2fvoxmill-escape.wav",
        "a path that is not UTF-8": "/caf%E9-%FF.wav",
        "a path of 4 kB": "/" + "p" * 4000 + ".wav",
    }
    for what, path in table.items():
        pcm, host = next(speech), site.host()
        host.otherwise = answers.body(_good(pcm))
        yield Case(what, {"url": host.url + path}, KEPT, len(pcm) / RATE)
    pcm = next(speech)
    named = answers.body(_good(pcm), Content_Disposition='attachment; filename="../../voxmill-escape.wav"')
    yield Case("a Content-Disposition that climbs", {"url": site.host().at("/a.wav", named)}, KEPT, len(pcm) / RATE)
    flac = io.BytesIO()
    pcm = next(speech)
    import soundfile

    soundfile.write(flac, pcm, RATE, format="FLAC")
    wrong = answers.body(flac.getvalue(), "video/quicktime")
    yield Case("FLAC named .mp3, sent as a film", {"url": site.host().at("/a.mp3", wrong)}, KEPT, len(pcm) / RATE)
