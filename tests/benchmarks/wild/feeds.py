"""What leads to audio: odd, cut and absurd documents, and mutations of good ones. No entry vanishes, nothing holds up the rest.

The listing reads every made document in one process, beside good ones; then `voxmill crawl` takes all mutations as sources of one
run, and streams are fetched by their mutated playlists.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.parse import quote

from benchmarks.runs import SPHINX, VOXMILL, verified, write
from benchmarks.wild import documents
from benchmarks.wild.documents import Made, made
from benchmarks.wild.result import Result
from voxmill.operators.crawl.crawl import Crawl
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig
from voxmill.operators.crawl.listing.lister import Lister
from voxmill.operators.crawl.policy.local_gate import LocalGate
from voxmill.pipeline.state.run import Run
from website import Answer, Asked, Website

DOCUMENTS, STREAMS = 420, 120
FULL = 6
"""Times as many in the full form."""
READ_SECONDS = 10.0
PATIENCE = 60.0
"""Seconds on the clock that a document may take on a busy machine, a limit of `READ_SECONDS` of a processor included."""

CRAWL = {
    "contact": "https://crawl.example/about",
    "requests_per_second": 1000.0,
    "max_in_flight": 8,
    "timeout": 5.0,
    "retries": 1,
    "backoff": 0.01,
    "cooloff_seconds": 0.0,
    "allow_private": ["127.0.0.1"],
    "read_seconds": READ_SECONDS,
}

SEEDS: dict[str, tuple[str, str]] = {
    "rss": (documents.rss(6), "application/rss+xml"),
    "atom": (documents.ATOM % "".join(f'<entry><title>{n}</title><link rel="enclosure" href="/{n}.mp3"/></entry>' for n in range(6)), "application/atom+xml"),
    "json": (documents.json_feed(6), "application/feed+json"),
    "opml": (documents.opml(6), "text/x-opml"),
    "xspf": (documents.xspf(6), "application/xspf+xml"),
    "page": (documents.page(6), "text/html"),
    "m3u": (documents.m3u(6), "audio/x-mpegurl"),
    "pls": (documents.pls(6), "audio/x-scpls"),
}  # fmt: skip
TELLING = ("rss", "atom", "json", "opml", "xspf")
"""Forms that show by themselves where their end is missing."""

MEDIA = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-MAP:URI="init.mp4",BYTERANGE="4@0"
#EXTINF:4.0,One, "two"
0.m4s
#EXT-X-BYTERANGE:6@2
#EXTINF:4.0,
1.m4s
#EXT-X-DISCONTINUITY
#EXT-X-KEY:METHOD=NONE
#EXT-X-MAP:URI="other.mp4"
#EXT-X-GAP
#EXTINF:4.0,
2.m4s
#EXTINF:3.5,
3.m4s
#EXT-X-ENDLIST
"""
MASTER = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x, y",LANGUAGE="en",DEFAULT=YES,URI="media.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=640x360,AUDIO="a"
media.m3u8
"""


@dataclass(frozen=True)
class Mutated:
    name: str
    body: bytes
    content_type: str
    cut: bool
    """Only its end was taken away, and more than white space."""


def run(folder: Path, full: bool) -> Result:
    times = FULL if full else 1
    cases = list(made())
    wrong, slowest = _listed(cases)
    mutated = [_mutated(number) for number in range(DOCUMENTS * times)]
    more, outcomes = _crawled(folder, mutated)
    streams, said = _streamed(STREAMS * times)
    table = [("input", "s"), *((name, f"{seconds:.1f}") for name, seconds in slowest)]
    table += [(f"mutations that end as {reason}", str(count)) for reason, count in sorted((outcomes + streams).items())]
    return Result("feeds", len(cases), len(mutated) + STREAMS * times, (*wrong, *more, *said), tuple(table))


def _listed(cases: Sequence[Made]) -> tuple[list[str], list[tuple[str, float]]]:
    """Every made document, and how long the slowest took."""
    wrong, took = [], list[tuple[str, float]]()
    with Website({f"/{case.name}": case.answer for case in cases}) as site:
        site.routes |= {f"/{quote(case.name)}": case.answer for case in cases}
        config = CrawlConfig.model_validate(CRAWL)
        lists = Lister(config, LocalGate(config))
        for case in cases:
            began = time.monotonic()
            items = lists(SourceConfig(name="s", url=f"{site.url}/{quote(case.name)}"))
            took.append((case.name, time.monotonic() - began))
            rows = Counter(item.rejection.reason for item in items if item.rejection)
            heard = sum(item.rejection is None for item in items)
            if (heard, dict(rows)) != (case.items, dict(case.rows)):
                wrong.append(f"{case.name}: {heard} items and {dict(rows)}, not {case.items} and {dict(case.rows)}")
            if took[-1][1] > PATIENCE:
                wrong.append(f"{case.name}: took {took[-1][1]:.0f} s")
        lists.close()
    return wrong, sorted(took, key=lambda pair: -pair[1])[:8]


Mutation = Callable[[bytes, Random], bytes]


def _flip(body: bytes, random: Random) -> bytes:
    out = bytearray(body)
    for _ in range(random.choice((1, 3, 10))):
        out[random.randrange(len(out))] = random.randrange(256)
    return bytes(out)


def _cut(body: bytes, random: Random) -> bytes:
    return body[: random.randrange(1, len(body))]


def _splice(body: bytes, random: Random) -> bytes:
    other = random.choice([text.encode() for text, _ in SEEDS.values()])
    at, start = random.randrange(len(body)), random.randrange(len(other))
    return body[:at] + other[start : start + random.randrange(1, 400)] + body[at:]


def _drop(body: bytes, random: Random) -> bytes:
    at = random.randrange(len(body))
    return body[:at] + body[at + random.randrange(1, 60) :]


def _encode(body: bytes, random: Random) -> bytes:
    return body.decode("utf-8", "replace").encode(
        random.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037")), "replace"
    )


def _nest(body: bytes, random: Random) -> bytes:
    at, text = (
        random.randrange(len(body)),
        random.choice((b"<div>", b"<a>", b"[", b'{"a":', b"<![CDATA[", b"<!--", b'"', b"&", b"<item>")),
    )
    return body[:at] + text * random.choice((2, 50, 3000)) + body[at:]


KINDS: tuple[Mutation, ...] = (_flip, _cut, _splice, _drop, _encode, _nest)


def _mutated(number: int) -> Mutated:
    random = Random(f"feeds {number}")
    form = sorted(SEEDS)[number % len(SEEDS)]
    text, content_type = SEEDS[form]
    kinds = [KINDS[number // len(SEEDS) % len(KINDS)], *random.choices(KINDS, k=random.choice((0, 0, 1)))]
    body = text.encode()
    for kind in kinds:
        body = kind(body, random) or b"\0"
    cut = kinds == [_cut] and form in TELLING and bool(text.encode()[len(body) :].strip())
    return Mutated(
        f"{number:05d}.{form}", body, random.choice((content_type, content_type, "text/plain", "application/octet-stream")), cut
    )


def _crawled(folder: Path, mutated: Sequence[Mutated]) -> tuple[list[str], Counter[str]]:
    """`voxmill crawl` on all of them: what was said, what became of them."""
    with Website() as site:
        site.routes |= {f"/{one.name}": Answer(one.body, headers={"Content-Type": one.content_type}) for one in mutated}
        sources = [{"name": one.name, "url": f"{site.url}/{one.name}", "kind": _kind(one.name)} for one in mutated]
        root, began = folder / "run", time.monotonic()
        settings = {"sources": sources, "crawl": CRAWL, "transcribe": [SPHINX]}
        done = subprocess.run(
            [VOXMILL, "crawl", "-c", str(write(root, settings)), "-o", str(root), "--quiet"],
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.monotonic() - began
    said = done.stdout + done.stderr
    wrong = [f"rc {done.returncode}: {said[-500:]}"] if done.returncode else []
    wrong += [f"says {said[-500:]}"] if "Traceback" in said else []
    wrong += [f"took {took:.0f} s"] if took > PATIENCE + 0.5 * len(mutated) else []
    reasons: dict[str, list[str]] = {}
    for got in Run(str(root)).listing.each_recording():
        reasons.setdefault(got.provenance.source, []).append(got.rejection.reason if got.rejection else "kept")
    for one in mutated:
        found = reasons.get(one.name, [])
        if not found:
            wrong.append(f"{one.name}: nothing in the books")
        if one.cut and not {"list.truncated", "list.unreadable"} & set(found):
            wrong.append(f"{one.name}: cut, and does not say so: {Counter(found)}")
        wrong += [f"{one.name}: {reason}" for reason in found if reason.endswith(".failed")]
    wrong += [] if verified(root) else ["verify does not hold"]
    return wrong, Counter(reason for found in reasons.values() for reason in found)


def _kind(name: str) -> str:
    """A mutation may take away what a document is known by; then it would be media, and no document."""
    form = name.rsplit(".", 1)[1]
    return {"page": "page", "rss": "feed", "atom": "feed", "json": "feed"}.get(form, "list")


def _streamed(count: int) -> tuple[Counter[str], list[str]]:
    """Streams by mutated playlists, from a server that has every part."""
    wrong, outcomes, current = [], Counter[str](), dict[str, bytes]()

    def answer(asked: Asked) -> Answer:
        name = asked.path.rsplit("/", 1)[1]
        if name.endswith(".m3u8"):
            return Answer(current.get(name, b""), headers={"Content-Type": "application/vnd.apple.mpegurl"})
        return Answer(name.encode() * 20) if name.endswith((".m4s", ".mp4")) else Answer(b"", 404)

    config = CrawlConfig.model_validate({**CRAWL, "max_bytes": 10**6})
    with Website() as site, tempfile.TemporaryDirectory() as folder:
        site.note = answer  # type: ignore[method-assign]
        crawl = Crawl(config, f"{folder}/audio", LocalGate(config))
        for number in range(count):
            random = Random(f"streams {number}")
            current |= {"master.m3u8": MASTER.encode(), "media.m3u8": MEDIA.encode()}
            broken = random.choice(("master.m3u8", "media.m3u8", "media.m3u8"))
            for kind in random.choices((_flip, _cut, _splice, _drop), k=random.choice((1, 1, 2))):
                current[broken] = kind(current[broken], random) or b"\0"
            (item,) = Lister(config, LocalGate(config))(SourceConfig(name="s", url=f"{site.url}/{number}/master.m3u8"))
            began = time.monotonic()
            try:
                got = crawl.fetch(item)
            except Exception as error:  # noqa: BLE001 - that nothing else is raised is what is measured
                wrong.append(f"playlist {number}: {type(error).__name__}: {error}")
                continue
            outcomes[got.rejection.reason if got.rejection else "a stream"] += 1
            if time.monotonic() - began > PATIENCE:
                wrong.append(f"playlist {number}: took {time.monotonic() - began:.0f} s")
            if got.rejection is None and b"METHOD=AES" in current["media.m3u8"]:
                wrong.append(f"playlist {number}: encrypted, and kept")
        crawl.close()
    return outcomes, wrong
