"""whisperX's forced alignment with a tiny wav2vec2 of random weights: times are noise, how they come back is real."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from voxmill.operators.contract.adapters import Audio, Span, TimedWord, Transcript
from voxmill.operators.transcribe.alignment import Aligner
from voxmill.operators.weights.registry import WeightsMissing

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC, Wav2Vec2Processor

    folder = tmp_path_factory.mktemp("aligner")
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]
    (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(letters)}))
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))).save_pretrained(folder)
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=len(letters),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    return folder


@pytest.fixture
def sentence_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NLTK's `punkt_tab`, with nothing in it: every text is one sentence."""
    nltk = pytest.importorskip("nltk")
    english = tmp_path / "tokenizers/punkt_tab/english"
    english.mkdir(parents=True)
    for table in ("collocations.tab", "sent_starters.txt", "abbrev_types.txt", "ortho_context.tab"):
        (english / table).write_text("")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])


WORDS = ("hello", "there,", "it's", "42")
SPAN = Span(8000, 8000 + 32000)


@pytest.fixture
def transcript() -> Transcript:
    times = range(SPAN.start, SPAN.end, 8000)
    return Transcript(
        " ".join(WORDS), tuple(TimedWord(w, t, t + 8000, 0.5) for w, t in zip(WORDS, times, strict=True)), language="en"
    )


@pytest.fixture(scope="module")
def audio() -> Audio:
    return np.random.default_rng(0).normal(0, 0.1, 48000).astype(np.float32)


@pytest.mark.usefixtures("sentence_tables")
def test_words_keep_text_and_confidence_and_get_times_in_their_span(folder: Path, audio: Audio, transcript: Transcript) -> None:
    aligner = Aligner("en", str(folder), "cpu")
    aligned = aligner(audio, SPAN, transcript)
    assert aligned.words is not None
    assert tuple(w.text for w in aligned.words) == WORDS
    assert {w.confidence for w in aligned.words} == {0.5}
    assert aligned.words != transcript.words
    assert all(SPAN.start <= w.start <= w.end <= SPAN.end for w in aligned.words)
    assert list(aligned.words) == sorted(aligned.words, key=lambda w: w.start)
    assert aligner(audio, SPAN, transcript) == aligned
    assert aligner(audio, SPAN, replace(transcript, words=())).words == ()


def test_missing_sentence_tables_are_an_error_with_its_fix(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nltk = pytest.importorskip("nltk")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    with pytest.raises(WeightsMissing, match="punkt_tab") as caught:
        Aligner("en", str(folder), "cpu")
    assert "nltk.downloader" in caught.value.fix
