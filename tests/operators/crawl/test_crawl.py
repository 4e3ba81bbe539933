"""Items to recordings, from the first request to the file on disk."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pickle
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from pydantic import ValidationError

from voxmill.manifests.ids import item_id
from voxmill.manifests.parquet import records_bytes
from voxmill.manifests.reasons import REASONS, reject
from voxmill.manifests.records import Item, Licence, Provenance, Recording
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.crawl.crawl import Crawl
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.fetch.audio_store import suffix_of
from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig
from voxmill.operators.crawl.listing.lister import Lister
from voxmill.operators.crawl.policy.host_limit import GateMessage, GateReply, Refused
from voxmill.operators.crawl.policy.local_gate import LocalGate
from website import Answer, Website, html, in_turn, redirect, typed

MakeConfig = Callable[..., CrawlConfig]
Run = Callable[..., list[Recording]]
SONG = b"ID3" + bytes(range(256)) * 40
SHA256 = hashlib.sha256(SONG).hexdigest()


def item(url: str, kind: Any = "http", **fields: Any) -> Item:
    return Item(item_id(url), Provenance("src", url, host="h"), fields.pop("licence", Licence()), kind, **fields)


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    return tmp_path / "run" / "audio"


@pytest.fixture
def crawl(make_config: MakeConfig, audio: Path) -> Run:
    def run(*items: Item, audio_dir: str = str(audio), **changes: Any) -> list[Recording]:
        config = make_config(**changes)
        return Crawl(config, audio_dir, LocalGate(config))(UnitInput("u", items=items))

    return run


def outcome(recording: Recording) -> str:
    return recording.rejection.reason if recording.rejection else "kept"


def test_a_file_from_the_web(site: Website, crawl: Run, audio: Path) -> None:
    site.routes |= {
        "/a": redirect("/b.mp3"),
        "/b.mp3": typed(SONG, "audio/mpeg", ETag='"1"', Last_Modified="Tue, 01 Jul 2025 00:00:00 GMT"),
    }
    (got,) = crawl(item(f"{site.url}/a", language="en", domain="talk", licence=Licence("cc-by-4.0", "x", "page")))
    assert (got.id, got.item_id, got.num_bytes) == (SHA256, item_id(f"{site.url}/a"), len(SONG))
    assert got.audio == f"audio/{SHA256[:2]}/{SHA256}.mp3"  # relative to the run
    assert (audio.parent / got.audio).read_bytes() == SONG
    assert (got.language, got.domain, got.licence.name) == ("en", "talk", "cc-by-4.0")
    came = got.provenance
    assert (came.url, came.final_url) == (f"{site.url}/a", f"{site.url}/b.mp3")
    assert (came.content_type, came.etag, came.last_modified) == ("audio/mpeg", '"1"', "Tue, 01 Jul 2025 00:00:00 GMT")
    assert "robots.txt (404): no rules; no tdmrep.json reservation" in (came.permission or "")
    assert not list((audio / ".parts").iterdir())


def test_the_evidence_has_the_time_and_the_record_has_not(site: Website, crawl: Run, audio: Path) -> None:
    site.routes["/a.mp3"] = typed(SONG, "audio/mpeg")
    (got,) = crawl(item(f"{site.url}/a.mp3"))
    evidence = json.loads((audio.parent / f"{got.audio}.evidence.json").read_text())
    assert evidence["fetched_at"].endswith("+00:00")
    assert evidence["status"] == 200
    assert evidence["headers"] == {"content-type": "audio/mpeg", "content-length": str(len(SONG))}
    assert evidence["user_agent"].startswith("Voxmill/")
    assert evidence["permission"] == got.provenance.permission
    assert evidence["fetched_at"] not in repr(got)
    before = (audio.parent / f"{got.audio}.evidence.json").read_bytes()
    site.routes["/b.mp3"] = typed(SONG, "audio/mpeg")
    (same,) = crawl(item(f"{site.url}/b.mp3"))
    assert same.audio == got.audio
    assert (audio.parent / f"{got.audio}.evidence.json").read_bytes() == before  # written once


def test_the_same_bytes_are_stored_once_whatever_their_name(site: Website, crawl: Run, audio: Path) -> None:
    site.routes |= {"/a.mp3": typed(SONG, "audio/mpeg"), "/b": typed(SONG, "application/octet-stream")}
    one, two = crawl(item(f"{site.url}/a.mp3"), item(f"{site.url}/b"))
    assert (one.id, one.audio) == (two.id, two.audio)
    assert [p.name for p in (audio / SHA256[:2]).iterdir() if not p.name.endswith(".json")] == [f"{SHA256}.mp3"]


def test_a_second_call_gives_the_same_records_and_asks_nobody(site: Website, crawl: Run) -> None:
    site.routes |= {
        "/a.mp3": in_turn(typed(SONG, "audio/mpeg"), typed(b"changed meanwhile", "audio/mpeg")),
        "/gone": Answer(b"", 404),
    }
    items = [item(f"{site.url}/a.mp3"), item(f"{site.url}/gone")]
    first = crawl(*items)
    asked = len(site.asked("/a.mp3"))
    assert records_bytes(crawl(*items), Recording) == records_bytes(first, Recording)
    assert len(site.asked("/a.mp3")) == asked == 1


def test_after_a_kill_before_the_receipt_it_is_fetched_again(site: Website, crawl: Run, audio: Path) -> None:
    site.routes["/a.mp3"] = Answer(SONG, ranges=True, headers={"Content-Type": "audio/mpeg"})
    first = crawl(item(f"{site.url}/a.mp3"))
    for receipt in (audio / "receipts").rglob("*.json"):
        receipt.unlink()
    assert records_bytes(crawl(item(f"{site.url}/a.mp3")), Recording) == records_bytes(first, Recording)
    assert (audio.parent / str(first[0].audio)).read_bytes() == SONG


def test_a_broken_transfer_is_finished_by_the_next_command(site: Website, crawl: Run) -> None:
    site.routes["/a.mp3"] = in_turn(Answer(SONG, cut=5000, ranges=True), Answer(SONG, ranges=True))
    assert outcome(crawl(item(f"{site.url}/a.mp3"), retries=0)[0]) == "crawl.network"
    (got,) = crawl(item(f"{site.url}/a.mp3"), retries=0)
    assert (got.id, outcome(got)) == (SHA256, "kept")
    assert site.asked("/a.mp3")[1].headers["range"] == "bytes=5000-"


def test_every_outcome_has_its_name(site: Website, crawl: Run, make_config: MakeConfig, tmp_path: Path) -> None:
    site.routes |= {
        "/robots.txt": typed("User-agent: *\nDisallow: /no/", "text/plain"),
        "/404": Answer(b"", 404),
        "/500": Answer(b"", 500),
        "/fine": in_turn(Answer(b"", 500), typed(SONG, "audio/mpeg")),
        "/loop": redirect("/loop"),
        "/inside": redirect("http://10.0.0.1/x"),
        "/lies": Answer(SONG, length=len(SONG) + 9),
        "/slow": Answer(SONG, pause=4),
        "/big": Answer(b"x" * 50_000),
        "/page": html("<!doctype html>"),
        "/noai": Answer(SONG, 200, {"X-Robots-Tag": "noai"}),
        "/denied": Answer(SONG),
        "/empty": Answer(b"", headers={"Content-Type": "audio/mpeg"}),
        "/text.mp3": typed("no sound in here", "audio/mpeg"),
        "/..%2F..%2Fetc%2Fpasswd": typed(SONG + b"!", "audio/mpeg"),
        "/%E9%FF.mp3": typed(SONG + b"?", "audio/mpeg"),
    }
    expected = {
        "/no/a.mp3": "crawl.robots",
        "/404": "crawl.not_found",
        "/500": "crawl.http_error",
        "/fine": "kept",
        "/loop": "crawl.redirects",
        "/inside": "crawl.private_address",
        "/lies": "crawl.network",
        "/slow": "crawl.network",
        "/big": "crawl.too_large",
        "/page": "crawl.unsupported",
        "/noai": "crawl.opt_out",
        "/denied": "crawl.denied",
        "/empty": "kept",  # what it holds is for decoding to say
        "/text.mp3": "kept",
        "/..%2f..%2fetc%2fpasswd": "kept",
        "/%e9%ff.mp3": "kept",
    }
    items = [item(f"{site.url}{path}") for path in expected]
    items += [item("http://10.1.1.1/x.mp3"), item("gopher://a.example/x")]
    items += [item((tmp_path / "gone.wav").as_uri(), "file")]
    items += [Item("broken", Provenance("src", "u"), Licence(), rejection=reject("list.unreadable", "x"))]
    got = crawl(*items, retries=1, timeout=1.0, max_bytes=40_000, deny=(f"{site.url}/denied",))
    wanted = [*expected.values(), "crawl.private_address", "crawl.unsupported", "crawl.not_found", "list.unreadable"]
    assert [outcome(recording) for recording in got] == wanted
    assert [recording.item_id for recording in got] == [one.id for one in items]
    assert all(outcome(r) in REASONS or outcome(r) == "kept" for r in got)
    assert all((r.id == r.item_id) == (r.rejection is not None) for r in got)
    assert "/no/a.mp3" not in site.paths()
    assert records_bytes(got, Recording)
    left = {path.name for path in (tmp_path / "run" / "audio" / ".parts").iterdir()}
    assert left <= {f"{item_id(site.url + '/lies')}.part", f"{item_id(site.url + '/lies')}.part.json"}
    stored = [p for p in tmp_path.rglob("*") if p.is_file() and ".json" not in p.name and ".parts" not in str(p)]
    assert all(path.is_relative_to(tmp_path / "run" / "audio") for path in stored)
    assert {path.stem for path in stored} == {r.id for r in got if r.rejection is None}


def test_a_blocked_host_ends_for_all_its_items(site: Website, crawl: Run) -> None:
    site.routes |= {f"/{n}": Answer(b"", 403) for n in range(5)}
    got = crawl(*(item(f"{site.url}/{n}") for n in range(5)))
    assert sorted(outcome(r) for r in got) == ["crawl.blocked"] * 4 + ["crawl.http_error"]
    assert set(site.paths()) <= {"/0", "/1", "/2"}  # two at once, and a third may have its turn before the second is answered


def test_a_stream(site: Website, crawl: Run, audio: Path) -> None:
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.25,\n0.ts\n#EXTINF:4.25,\n1.ts\n#EXT-X-ENDLIST\n"
    parts = [b"\x47" + b"a" * 187 + b"\x47" + b"b" * 187, b"\x47" + b"c" * 187]
    site.routes |= {
        "/e.m3u8": typed(text, "application/vnd.apple.mpegurl", ETag='"p"'),
        "/0.ts": Answer(parts[0]),
        "/1.ts": Answer(parts[1]),
    }
    (got,) = crawl(item(f"{site.url}/e.m3u8", "hls"))
    assert outcome(got) == "kept"
    assert got.id == hashlib.sha256(b"".join(parts)).hexdigest()
    assert str(got.audio).endswith(".ts")
    assert (audio.parent / str(got.audio)).read_bytes() == b"".join(parts)
    assert (got.provenance.etag, got.provenance.content_type) == ('"p"', "application/vnd.apple.mpegurl")
    assert json.loads((audio.parent / f"{got.audio}.evidence.json").read_text())["num_parts"] == 2
    assert (got.promised_samples, got.lost_samples, got.lost_why) == (136_000, 0, None)
    assert not list((audio / ".parts").iterdir())


def test_a_stream_says_what_of_it_is_not_there(site: Website, crawl: Run) -> None:
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.25,\n0.ts\n#EXTINF:4.25,\ngone.ts\n#EXTINF:3.5,\n1.ts\n#EXT-X-ENDLIST\n"
    part = b"\x47" + b"a" * 187
    site.routes |= {"/h.m3u8": typed(text, "application/vnd.apple.mpegurl"), "/0.ts": Answer(part), "/1.ts": Answer(part)}
    for _ in range(2):  # the second time from the receipt
        (got,) = crawl(item(f"{site.url}/h.m3u8", "hls"))
        assert (got.promised_samples, got.lost_samples) == (12 * 16_000, 68_000)
        assert str(got.lost_why).startswith("not fetched (it is not there")


def test_a_telephone_format_keeps_the_only_thing_it_is_known_by(site: Website, crawl: Run) -> None:
    site.routes |= {
        "/call.g722": Answer(b"raw" * 99),
        "/call": typed("raw" * 98, "audio/gsm"),
        "/call.flac": Answer(b"raw" * 97),
    }
    names = [str(crawl(item(f"{site.url}/{name}"))[0].audio) for name in ("call.g722", "call", "call.flac")]
    assert [name.rpartition(".")[2] for name in names] == ["g722", "gsm", "bin"]


def test_local_files_stay_where_they_are(tmp_path: Path, crawl: Run, audio: Path) -> None:
    place = tmp_path / "in" / "my song.mp3"
    place.parent.mkdir()
    place.write_bytes(SONG)
    (got,) = crawl(item(place.as_uri(), "file"))
    assert (got.id, got.audio, got.num_bytes) == (SHA256, str(place), len(SONG))
    assert not list(audio.rglob("*.mp3"))
    (copied,) = crawl(item(place.as_uri(), "file"), audio_dir=str(tmp_path / "other" / "audio"), copy_local=True)
    assert (copied.id, copied.audio) == (SHA256, f"audio/{SHA256[:2]}/{SHA256}.mp3")
    assert (tmp_path / "other" / str(copied.audio)).read_bytes() == SONG


def test_a_stream_that_is_not_taken_leaves_nothing(site: Website, crawl: Run, audio: Path) -> None:
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n0.ts\n#EXTINF:4,\n1.ts\n#EXT-X-ENDLIST\n"
    site.routes |= {"/e.m3u8": typed(text, "text/plain"), "/0.ts": Answer(bytes(1000)), "/1.ts": Answer(bytes(1000))}
    assert outcome(crawl(item(f"{site.url}/e.m3u8", "hls"), max_bytes=1500)[0]) == "crawl.too_large"
    assert not list((audio / ".parts").iterdir())


def test_compression_that_was_not_asked_for(site: Website, crawl: Run) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 60_000
    site.routes |= {
        "/a.mp3": Answer(gzip.compress(SONG), headers={"Content-Encoding": "gzip"}),
        "/bomb.mp3": Answer(bomb, headers={"Content-Encoding": "gzip"}),
    }
    small, large = crawl(item(f"{site.url}/a.mp3"), item(f"{site.url}/bomb.mp3"), max_bytes=1_000_000)
    assert (outcome(small), small.id) == ("kept", SHA256)
    assert outcome(large) == "crawl.too_large"


@pytest.mark.parametrize("name", [b"caf\xe9.wav", b"a::b.wav"])
def test_names_that_no_record_can_hold_are_copied(tmp_path: Path, crawl: Run, audio: Path, name: bytes) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(SONG)
    config = CrawlConfig(contact="me@here.example")
    (listed,) = Lister(config, LocalGate(config))(SourceConfig(name="src", path=str(folder)))
    (got,) = crawl(listed)
    assert (outcome(got), got.audio) == ("kept", f"audio/{SHA256[:2]}/{SHA256}.mp3")
    assert records_bytes([got], Recording)


def test_a_store_on_both_sides(site: Website, crawl: Run) -> None:
    root = f"memory://run-{uuid.uuid4().hex}"
    with fsspec.open(f"{root}/in/a#1.wav", "wb") as file:
        file.write(SONG)
    site.routes["/a.mp3"] = typed(SONG + b".", "audio/mpeg")
    stored, fetched = crawl(item(f"{root}/in/a#1.wav", "file"), item(f"{site.url}/a.mp3"), audio_dir=f"{root}/audio")
    for got, body in ((stored, SONG), (fetched, SONG + b".")):
        assert outcome(got) == "kept"
        with fsspec.open(f"{root}/{got.audio}", "rb") as file:
            assert file.read() == body
        with fsspec.open(f"{root}/{got.audio}.evidence.json", "rb") as file:
            assert json.loads(file.read())["sha256"] == got.id
    assert crawl(item(f"{root}/in/a#1.wav", "file"), audio_dir=f"{root}/audio") == [stored]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket of an S3 server on this machine."""
    moto = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (("ENDPOINT_URL", f"http://{host}:{port}"), ("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "y")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    fsspec.filesystem("s3").mkdir("crawled")
    yield "s3://crawled"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_a_bucket_on_both_sides(bucket: str, crawl: Run) -> None:
    config = CrawlConfig(contact="me@here.example")
    with fsspec.open(f"{bucket}/in/a#1.mp3", "wb") as file:
        file.write(SONG)
    items = Lister(config, LocalGate(config))(SourceConfig(name="src", url=f"{bucket}/in"))
    (got,) = crawl(*items, audio_dir=f"{bucket}/run/audio")
    assert (outcome(got), got.id, got.audio) == ("kept", SHA256, f"audio/{SHA256[:2]}/{SHA256}.mp3")
    with fsspec.open(f"{bucket}/run/{got.audio}", "rb") as file:
        assert file.read() == SONG
    assert crawl(*items, audio_dir=f"{bucket}/run/audio") == [got]
    assert outcome(crawl(item(f"{bucket}/in/gone.mp3", "file"), audio_dir=f"{bucket}/run/audio")[0]) == "crawl.not_found"


def test_denied_contents(site: Website, crawl: Run, audio: Path) -> None:
    site.routes["/a.mp3"] = typed(SONG, "audio/mpeg")
    assert outcome(crawl(item(f"{site.url}/a.mp3"), deny=(f"sha256:{SHA256}",))[0]) == "crawl.denied"
    assert not list(audio.rglob("*.mp3"))
    assert outcome(crawl(item(f"{site.url}/a.mp3"))[0]) == "kept"
    assert (
        outcome(crawl(item(f"{site.url}/a.mp3"), deny=(f"sha256:{SHA256}",))[0]) == "crawl.denied"
    )  # also what is here already


def test_the_licence_of_the_file_itself_is_the_last_word_but_one(site: Website, crawl: Run) -> None:
    link = '<https://creativecommons.org/licenses/by/4.0/>; rel="license"'
    site.routes["/a.mp3"] = typed(SONG, "audio/mpeg", Link=link)
    (got,) = crawl(item(f"{site.url}/a.mp3"))
    assert (got.licence.name, got.licence.source) == ("cc-by-4.0", "media")
    (stated,) = crawl(item(f"{site.url}/a.mp3", licence=Licence("proprietary", "config: x", "config")))
    assert stated.licence.name == "proprietary"


class ClosedGate:
    """Picklable, and shut."""

    def exchange(self, message: GateMessage) -> GateReply:
        return GateReply(tuple(Refused("crawl.blocked", "shut") for _ in message.asks))

    def report(
        self, host: str, status: int, *, retry_after: float | None = None, bot_page: str | None = None
    ) -> Refused | None:
        raise AssertionError("nothing was asked")

    def recall(self, origin: str, name: str) -> str | None:
        return None

    def remember(self, origin: str, name: str, value: str, seconds: float) -> None: ...


def test_it_travels_to_a_worker_and_asks_the_gate_there(site: Website, make_config: MakeConfig, audio: Path) -> None:
    crawl = Crawl(make_config(), str(audio), ClosedGate())
    crawl(UnitInput("u", items=(item(f"{site.url}/a.mp3"),)))  # connections, if any, are open now
    blob = pickle.dumps(crawl)
    assert len(blob) < 5000
    (got,) = pickle.loads(blob)(UnitInput("u", items=(item(f"{site.url}/a.mp3"),)))
    assert outcome(got) == "crawl.blocked"
    assert site.log == []  # without the gate's word there is no fetch


@pytest.mark.parametrize(
    "changes", [{"obey_robots": False}, {"obey_opt_outs": False}, {"contact": ""}, {"requests_per_second": 0}, {"huh": 1}]
)
def test_what_cannot_be_switched_off(make_config: MakeConfig, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_config(**changes)


@pytest.mark.parametrize(
    ("head", "suffix"),
    [
        (b"RIFF\x00\x00\x00\x00WAVE", ".wav"),
        (b"\x00\x00\x00\x20ftypM4A ", ".mp4"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", ".webm"),
        (b"\x1a\x45\xdf\xa3\xa3B\x86\x81\x01B\x82\x88matroska", ".mkv"),
        (b"\xff\xf1\x50\x80", ".aac"),
        (b"\xff\xf3\x44\xc4", ".mp3"),
        (b"", ".bin"),
        (b"\xff", ".bin"),
    ],
)
def test_suffixes_come_from_the_content(head: bytes, suffix: str) -> None:
    assert suffix_of(head) == suffix
