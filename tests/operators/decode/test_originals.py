"""A file that is used where it lies is heard only while it is the one that was fetched."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samples import recording
from speech.waves import write_wave
from voxmill.manifests.records import Recording
from voxmill.manifests.storage import file_sha256
from voxmill.operators.decode.audio import Playback
from voxmill.operators.decode.originals import OriginalChanged, check_original


@pytest.fixture
def fetched(tmp_path: Path) -> Recording:
    path = tmp_path / "talk.wav"
    write_wave(path, np.arange(16_000, dtype=np.int16))
    return replace(recording("talk", 1), id=file_sha256(path), audio=str(path), num_bytes=path.stat().st_size)


def test_the_file_that_was_fetched_is_heard(fetched: Recording) -> None:
    assert Playback.of(fetched).uri == fetched.audio
    os.utime(str(fetched.audio), (0, 0))  # copied, touched: the same bytes
    check_original(fetched)


@pytest.mark.parametrize("length", [16_000, 8_000])
def test_another_file_in_its_place_is_not(fetched: Recording, length: int) -> None:
    Playback.of(fetched)
    write_wave(Path(str(fetched.audio)), np.zeros(length, np.int16))
    with pytest.raises(OriginalChanged, match=r"talk.wav is not the file that was fetched"):
        Playback.of(fetched)


def test_one_that_is_gone_is_named(fetched: Recording) -> None:
    Path(str(fetched.audio)).unlink()
    with pytest.raises(FileNotFoundError, match=r"talk\.wav"):
        Playback.of(fetched)


def test_what_is_named_by_its_content_is_not_read(fetched: Recording, tmp_path: Path) -> None:
    check_original(replace(fetched, audio=str(tmp_path / "nowhere" / f"{fetched.id}.wav")))
    check_original(replace(fetched, audio="s3://bucket/talk.wav"))
    check_original(replace(fetched, audio=None))
