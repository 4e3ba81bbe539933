"""FunASR's own code on tiny local models: loading, batching, time stamps, tags; their text is noise."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny_funasr
from speech.waves import RATE
from voxmill.operators.contract.adapters import Audio, AudioClip, Span, Transcriber
from voxmill.operators.transcribe.funasr import SHORTEST, batches
from voxmill.operators.transcribe.paraformer import Paraformer, ParaformerConfig
from voxmill.operators.transcribe.sensevoice import SenseVoice, SenseVoiceConfig


@given(st.lists(st.integers(0, 10 * RATE), max_size=30), st.integers(1, 60 * RATE))
def test_batches_hold_every_audible_clip_once_within_the_limit(lengths: list[int], limit: int) -> None:
    found = list(batches(lengths, limit))
    assert sorted(row for rows in found for row in rows) == [i for i, length in enumerate(lengths) if length >= SHORTEST]
    assert all(len(rows) == 1 or max(lengths[row] for row in rows) * len(rows) <= limit for rows in found)


KINDS = ("paraformer", "seaco", "sensevoice")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Transcriber]:
    home = tmp_path_factory.mktemp("tiny")
    paraformers = {
        name: Paraformer(ParaformerConfig(model=str(tiny_funasr.write_paraformer(home / name, seaco=name == "seaco"))))
        for name in KINDS[:2]
    }
    return {
        **paraformers,
        "sensevoice": SenseVoice(SenseVoiceConfig(model=str(tiny_funasr.write_sensevoice(home / "sensevoice")))),
    }


@pytest.fixture
def odd(reading: AudioClip) -> AudioClip:
    """Spans from nothing to 20 s, not in order of length."""
    edges = ((16000, 96000), (96000, 96010), (96010, 96810), (100000, 420000), (420000, 440000))
    return AudioClip(reading.audio, tuple(Span(*edge) for edge in edges))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_one_result_per_span_in_order_with_times_inside_it(
    engines: dict[str, Transcriber], kind: str, odd: AudioClip, hiss: Audio
) -> None:
    clips = [odd, AudioClip(hiss, (Span(0, 100),)), AudioClip(hiss, ()), AudioClip(hiss, (Span(0, len(hiss)),))]
    found = engines[kind].transcribe(clips)
    assert [len(transcripts) for transcripts in found] == [5, 1, 0, 1]
    assert [found[0][1].text, found[1][0].text] == ["", ""]
    lengths = [len(t.text) for t in found[0]]
    assert lengths[3] == max(lengths) > lengths[0] > lengths[4] > 0  # a longer span, a longer text: the order is kept
    for clip, transcripts in zip(clips, found, strict=True):
        for span, transcript in zip(clip.spans, transcripts, strict=True):
            assert transcript.words is not None
            assert all(span.start <= w.start <= w.end <= span.end for w in transcript.words)
            assert (transcript.confidence is None) == (transcript.text == "")
            assert transcript.confidence is None or 0 < transcript.confidence <= 1
    assert engines[kind].transcribe(clips) == found


@pytest.mark.slow
def test_sensevoice_says_its_tags_and_they_stay_out_of_the_text(engines: dict[str, Transcriber], odd: AudioClip) -> None:
    for transcript in engines["sensevoice"].transcribe([odd])[0]:
        assert "<|" not in transcript.text
        assert transcript.language in {"zh", None}
        assert (transcript.language is None) == (transcript.language_confidence is None)
    assert engines["sensevoice"].transcribe([odd])[0][0].language == "zh"


@pytest.mark.slow
def test_a_model_file_that_is_a_program_is_not_run(tmp_path: Path) -> None:
    import torch

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "owned"),)

    folder = tiny_funasr.write_paraformer(tmp_path / "evil")
    torch.save({"state_dict": Payload()}, folder / "model.pt")
    with pytest.raises(Exception, match=r"(?i)weights.only"):
        Paraformer(ParaformerConfig(model=str(folder)))
    assert not (tmp_path / "owned").exists()


@pytest.mark.slow
def test_writing_a_tiny_model_twice_gives_the_same_one(tmp_path: Path, hiss: Audio) -> None:
    clip = AudioClip(np.concatenate([hiss, hiss]), (Span(0, 2 * len(hiss)),))
    a, b = (SenseVoice(SenseVoiceConfig(model=str(tiny_funasr.write_sensevoice(tmp_path / name)))) for name in "ab")
    assert a.transcribe([clip]) == b.transcribe([clip])
