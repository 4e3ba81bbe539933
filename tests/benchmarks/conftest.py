"""A tiny student, and spans to teach it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import tiny_pretrained
from benchmarks.experiments import frames, whisper_start
from benchmarks.experiments.spans import Span
from benchmarks.made_spans import made


@pytest.fixture
def pool(tmp_path: Path) -> list[Span]:
    """Twelve spans of three speakers."""
    return made(tmp_path, 12, 3)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A tiny Whisper in the place of the real one, a cache of its own, and one core: the process of the tests may have a Ray, and must not fork."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    folder = tiny_pretrained.write("whisper", tmp_path / "whisper")
    monkeypatch.setenv("VOXMILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(whisper_start, "resolve", lambda _: folder)
    monkeypatch.setitem(whisper_start.EXPERTS, "width", 16)
    monkeypatch.setitem(whisper_start.EXPERTS, "schedule", {"experts": [3, 6], "top_k": [3], "width": [16]})
    monkeypatch.setattr(frames, "identity", lambda _: "tiny")
    monkeypatch.setattr(frames, "MARGIN", 10)
    for cached in (frames.home, frames.ears):
        cached.cache_clear()
    yield
    for cached in (frames.home, frames.ears):
        cached.cache_clear()
