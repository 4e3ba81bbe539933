"""What workers say of themselves while they are inside a unit."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event

import pytest

from voxmill.operators.contract.meter import METER
from voxmill.pipeline.execution import activity
from voxmill.pipeline.execution.activity import Reporter, activities, folder_of, watched


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(activity, "EVERY_S", 0.02)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def wait_for(folder: Path, seconds: float) -> activity.Activity:
    for _ in range(500):
        if (found := activities(folder)) and found[0].seconds >= seconds:
            return found[0]
        time.sleep(0.02)
    raise AssertionError("the worker said nothing")


def test_what_is_decoded_is_seen_while_it_is_decoded() -> None:
    with watched("s1") as folder:
        reporter = Reporter("s1")
        with reporter.doing("segment", 60.0):
            METER.samples += 16000 * 12
            assert str(wait_for(folder, 12.0)).startswith("segment: at 12 of 60 s of audio")
        assert activities(folder) == []
        with reporter.doing("transcribe:x", loading=True):
            assert wait_for(folder, 0.0).loading
    assert not folder.exists()


def test_a_note_that_is_being_written_does_not_outlive_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, tell = Event(), Reporter._tell

    def slowly(reporter: Reporter, stage: str) -> None:
        begun.set()
        time.sleep(0.1)
        tell(reporter, stage)

    monkeypatch.setattr(Reporter, "_tell", slowly)
    with watched("s3") as folder:
        with Reporter("s3").doing("segment", 60.0):
            assert begun.wait(10.0)
        assert activities(folder) == []
        time.sleep(0.2)
        assert activities(folder) == []


def test_nobody_looks_and_nothing_is_written() -> None:
    with Reporter("s2").doing("segment", 60.0), Reporter("").doing("segment"):
        time.sleep(0.1)
    assert not folder_of("s2").exists()
