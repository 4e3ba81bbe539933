"""The secrets of a run lie apart from what is handed on, and everything that needs them still finds them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from factory import item, provenance, recording
from rows import items_of, put
from stages import kind
from voxmill.manifests.ids import item_id
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Item
from voxmill.operators.contract.unit_input import Operator, UnitInput
from voxmill.operators.crawl.crawl import Crawl
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig
from voxmill.operators.crawl.policy.local_gate import LocalGate
from voxmill.pipeline.load_config import RECIPES, load_config
from voxmill.pipeline.stage import Resources, Stage
from voxmill.pipeline.state.config_secrets import apart, together
from voxmill.pipeline.state.listing import ITEMS, source_key
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.units import UnitConfig
from website import Website, redirect, typed

SECRET = "Sup3rS3cretValue99"


def _nothing() -> Operator:
    raise AssertionError("no worker runs here")


CRAWL = Stage("crawl", _nothing, kind("crawl"), ("items",), "v1", Resources())
DECODE = Stage("decode", _nothing, kind("decode"), ("crawl",), "v1", Resources())


def signed(name: str, host: str = "https://a.net", **changes: object) -> Item:
    url = f"{host}/{name}?n={name}&token={SECRET}"
    return item(name, id=item_id(url), provenance=provenance(url=url), **changes)


def source(name: str = "s") -> SourceConfig:
    return SourceConfig(name=name, url=f"https://a.net/feed?key={SECRET}")


def listed(run: Run, items: Sequence[Item]) -> list[Item]:
    run.listing.extend([source()], lambda _: items)
    return items_of(run.listing)


def holding(root: Path) -> set[str]:
    """Top folders and files with the secret in a file of theirs."""
    found = [p for p in root.rglob("*") if p.is_file() and (SECRET.encode() in p.read_bytes() or SECRET in p.name)]
    return {p.relative_to(root).parts[0] for p in found}


def test_a_listing_is_public_and_its_secrets_are_for_the_owner_only(tmp_path: Path) -> None:
    one = signed("x")
    (public,) = listed(Run(str(tmp_path)), [one])
    assert (public.id, public.provenance.url) == (one.id, "https://a.net/x?n=x")
    assert holding(tmp_path) == {"private"}
    for place in [tmp_path / "private", *(tmp_path / "private").rglob("*")]:
        assert place.stat().st_mode & 0o777 == (0o700 if place.is_dir() else 0o600)


def test_a_listing_without_secrets_has_no_private_folder(tmp_path: Path) -> None:
    listed(Run(str(tmp_path)), [item("x")])
    assert not (tmp_path / "private").exists()


def test_what_is_fetched_is_the_whole_address_and_what_is_written_is_not(tmp_path: Path) -> None:
    with Website() as site:
        site.routes |= {
            "/x": redirect(f"/y.mp3?X-Amz-Signature={SECRET}"),
            "/y.mp3": typed(b"ID3" + bytes(500), "audio/mpeg", Link=f"<{site.url}/l?sig={SECRET}>; rel=license"),
        }
        run = Run(str(tmp_path))
        (public,) = listed(run, [signed("x", site.url)])
        config = CrawlConfig(contact="tests@example.org", requests_per_second=1000, allow_private=("127.0.0.1",))
        (group,) = run.listing.groups(0)
        (got,) = Crawl(config, run.audio_dir, LocalGate(config), private=run.private)(UnitInput(group, items=(public,)))
        assert site.paths() == [f"/x?n=x&token={SECRET}", f"/y.mp3?X-Amz-Signature={SECRET}"]
    assert got.rejection is None
    assert (got.item_id, got.provenance.final_url) == (public.id, f"{site.url}/y.mp3")
    assert SECRET not in repr(got)
    assert holding(tmp_path) == {"private"}


def test_what_fails_says_so_without_the_secret_and_is_fetched_again_with_it(tmp_path: Path) -> None:
    run = Run(str(tmp_path))
    one, two = signed("x"), replace(signed("x"), id="1" * 64)
    two = replace(two, provenance=replace(two.provenance, url=f"https://a.net/x?n=x&token={SECRET}2"))
    listing, ledger = run.listing, run.ledger
    items = listed(run, [one, two])
    assert items[0].provenance.url == items[1].provenance.url  # they differ in their secret only
    (group,) = listing.groups(0)
    rows = [
        recording(
            "x", id=one.id, item_id=one.id, provenance=items[0].provenance, rejection=reject("crawl.network", f"{SECRET}")
        ),
        recording("y", item_id=two.id, provenance=items[1].provenance),
    ]
    put(run, CRAWL, group, rows)
    put(run, DECODE, group, rows[1:])
    listing.make_units(0, CRAWL, DECODE, UnitConfig())
    assert listing.retry(["crawl.network"], [], lambda _: []) == 1
    (again,) = listing.groups(1)
    (line,) = ledger.read(ITEMS, again)
    assert SECRET not in repr(line)
    (whole,) = run.private.whole(f"items/{again}", [line])
    assert whole.provenance.url == one.provenance.url


def test_a_config_is_public_in_run_json_and_whole_when_it_is_loaded(tmp_path: Path) -> None:
    run, one = Run(str(tmp_path)), source()
    state = {"buckets": 2, "config": {"sources": [one.model_dump(mode="json")], "n": 1, "hf_token": SECRET}}
    run.save(state)
    assert SECRET not in (tmp_path / "run.json").read_text()
    assert run.load()["config"] == json.loads(json.dumps(state["config"]))
    assert source_key(SourceConfig(**run.load()["config"]["sources"][0])) == source_key(one)
    edited = json.loads((tmp_path / "run.json").read_text())
    edited["config"]["sources"][0]["url"] = "https://b.net/feed"
    (tmp_path / "run.json").write_text(json.dumps(edited))
    assert run.load()["config"]["sources"][0]["url"] == "https://b.net/feed"  # what was edited stands
    (tmp_path / "private" / "config.json").unlink()
    assert SECRET not in json.dumps(run.load())  # handed on without its secrets, a run can still be read


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_a_recipe_has_no_secrets(name: str) -> None:
    config = load_config(name).model_dump(mode="json")
    assert apart(config) == (config, {})


def test_together_is_the_inverse_of_apart() -> None:
    value = {
        "a/b": [{"url": f"http://me:{SECRET}@a.net/"}, "x"],
        "0": f"http://a.net/?key={SECRET}",
        "deny": [f"http://{SECRET}@b/*"],
    }
    public, whole = apart(value)
    assert SECRET not in json.dumps(public)
    assert together(public, json.loads(json.dumps(whole))) == value


def test_a_umask_does_not_open_the_private_folder(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        listed(Run(str(tmp_path)), [signed("x")])
    finally:
        os.umask(before)
    assert {p.stat().st_mode & 0o077 for p in (tmp_path / "private").rglob("*")} == {0}


def test_a_token_in_a_path_is_not_in_what_allowed_the_fetch_either(tmp_path: Path) -> None:
    with Website({f"/token/{SECRET}aB3dE5fG7h/x.mp3": typed(b"ID3" + bytes(500), "audio/mpeg")}) as site:
        site.routes["/robots.txt"] = typed("User-agent: *\nAllow: /", "text/plain")
        run, url = Run(str(tmp_path)), f"{site.url}/token/{SECRET}aB3dE5fG7h/x.mp3"
        (public,) = listed(run, [item("x", id=item_id(url), provenance=provenance(url=url))])
        config = CrawlConfig(contact="tests@example.org", requests_per_second=1000, allow_private=("127.0.0.1",))
        (group,) = run.listing.groups(0)
        (got,) = Crawl(config, run.audio_dir, LocalGate(config), private=run.private)(UnitInput(group, items=(public,)))
    assert got.rejection is None
    assert "/token/~/x.mp3" in (got.provenance.permission or "")
    assert holding(tmp_path) == {"private"}
