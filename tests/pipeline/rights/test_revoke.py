"""Revocation and duplicates on a run without sound: the ledger before and after, and what a later look finds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory import item, recording, segment
from rows import put, put_again, put_by_item
from voxmill.manifests.duplicate_records import Duplicate, Shingles
from voxmill.manifests.parquet import records_bytes
from voxmill.manifests.records import Consensus, Hypothesis, Item, Segment, Selection, Unit
from voxmill.manifests.storage import commit_bytes, exists
from voxmill.manifests.tombstones import Tombstones, is_scrubbed
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.dedup.fingerprint import DuplicatesConfig
from voxmill.operators.dedup.shingles import ShingleConfig, TakeShingles
from voxmill.operators.segment.segment import FindSpeech, SegmentConfig
from voxmill.pipeline.build import build
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.duplicates.find_duplicates import FindDuplicates
from voxmill.pipeline.execution.host_limit_server import no_gate
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.packing.plan import entries_of, plan
from voxmill.pipeline.reports.verify_units import check_parts
from voxmill.pipeline.rights.erasure_check import find_traces
from voxmill.pipeline.rights.request import Request, check_denied, make_tombstone
from voxmill.pipeline.rights.revoke import revoke, signed
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.fragment import FragmentWriter, fragment_uri
from voxmill.pipeline.state.member_marks import MemberMarks
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError
from voxmill.pipeline.state.tombstone_store import stones_of

WORDS = {name: " ".join(f"{name}{n}" for n in range(20)) for name in "abcd"}


def config(**changes: Any) -> RunConfig:
    settings: dict[str, Any] = {
        "sources": [{"name": "source", "path": "/nowhere/a.wav"}],
        "crawl": {"contact": "tests@example.org"},
        "transcribe": [{"kind": "moonshine", "name": "m", "model": "moonshine-tiny-en"}],
        "pack": {"buckets": 2},
        "duplicates": {"by": ["text"]},
    }
    return parse_config(settings | changes)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Run, dict[str, Stage]]:
    """Four recordings in two units, heard and selected; `copy` is `a` in another wrapping."""
    run, settings = Run(str(tmp_path / "run")), config()
    stages = build(settings, run, no_gate())
    run.save(
        {
            "buckets": 2,
            "config": settings.model_dump(mode="json"),
            "fingerprints": {n: s.fingerprint for n, s in stages.items()},
        }
    )
    listing = run.listing
    rows = [recording(name) for name in "abcd"]
    rows.append(recording("copy", pcm_sha256=rows[0].pcm_sha256))
    listing.extend(settings.sources, lambda source: [item(name) for name in (*"abcd", "copy")])
    for name in ("crawl", "decode"):
        put_by_item(run, stages[name], rows)
    for row in rows:
        commit_bytes(run.uri("audio", row.id[:2], f"{row.id}.wav"), row.id.encode())
        commit_bytes(run.uri("audio", "receipts", f"{row.item_id}.json"), json.dumps({"sha256": row.id}).encode())
    listing.make_units(0, stages["crawl"], stages["decode"], settings.units.model_copy(update={"seconds": 20}))
    by_id = {row.id: name for name, row in zip("abcd", rows, strict=False)}
    for unit in listing.each_unit():
        segments = [segment(recording(by_id[part.recording_id])) for part in unit.parts]
        said = {s.id: WORDS[by_id[s.recording_id]] for s in segments}
        fragments: dict[str, list[Any]] = {
            "segment": segments,
            "transcribe:m": [Hypothesis(key, "m", "m@1", text) for key, text in said.items()],
            "reconcile": [_agreed(key, text) for key, text in said.items()],
            "select": [Selection(key, "high", "train", 1.0) for key in said],
            "shingle": _shingles(unit, segments, [_agreed(key, text) for key, text in said.items()]),
        }
        for name, found in fragments.items():
            put(run, stages[name], unit.id, found)
            MemberMarks(run, stages[name], unit.id, "killed").begin(segments[0].id)
    return run, stages


def _agreed(key: str, text: str) -> Consensus:
    return Consensus(key, text, "only", "en", 1.0, None, None, "word", ("m",), (text,), "1", (), 0, 0.9, 15.0, 0.8, 1)


def _shingles(unit: Unit, segments: list[Segment], consensus: list[Consensus]) -> list[Shingles]:
    work = UnitInput(unit.id, parts=unit.parts, segments=tuple(segments), consensus=tuple(consensus))
    return TakeShingles(ShingleConfig())(work)


def everything(run: Run) -> dict[str, bytes]:
    files = [p for p in Path(run.root).rglob("*") if p.is_file()]
    return {str(p.relative_to(run.root)): p.read_bytes() for p in files}


def test_all_of_it_goes_and_nothing_else(made: tuple[Run, dict[str, Stage]]) -> None:
    run, stages = made
    before, gone, copy = everything(run), recording("a"), recording("copy")
    done = revoke(run, config(), stages, Request(urls=(gone.provenance.url,), reason="request 17"))
    assert done.problems == []
    assert [r.id for r in done.found.recordings] == [gone.id, copy.id]
    after = everything(run)
    for name, blob in after.items():
        for trace in (gone.id, gone.id[:24], copy.id, gone.item_id, str(gone.pcm_sha256)):
            assert trace not in name
            assert trace.encode() not in blob, name
    assert not [n for n in after if n.startswith(f"audio/{gone.id[:2]}/{gone.id}")]
    assert {n: b for n, b in after.items() if n.startswith("audio/")} == {n: before[n] for n in after if n.startswith("audio/")}
    assert f"audio/{recording('b').id[:2]}/{recording('b').id}.wav" in after


def test_its_length_stays_in_the_books(made: tuple[Run, dict[str, Stage]]) -> None:
    run, stages = made
    entries = list(entries_of(run, stages))
    revoke(run, config(), stages, Request(ids=(recording("b").id,)))
    listing, ledger = run.listing, run.ledger
    kept = {r.id: r for r in listing.each_recording() if r.rejection is None}
    assert list(check_parts([*listing.each_unit()], kept.values())) == []
    assert sum(is_scrubbed(r) for r in kept.values()) == 1
    rows = [s for unit in listing.each_unit() for s in ledger.read(stages["segment"], unit.id)]
    assert [s.rejection.reason for s in rows if s.rejection] == ["segment.revoked"]
    assert sum(s.num_samples for s in rows) == sum(unit.num_samples for unit in listing.each_unit())
    assert [e.key for e in entries_of(run, stages)] == [e.key for e in entries if e.recording_id != recording("b").id]
    whole = plan(run, stages, config().pack, 2, revoked_too=True)
    assert sum(len(p.entries) for p in whole) == len(entries)


def test_what_is_done_again_is_what_was_scrubbed(made: tuple[Run, dict[str, Stage]]) -> None:
    """A new threshold of VAD runs the stage again: it makes the tile that revoking left."""
    run, stages = made
    revoke(run, config(), stages, Request(ids=(recording("b").id,)))
    ledger = run.ledger
    for unit in run.listing.each_unit():
        recordings = {r.id: r for r in ledger.read(stages["recordings"], unit.id)}
        parts = tuple(p for p in unit.parts if is_scrubbed(recordings[p.recording_id]))
        work = UnitInput(unit.id, recordings=tuple(recordings.values()), parts=parts)
        scrubbed = [s for s in ledger.read(stages["segment"], unit.id) if s.rejection]
        assert FindSpeech(SegmentConfig(), detector=object())(work) == scrubbed  # type: ignore[arg-type] # nothing is detected


def test_what_outlived_a_revocation_is_in_no_table_of_the_next_one(made: tuple[Run, dict[str, Stage]]) -> None:
    """A worker that hears of nothing commits, after all is reported, what it had made of a recording that is revoked."""
    run, stages = made
    unit, stage = next(u.id for u in run.listing.each_unit()), stages["segment"]
    late, segments = FragmentWriter(run), run.ledger.read(stage, unit)
    late.add(stage, unit, segments)
    revoke(run, config(), stages, Request(ids=(segments[0].recording_id,)))
    (chunk,) = run.ledger.chunk_files(stage)
    run.ledger.forget({stage.key: [chunk]})  # as if nobody had done the unit
    (info,) = late.flush()
    revoke(run, config(), stages, Request(ids=(recording("d").id,)))
    assert unit not in run.ledger.done(stage)
    assert not exists(fragment_uri(run, info.name))


def test_twice_changes_nothing_and_a_copy_is_equal(made: tuple[Run, dict[str, Stage]]) -> None:
    run, stages = made
    request = Request(hosts=("example.org",), reason="all of it")
    revoke(run, config(), stages, request)
    before = everything(run)
    again = revoke(run, config(), stages, request)
    assert again.stone is None
    assert everything(run) == before
    assert len(stones_of(run)) == 1


def test_a_dry_run_changes_nothing(made: tuple[Run, dict[str, Stage]]) -> None:
    run, stages = made
    before = everything(run)
    done = revoke(run, config(), stages, Request(hashes=(f"sha256:{recording('c').id}",)), dry_run=True)
    assert [r.id for r in done.found.kept] == [recording("c").id]
    assert everything(run) == before


def test_the_report_is_signed_where_there_is_a_key(made: tuple[Run, dict[str, Stage]], monkeypatch: pytest.MonkeyPatch) -> None:
    run, stages = made
    monkeypatch.setenv("VOXMILL_SIGNING_KEY", "secret")
    blob = Path(revoke(run, config(), stages, Request(ids=(recording("a").id,))).report).read_bytes()
    assert json.loads(blob)["signature"]["algorithm"] == "hmac-sha256"
    assert signed(blob)
    assert not signed(blob.replace(b'"recordings": 2', b'"recordings": 3'))
    monkeypatch.setenv("VOXMILL_SIGNING_KEY", "another")
    assert not signed(blob)


def test_what_was_never_here_is_refused_as_well(made: tuple[Run, dict[str, Stage]]) -> None:
    run, stages = made
    stone, found = make_tombstone(run, stages, Request(urls=("https://elsewhere.net/x.mp3",)))
    assert (stone is not None, found.recordings) == (True, ())
    listed = item("x", provenance=replace(item("x").provenance, url="https://elsewhere.net/x.mp3"))
    assert "elsewhere" not in repr(Tombstones(stones_of(run)).refuse([listed]))


@pytest.mark.parametrize("wrong", [Request(), Request(ids=("nonsense",)), Request(hashes=("sha256:12",))])
def test_a_request_that_means_nothing_is_refused(made: tuple[Run, dict[str, Stage]], wrong: Request) -> None:
    run, stages = made
    with pytest.raises(RunError, match=r"revoke|no id"):
        revoke(run, config(), stages, wrong)


def test_a_trace_is_found_wherever_it_is(made: tuple[Run, dict[str, Stage]]) -> None:
    run, stages = made
    gone = recording("a")
    revoke(run, config(), stages, Request(ids=(gone.id,)))
    stones = Tombstones(stones_of(run))
    assert list(find_traces(run, stones)) == []
    commit_bytes(run.uri("note.json"), json.dumps({"see": gone.provenance.url, "key": gone.id[:24]}).encode())
    commit_bytes(run.uri("manifests", "x.parquet"), records_bytes([replace(item("z"), id=gone.item_id)], Item))
    assert sorted((t.file, t.what) for t in find_traces(run, stones)) == [
        ("manifests/x.parquet", "hash"), ("note.json", "address"), ("note.json", "hash")
    ]  # fmt: skip


def test_a_run_stops_at_what_its_deny_list_has_come_to_name(made: tuple[Run, dict[str, Stage]], tmp_path: Path) -> None:
    run, stages = made
    listed = tmp_path / "deny.txt"
    listed.write_text("# asked by mail\nexample.org\n")
    settings = config(crawl={"contact": "tests@example.org", "deny_files": [str(listed)]})
    with pytest.raises(RunError, match="--denied"):
        check_denied(run, settings.crawl)
    revoke(run, settings, stages, Request(hosts=("example.org",)))
    check_denied(run, settings.crawl)


def test_verdicts_on_copies_are_append_only(made: tuple[Run, dict[str, Stage]]) -> None:
    run, stages = made
    settings, ledger = DuplicatesConfig(by=("text",)), run.ledger
    for unit in run.listing.each_unit():  # d says what a says
        changed = [
            _agreed(c.segment_id, WORDS["a"] if c.text == WORDS["d"] else c.text)
            for c in ledger.read(stages["reconcile"], unit.id)
        ]
        put_again(run, stages["reconcile"], unit.id, changed)
        put_again(run, stages["shingle"], unit.id, _shingles(unit, ledger.read(stages["segment"], unit.id), changed))
    units = [*run.listing.each_unit()]
    put(run, stages["duplicates"], units[0].id, [])  # judged earlier, when there was nothing like it
    assert FindDuplicates(run, stages, settings)() == len(units) - 1
    assert FindDuplicates(run, stages, settings)() == 0
    assert ledger.read(stages["duplicates"], units[0].id) == []
    (row,) = [row for unit in units for row in ledger.read(stages["duplicates"], unit.id)]
    assert (row.recording_id, row.partner, row.by) == (recording("d").id, recording("a").id, "text")
    revoke(run, config(), stages, Request(ids=(recording("a").id,)))
    (left,) = [row for unit in units for row in ledger.read(stages["duplicates"], unit.id)]
    assert isinstance(left, Duplicate)
    assert left.partner not in (row.partner, "")


@pytest.mark.parametrize(
    "request_",
    [
        Request(urls=("https://example.org/tpyo",)),
        Request(hosts=("example.com",)),
        Request(ids=("0" * 24,)),
        Request(hashes=("0" * 64,)),
        Request(urls=("https://example.org/a", "https://example.org/tpyo")),
    ],
)
def test_what_the_run_does_not_know_is_not_called_revoked(made: tuple[Run, dict[str, Stage]], request_: Request) -> None:
    run, stages = made
    before = everything(run)
    for dry in (True, False):
        with pytest.raises(RunError, match=r"knows nothing of (url|host|hash) .*(tpyo|example\.com|000).*--ahead"):
            revoke(run, config(), stages, request_, dry_run=dry)
    assert everything(run) == before
    assert revoke(run, config(), stages, request_, ahead=True).stone is not None
    assert revoke(run, config(), stages, request_).stone is None  # it is known now: a tombstone refuses it
