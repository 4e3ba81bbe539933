"""What is wrong in a corpus is an outcome of its own, with its place and a reason; everything else is still read."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from voxmill.manifests.records import Item
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.crawl.corpora.corpus_folder import LONGEST_LINE
from voxmill.operators.crawl.crawl import Crawl
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig
from voxmill.operators.crawl.listing.lister import Lister
from voxmill.operators.crawl.policy.local_gate import LocalGate

Listed = Callable[..., list[Item]]


@pytest.fixture
def listed(tmp_path: Path) -> Listed:
    def run(**fields: object) -> list[Item]:
        config = CrawlConfig()
        source = SourceConfig(name="corpus", path=str(tmp_path), **fields)  # type: ignore[arg-type]
        return Lister(config, LocalGate(config))(source)

    return run


def good(items: list[Item]) -> list[str]:
    """Keys of the utterances that can be used."""
    return [str(span.key) for item in items if item.rejection is None for span in item.given or ()]


def bad(items: list[Item]) -> list[tuple[str, str]]:
    return [(item.rejection.reason, item.rejection.detail) for item in items if item.rejection]


def test_no_command_of_a_kaldi_folder_is_run(tmp_path: Path, listed: Listed) -> None:
    ran = tmp_path / "ran"
    lines = [f"a touch {ran} |", f"b | touch {ran}", "c feats.ark:123", f"d {tmp_path}/d.wav", f"d {tmp_path}/d2.wav", "e"]
    (tmp_path / "wav.scp").write_text("\n".join(lines) + "\n")
    (tmp_path / "text").write_text("d it is said\nd it is said twice\nf nobody recorded this\n")
    items = listed()
    assert not ran.exists()
    assert good(items) == ["d"]
    found = bad(items)
    assert [reason for reason, _ in found].count("list.command") == 2
    begin = "wav.scp, line 1: recording a is a command (touch /"  # a long place is cut short
    assert any(reason == "list.command" and detail.startswith(begin) for reason, detail in found)
    assert [reason for reason, _ in found].count("list.duplicate") == 2
    assert any("Kaldi archive" in detail for _, detail in found)
    assert any("utterance f: it has a transcript" in detail for _, detail in found)


def test_segments_that_say_nothing_and_recordings_that_are_not_there(tmp_path: Path, listed: Listed) -> None:
    (tmp_path / "wav.scp").write_text("r one.wav\n")
    (tmp_path / "segments").write_text("u1 r 0 1.5\nu2 r 1.5\nu3 r 3 2\nu4 q 0 1\nu5 r 2 -1\nu6 r nan 4\n")
    (tmp_path / "text").write_bytes(b"u1 fine\nu5 \xff\xfe\n")
    items = listed()
    (item,) = [one for one in items if one.rejection is None]
    assert [(span.key, span.start, span.num_samples, span.text) for span in item.given or ()] == [
        ("u1", 0, 24_000, "fine"),
        ("u5", 32_000, None, None),
    ]
    assert sorted(detail.partition(":")[0] for _, detail in bad(items)) == [
        "segments, line 2", "segments, line 3", "segments, line 6", "text, line 2", "utterance u4",
    ]  # fmt: skip


def test_lines_of_a_nemo_manifest(tmp_path: Path, listed: Listed) -> None:
    fine = {"audio_filepath": "a.wav", "duration": 2.0, "text": "fine"}
    rows = [
        json.dumps(fine).encode(),
        b"{not json",
        b"[1, 2]",
        b'{"audio_filepath": "b.wav", "duration": "long"}',
        b'{"text": "no audio"}',
        b'{"audio_filepath": "c.wav", "duration": -1}',
        b'{"audio_filepath": "d.wav", "duration": NaN}',
        b'{"audio_filepath": "\xff.wav"}',
        b'{"audio_filepath": "' + b"x" * (LONGEST_LINE + 5) + b'"}',
        b"",
        json.dumps(fine | {"offset": 2.0, "text": "also fine"}).encode(),
        json.dumps(fine | {"audio_filepath": "memory://x::file:///etc/passwd"}).encode(),
        json.dumps(fine | {"offset": 4.0, "_skipme": True}).encode(),
    ]
    (tmp_path / "manifest.json").write_bytes(b"\n".join(rows) + b"\n")
    items = listed(kind="nemo")
    (item,) = [one for one in items if one.rejection is None]
    assert [(span.start, span.text) for span in item.given or ()] == [(0, "fine"), (32_000, "also fine")]
    found = bad(items)
    assert len(found) == len(rows) - 3
    assert {reason for reason, _ in found} == {"list.bad_entry"}
    assert any("a line of 1048" in detail for _, detail in found)
    assert all(len(detail) <= 500 for _, detail in found)


def test_a_tar_that_lies(tmp_path: Path, listed: Listed) -> None:
    """A path that leads out, a link, two files of one name, text that is no UTF-8, no audio, and an end that is missing."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:

        def put(name: str, blob: bytes = b"RIFF", **kind: object) -> None:
            info = tarfile.TarInfo(name)
            info.size = len(blob) if not kind else 0
            for key, value in kind.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(blob))

        put("one.wav")
        put("one.txt", b"the first")
        put("../../etc/cron.d/evil.wav")
        put("/absolute.wav")
        put("link.wav", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        put("two.wav")
        put("two.wav")
        put("two.json", b'{"text": "the second", "speaker": 7}')
        put("three.txt", b"no audio at all")
        put("four.wav")
        put("four.txt", b"\xff\xfe")
        put("five.wav", bytes(2000))
        put("five.txt", b"cut off")
    cut = whole.getvalue()
    (tmp_path / "x.tar").write_bytes(cut[: cut.index(b"five.txt") + 300])
    items = listed(kind="webdataset")
    assert good(items) == ["one", "two", "four", "five"]
    texts = {str(span.key): (span.text, span.speaker) for item in items for span in item.given or ()}
    assert texts == {"one": ("the first", None), "two": ("the second", "7"), "four": (None, None), "five": (None, None)}
    reasons = [reason for reason, _ in bad(items)]
    assert (reasons.count("list.bad_entry"), reasons.count("list.truncated")) == (6, 1)
    assert not list(tmp_path.rglob("evil*"))


def test_a_member_is_its_bytes_and_nothing_else(tmp_path: Path, listed: Listed) -> None:
    with tarfile.open(tmp_path / "audio_0.tar", "w") as tar:
        for name in ("a.wav", "b.wav"):
            info = tarfile.TarInfo(name)
            info.size = 1000
            tar.addfile(info, io.BytesIO(name[:1].encode() * 1000))
    rows = [{"audio_filepath": name, "duration": 1.0, "text": name} for name in ("b-sub1.wav", "a.wav", "c.wav")]
    (tmp_path / "manifest_0.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = listed()
    assert [detail for _, detail in bad(items)] == ["manifest_0.json, line 3: no member c.wav in audio_0.tar"]
    named = Lister(CrawlConfig(), LocalGate(CrawlConfig()))(
        SourceConfig(name="one file", path=str(tmp_path / "manifest_0.json"), kind="nemo")
    )
    assert [item.provenance.url for item in named[1:]] == [item.provenance.url for item in items[1:]]
    crawl = Crawl(CrawlConfig(), str(tmp_path / "run" / "audio"), LocalGate(CrawlConfig()))
    fetched = [row for row in crawl(UnitInput("u", items=tuple(items))) if row.rejection is None]
    stored = {str((row.given or ())[0].text): (tmp_path / "run" / str(row.audio)).read_bytes() for row in fetched}
    assert stored == {"b-sub1.wav": b"b" * 1000, "a.wav": b"a" * 1000}


def test_cuts_of_other_kinds_and_their_commands(tmp_path: Path, listed: Listed) -> None:
    ran = tmp_path / "ran"

    def cut(ident: str, **source: object) -> dict[str, object]:
        said = [{"id": f"{ident}-1", "recording_id": "r", "start": -0.5, "duration": 9.0, "channel": 0, "text": "words"}]
        return {
            "id": ident, "start": 1.0, "duration": 2.0, "channel": 0, "type": "MonoCut", "supervisions": said,
            "recording": {"id": "r", "sources": [source], "sampling_rate": 16000, "num_samples": 1, "duration": 1},
        }  # fmt: skip

    rows = [
        cut("fine", type="file", channels=[0], source="a.wav"),
        cut("evil", type="command", channels=[0], source=f"touch {ran}"),
        cut("inside", type="memory", channels=[0], source="UklGRg=="),
        {"id": "mixed", "type": "MixedCut", "tracks": []},
    ]
    with gzip.open(tmp_path / "cuts.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    items = listed()
    assert not ran.exists()
    (item,) = [one for one in items if one.rejection is None]
    assert [(span.start, span.num_samples) for span in item.given or ()] == [
        (16_000, 32_000)
    ]  # a supervision ends with its cut
    assert [reason for reason, _ in bad(items)] == ["list.command", "list.bad_entry", "list.bad_entry"]


def test_clips_of_common_voice_stay_in_their_folder(tmp_path: Path, listed: Listed) -> None:
    (tmp_path / "clips").mkdir()
    lines = [
        "client_id\tpath\tsentence",
        'a\tone.mp3\tHe said: "yes',
        "a\t../../etc/passwd\tno",
        "a\ttwo.mp3",
        "b\tthree\tbare",
    ]
    (tmp_path / "validated.tsv").write_text("\n".join(lines) + "\n")
    items = listed()
    assert good(items) == ["one.mp3", "three"]
    assert [item.provenance.url.rsplit("/", 1)[-1] for item in items if item.rejection is None] == ["one.mp3", "three.mp3"]
    assert (items[0].given or ())[0].text == 'He said: "yes'
    assert [reason for reason, _ in bad(items)] == ["list.bad_entry"] * 2


def test_what_is_missing_or_twice_is_counted_and_costs_nothing_else(tmp_path: Path, listed: Listed) -> None:
    (tmp_path / "5-1.trans.txt").write_text("5-1-0001 here\n5-1-0002 not there\n5-1-0001 here again\n5-1-0003\n")
    (tmp_path / "5-1-0001.flac").write_bytes(b"fLaC")
    items = listed()
    assert [reason for reason, _ in bad(items)] == ["list.duplicate", "list.bad_entry"]
    crawl = Crawl(CrawlConfig(), str(tmp_path / "audio"), LocalGate(CrawlConfig()))
    fetched = crawl(UnitInput("u", items=tuple(items)))
    reasons = [row.rejection and row.rejection.reason for row in fetched]
    assert reasons == [None, "crawl.not_found", "list.duplicate", "list.bad_entry"]
    assert [span.text for span in fetched[0].given or ()] == ["here"]


def test_a_table_must_not_point_into_this_machine(tmp_path: Path, listed: Listed) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "beside.wav").write_bytes(b"RIFF")
    rows = [{"bytes": None, "path": path} for path in (str(tmp_path / "secret"), "../secret", "beside.wav")]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"audio": pa.array([*rows, None], kind), "text": ["a", "b", "c", "d"]})
    pq.write_table(table, tmp_path / "data" / "train.parquet")
    items = listed(kind="hf")
    crawl = Crawl(CrawlConfig(), str(tmp_path / "audio"), LocalGate(CrawlConfig()))
    fetched = crawl(UnitInput("u", items=tuple(items)))
    assert [row.rejection and row.rejection.reason for row in fetched] == [
        "crawl.unsupported",
        "crawl.unsupported",
        None,
        "crawl.unsupported",
    ]
