"""`--set`: which key is meant, what its value is, and what is said of mistakes."""

from __future__ import annotations

from typing import Any

import pytest

from voxmill.manifests.errors import UserError
from voxmill.manifests.overrides import override
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.load_config import parse_config

DATA: dict[str, Any] = {
    "sources": [{"name": "a", "path": "a.wav"}, {"name": "my.feed", "url": "https://example.org/feed.xml"}],
    "crawl": {"contact": "tests@example.org"},
    "transcribe": [{"kind": "whisperx"}, {"kind": "moonshine", "name": "second"}],
    "frames": None,
}


def changed(*changes: str) -> RunConfig:
    return parse_config(override(DATA, changes, RunConfig))


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        ("select.high=0.9", "select.high", 0.9),
        ("select.languages=en", "select.languages", ("en",)),
        ("select.languages=en,zh", "select.languages", ("en", "zh")),
        ("select.languages=[no, zh]", "select.languages", ("no", "zh")),
        ("sources.0.language=no", "sources.0.language", "no"),
        ("sources.0.language=null", "sources.0.language", None),
        ("sources.a.domain=1", "sources.0.domain", "1"),
        ("sources.my.feed.limit=3", "sources.1.limit", 3),
        ("transcribe.whisperx.beam_size=1", "transcribe.0.beam_size", 1),
        ("transcribe.second.languages=en", "transcribe.1.languages", ("en",)),
        ("frames.size=64", "frames.size", 64),
        ("frames={}", "frames.size", 224),
        ("select.rate_fence=null", "select.rate_fence", None),
        ("crawl.allow_private=10.0.0.0/8", "crawl.allow_private", ("10.0.0.0/8",)),
        ("executor.resources.transcribe:whisperx.workers=2", "executor.resources.transcribe:whisperx.workers", 2),
        ("reconcile.prefer.de=second", "reconcile.prefer.de", ("second",)),
        ("transcribe=[{kind: pocketsphinx}]", "transcribe.0.kind", "pocketsphinx"),
        ("pack.shard_mb = 64", "pack.shard_mb", 64.0),
    ],
)
def test_a_key_is_set(change: str, path: str, value: object) -> None:
    found: Any = changed(change)
    for key in path.split("."):
        found = found[int(key)] if isinstance(found, tuple) else found[key] if isinstance(found, dict) else getattr(found, key)
    assert found == value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("select.hihg=0.9", r"no key `hihg`; did you mean `high`\?"),
        ("selekt.high=0.9", r"no key `selekt`; did you mean `select`\?"),
        ("transcribe.whisperx.beam=1", r"no key `beam`; did you mean `beam_size`\?"),
        ("transcribe.second.beam_size=1", r"no key `beam_size`"),
        ("transcribe.wisperx.beam_size=1", r"no entry `wisperx`; did you mean `whisperx`\?"),
        ("sources.2.language=en", r"no entry `2`.*0 to 1"),
        ("label.tagger.task=age", r"no entry `tagger`; the list is empty"),
        ("select.high=high", r"select\.high cannot be `high`"),
        ("select.high=2", r"select\.high cannot be `2`: .*less than or equal to 1"),
        ("executor.kind=spark", r"executor\.kind cannot be `spark`: .*'local' or 'ray'"),
        ("select.high.much=1", r"`high` holds a value, not keys"),
        ("select.high", r"write KEY=VALUE"),
        ("=1", r"write KEY=VALUE"),
        ("select..high=1", r"write KEY=VALUE"),
        ("frames.size=[", r"frames\.size cannot be"),
    ],
)
def test_a_mistake_names_the_key_and_the_nearest_one(change: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        changed(change)
    assert change in str(error.value)


def test_what_was_given_stays_as_it_was_and_the_last_change_holds() -> None:
    before = repr(DATA)
    assert changed("select.high=0.9", "select.high=0.91").select.high == 0.91
    assert repr(DATA) == before


def test_parts_that_may_not_change_are_refused() -> None:
    with pytest.raises(UserError, match="under reconcile or select"):
        override(DATA, ["crawl.contact=a@b.org"], RunConfig, ("reconcile", "select"))
