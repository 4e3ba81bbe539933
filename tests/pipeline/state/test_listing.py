"""The listing: what it holds after kills between its commits, after a changed config, and when items are fetched again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from factory import item, recording
from rows import items_of
from stages import kind
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Item, Recording
from voxmill.operators.contract.unit_input import Operator
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.pipeline.stage import Resources, Stage
from voxmill.pipeline.state import metadata_overrides as amend
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.listing import ITEMS, LARGE_GROUP, SMALL_GROUP, Listing
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.units import UnitConfig


def _nothing() -> Operator:
    raise AssertionError("no worker runs here")


CRAWL = Stage("crawl", _nothing, kind("crawl"), ("items",), "v1", Resources())
DECODE = Stage("decode", _nothing, kind("decode"), ("crawl",), "v1", Resources())


def source(name: str, limit: int | None = None, licence: str | None = None) -> SourceConfig:
    return SourceConfig(name=name, url=f"https://example.org/{name}", limit=limit, licence=licence)


def expand(listed: Mapping[str, Sequence[Item]]) -> Callable[[SourceConfig], list[Item]]:
    """Every source by name; its items say that they are of it."""
    return lambda s: [replace(i, provenance=replace(i.provenance, source=s.name)) for i in listed[s.name]]


def fetch(listing: Listing, fail: Collection[str] = ()) -> None:
    """Everything that is listed and has no units gets them; items whose address ends in one of `fail` do not arrive."""
    ledger = listing.ledger
    for generation in range(listing.num_generations()):
        if listing.has_units(generation):
            continue
        for group in listing.groups(generation):
            rows = [_fetched(i, fail) for i in ledger.read(ITEMS, group)]
            decoded = [r for r in rows if r.rejection is None]
            ledger.write(CRAWL, [(group, rows)])
            ledger.write(DECODE, [(group, decoded)])
        listing.make_units(generation, CRAWL, DECODE, UnitConfig(seconds=30))


def _fetched(of: Item, fail: Collection[str]) -> Recording:
    name = of.provenance.url.rsplit("/", 1)[-1]
    rejection = of.rejection or (reject("crawl.network") if name in fail else None)
    return recording(name, item_id=of.id, provenance=of.provenance, licence=of.licence, domain=of.domain, rejection=rejection)


def retry(listing: Listing, reason: str = "crawl.network", listed: Mapping[str, Sequence[Item]] = {}) -> int:
    """With sources `listed` in the config, in the order of their names."""
    return listing.retry([reason], [source(name) for name in listed], expand(listed))


def outcomes(listing: Listing) -> list[str]:
    return [r.rejection.reason if r.rejection else "kept" for r in listing.each_recording()]


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    return Run(str(tmp_path)).listing


def test_a_retry_that_was_killed_is_continued_not_repeated(listing: Listing) -> None:
    listing.extend([source("a")], expand({"a": [item("x"), item("y")]}))
    fetch(listing, fail=["x"])
    assert retry(listing) == 1
    assert retry(listing) == 0  # killed before the fetch: the same command again
    assert listing.num_generations() == 2
    fetch(listing)
    assert outcomes(listing) == ["crawl.network", "kept", "kept"]
    assert retry(listing) == 0


def test_a_retry_finds_a_failed_item_whose_address_was_listed_again(listing: Listing) -> None:
    listed = expand({"a": [item("x")], "b": [item("x")]})
    listing.extend([source("a")], listed)
    fetch(listing, fail=["x"])
    listing.extend([source("a"), source("b")], listed)
    fetch(listing)
    assert outcomes(listing) == ["crawl.network", "list.duplicate"]
    assert retry(listing) == 1


def test_a_listing_that_was_killed_does_not_bind_the_next_config(listing: Listing) -> None:
    many, one = [item(f"x{i}") for i in range(20)], [item("y")]

    def killed(self: Ledger, entry: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            listing.extend([source("a")], expand({"a": many}))
    listing.extend([source("b")], expand({"b": one}))
    assert [i.id for i in items_of(listing)] == [one[0].id]


def test_a_source_that_stays_unreadable_is_two_lines_of_the_books(listing: Listing) -> None:
    unreadable = expand({"a": [item("x", rejection=reject("list.unreadable"))]})
    listing.extend([source("a")], unreadable)
    listing.extend([source("a", limit=3)], unreadable)
    assert len({i.id for i in items_of(listing)}) == 2
    assert [i.rejection and i.rejection.reason for i in items_of(listing)] == ["list.unreadable"] * 2


def test_a_licence_that_changes_with_the_source_holds_for_what_was_listed_before(listing: Listing) -> None:
    first, now = source("a", licence="cc0-1.0"), source("a", limit=5, licence="proprietary")
    listing.extend([first], expand({"a": [item("x")]}))
    listing.extend([now], expand({"a": [item("x"), item("y")]}))
    fetch(listing)
    assert amend.find(Run(listing.run.root), [first]) != {}
    amendments = amend.find(Run(listing.run.root), [now])
    assert {amend.amend(r, amendments).licence.name for r in listing.each_recording()} == {"proprietary"}


def test_a_changed_licence_leaves_the_domain_that_a_list_states(listing: Listing) -> None:
    listing.extend([source("a")], expand({"a": [item("x", domain="lecture")]}))
    fetch(listing)
    amendments = amend.find(Run(listing.run.root), [source("a", licence="proprietary")])
    assert [(r.domain, r.licence.name) for r in (amend.amend(r, amendments) for r in listing.each_recording())] == [
        ("lecture", "proprietary")
    ]


@pytest.mark.parametrize("remembered", [True, False], ids=["stated", "an older run.json"])
def test_a_source_taken_out_of_the_config_keeps_what_was_last_stated_of_it(listing: Listing, remembered: bool) -> None:
    run, amended = Run(listing.run.root), source("a", licence="proprietary")
    listing.extend([source("a", licence="cc0-1.0"), source("b")], expand({"a": [item("x")], "b": [item("y")]}))
    fetch(listing)
    state: dict[str, Any] = {"config": {"sources": [amended.model_dump(), source("b").model_dump()]}}
    run.save(state | ({"stated": amend.stated(run, [amended, source("b")])} if remembered else {}))
    with_it = amend.find(run, [amended, source("b")])
    without = amend.find(run, [source("b")])
    assert with_it == without == {"a": {"licence": "proprietary"}}
    run.save({"config": {"sources": [source("b").model_dump()]}, "stated": amend.stated(run, [source("b")])})
    assert amend.find(run, [source("b")]) == without
    assert amend.find(run, [source("a", licence="cc0-1.0")]) == {}


@pytest.mark.parametrize("reason", ["list.unreadable", "crawl.network"])
def test_a_feed_that_could_not_be_read_is_listed_again_not_fetched_as_audio(listing: Listing, reason: str) -> None:
    feed = item("feed", id="unread-feed", rejection=reject(reason))
    listing.extend([source("a"), source("b")], expand({"a": [feed, item("x")], "b": [item("y")]}))
    fetch(listing)
    assert retry(listing, reason, {"a": [feed, item("x")], "b": [item("z")]}) == 0  # it still cannot be read
    now = {"a": [item("x"), item("e1"), item("e2")], "b": [item("z")]}
    assert retry(listing, reason, now) == 2
    assert retry(listing, reason, now) == 0  # killed before the fetch: the same command again
    fetch(listing)
    assert outcomes(listing) == [reason, "kept", "kept", "kept", "kept"]
    assert {r.provenance.url for r in [*listing.each_recording()][3:]} == {"https://example.org/e1", "https://example.org/e2"}
    assert retry(listing, reason, now) == 0
    assert (
        amend.find(Run(listing.run.root), [source("a", licence="cc0-1.0")]) != {}
    )  # it was listed without a licence, both times


def test_units_and_their_recordings_become_visible_together(listing: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    listing.extend([source("a")], expand({"a": [item("x"), item("y")]}))
    entries = list[Mapping[str, Any]]()
    append = Ledger.append

    def noted(self: Ledger, entry: Mapping[str, Any]) -> None:
        entries.append(entry)
        append(self, entry)

    monkeypatch.setattr(Ledger, "append", noted)
    fetch(listing)
    (formed,) = (entry for entry in entries if "formed" in entry)
    assert {key.partition("/")[0] for key in formed["chunks"]} == {"recordings", "units"}
    assert not any("recordings" in str([*entry.get("chunks", {})]) for entry in entries if entry is not formed)


def test_groups_are_small_first_and_large_in_a_long_list(listing: Listing) -> None:
    listing.extend([source("a")], expand({"a": [item(f"x{n}") for n in range(2500)]}))
    sizes = [len(items) for _, items in listing.ledger.scan(ITEMS)]
    assert sizes[:5] == [SMALL_GROUP] * 4 + [SMALL_GROUP + 1]
    assert sizes[:-1] == sorted(sizes[:-1]), "a later group is never smaller"
    assert sizes[-3:-1] == [LARGE_GROUP] * 2
    assert sum(sizes) == 2500
