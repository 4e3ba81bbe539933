from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

import pytest
from pydantic import BaseModel

from voxmill.manifests import reasons
from voxmill.manifests.reasons import REASONS, reject
from voxmill.pipeline.config import RunConfig

STAGES = {"list", "crawl", "decode", "frames", "segment", "transcribe", "reconcile", "label", "select", "pack"}


def test_every_line_of_the_table_is_one_reason() -> None:
    lines = reasons._TABLE.strip().splitlines()
    assert len(lines) == len(REASONS), "a name is there twice"
    for name, reason in REASONS.items():
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", name), name
        assert reason.stage in STAGES
        assert reason.meaning, name
        assert reason.advice, name


@pytest.mark.parametrize("stage", sorted(STAGES - {"list"}))
def test_every_stage_can_quarantine(stage: str) -> None:
    assert f"{stage}.failed" in REASONS


def test_thresholds_that_reasons_speak_of_exist() -> None:
    known = set(_keys(RunConfig, ""))
    spoken_of = {key for r in REASONS.values() for key in re.findall(r"`([a-z]+\.[a-z_]+)`", f"{r.meaning} {r.advice}")}
    assert spoken_of
    assert sorted(spoken_of - known) == []


def test_an_unknown_reason_is_a_bug_found_at_once() -> None:
    assert reject("segment.no_speech").detail == ""
    with pytest.raises(KeyError):
        reject("segment.no_sp33ch")


def test_details_are_cut() -> None:
    assert reject("crawl.failed", "x" * 10_000).detail == "x" * 500


def _keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _keys(kind, f"{prefix}{name}.")
