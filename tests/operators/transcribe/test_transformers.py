"""Recognisers of `transformers` and of Qwen's package by their own code: Whisper base on real speech, the others on tiny models."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import tiny_recognisers
from benchmarks.words import Edits, edits, english
from speech.waves import RATE
from voxmill.operators.contract.adapters import Audio, AudioClip, Span, Transcriber
from voxmill.operators.transcribe.qwen3_asr import Qwen3Asr, Qwen3AsrConfig
from voxmill.operators.transcribe.transformers import Transformers, TransformersConfig
from voxmill.operators.weights.kinds import WeightsMissing

pytestmark = pytest.mark.xdist_group("transformers")

TINY: dict[str, Callable[[Path], Path]] = {
    "whisper": tiny_recognisers.tiny_whisper,
    "moonshine": tiny_recognisers.tiny_moonshine,
    "wav2vec2": tiny_recognisers.tiny_wav2vec2,
    "qwen3-asr": tiny_recognisers.tiny_qwen3_asr,
}


def load(kind: str, folder: Path, batch_size: int = 1, languages: tuple[str, ...] = ()) -> Transcriber:
    if kind == "qwen3-asr":
        return Qwen3Asr(Qwen3AsrConfig(model=str(folder), batch_size=batch_size, languages=languages))
    return Transformers(TransformersConfig(model=str(folder), batch_size=batch_size, languages=languages))


@pytest.fixture(scope="module")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TINY["whisper"](tmp_path_factory.mktemp("tiny") / "whisper")


@pytest.fixture(scope="module", params=list(TINY))
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_whisper: Path) -> tuple[str, Path]:
    if request.param == "whisper":
        return "whisper", tiny_whisper
    if request.param == "qwen3-asr" and find_spec("qwen_asr") is None:
        pytest.skip("pip install --no-deps qwen-asr")
    return request.param, TINY[request.param](tmp_path_factory.mktemp("tiny") / request.param)


@pytest.fixture
def odd(reading: AudioClip) -> AudioClip:
    """Spans from nothing to 9 s, not in order of length."""
    edges = ((16000, 80000), (96000, 96010), (96010, 96010), (100000, 244000), (420000, 440000))
    return AudioClip(reading.audio, tuple(Span(*edge) for edge in edges))


@pytest.mark.slow
def test_one_result_per_span_in_order_the_same_alone_and_again(tiny: tuple[str, Path], odd: AudioClip, hiss: Audio) -> None:
    kind, folder = tiny
    engine = load(kind, folder)
    clips = [odd, AudioClip(hiss, ()), AudioClip(hiss, (Span(0, len(hiss)),), "zh")]
    found = engine.transcribe(clips)
    assert [len(row) for row in found] == [5, 0, 1]
    assert (found[0][2].text, found[0][2].words) == ("", ())
    assert len({one.text for one in found[0] if one.text}) > 1
    alone = [engine.transcribe([AudioClip(odd.audio, (span,))])[0][0] for span in odd.spans]
    assert found[0] == alone
    assert engine.transcribe(clips) == found
    for clip, row in zip(clips, found, strict=True):
        for span, one in zip(clip.spans, row, strict=True):
            assert (one.confidence is None) == (one.text == "")
            assert one.confidence is None or 0 < one.confidence <= 1
            words = one.words or ()
            assert all(span.start <= word.start <= word.end <= span.end for word in words)
            assert [word.start for word in words] == sorted(word.start for word in words)
            if words:
                assert "".join(word.text for word in words) == "".join(one.text.split())
    assert engine.model.startswith(f"{kind}@")


@pytest.mark.slow
def test_whisper_is_told_the_stated_language_and_says_how_probable_it_is(tiny_whisper: Path, odd: AudioClip) -> None:
    free, told = load("whisper", tiny_whisper), load("whisper", tiny_whisper, languages=("zh", "en"))
    spans = odd.spans[:1]
    assert free.transcribe([AudioClip(odd.audio, spans, "haw")])[0][0].language == "haw"
    (one,) = told.transcribe([AudioClip(odd.audio, spans, "haw")])[0]
    assert one.language in ("zh", "en")
    assert one.language_confidence is not None
    assert one.no_speech is not None
    assert 0 <= one.language_confidence <= 1
    with pytest.raises(ValueError, match="does not know fr"):
        load("whisper", tiny_whisper, languages=("fr",))


@pytest.mark.slow
def test_batches_change_nothing_but_the_time(tiny_whisper: Path, odd: AudioClip) -> None:
    single, several = (load("whisper", tiny_whisper, batch_size=size).transcribe([odd])[0] for size in (1, 3))
    assert [(one.text, one.language) for one in single] == [(one.text, one.language) for one in several]
    for one, other in zip(single, several, strict=True):
        assert (one.confidence or 0.0) == pytest.approx(other.confidence or 0.0, rel=1e-3)


@pytest.mark.slow
def test_pickles_and_code_beside_weights_are_never_opened(tmp_path: Path, odd: AudioClip) -> None:
    import torch

    folder = tiny_recognisers.tiny_wav2vec2(tmp_path / "evil")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForCTC": "evil.Net"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\n", encoding="utf-8")
    load("wav2vec2", folder).transcribe([odd])
    assert not (tmp_path / "owned").exists()
    torch.save({}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsMissing, match="safetensors"):
        load("wav2vec2", folder)


@pytest.mark.slow
def test_qwens_package_is_not_loaded_as_a_whole(tmp_path: Path) -> None:
    if find_spec("qwen_asr") is None:
        pytest.skip("pip install --no-deps qwen-asr")
    tiny_recognisers.tiny_qwen3_asr(tmp_path / "qwen")
    assert not {"nagisa", "soynlp", "gradio", "flask"} & set(sys.modules)


@pytest.mark.slow
def test_whisper_base_hears_the_reading_with_times(tmp_path: Path, reading: AudioClip, spoken: tuple[str, ...]) -> None:
    engine = Transformers(TransformersConfig(model=str(tiny_recognisers.whisper_base(tmp_path / "base")), languages=("en",)))
    spans = (reading.spans[0], reading.spans[9])
    (found,) = engine.transcribe([AudioClip(reading.audio, spans)])
    pairs = zip((spoken[0], spoken[9]), (one.text for one in found), strict=True)
    assert sum((edits(english(a), english(b)) for a, b in pairs), Edits()).rate <= 0.1
    for span, one in zip(spans, found, strict=True):
        assert one.confidence is not None
        assert one.confidence > 0.6
        assert one.language == "en"
        assert one.language_confidence is not None
        assert one.language_confidence > 0.4  # of a hundred languages; short spans leave doubt
        assert one.words is not None
        assert [word.text for word in one.words] == one.text.split()
        heard = [(word.start + word.end) / 2 for word in one.words]
        assert heard == sorted(heard)
        assert heard[0] < span.start + RATE
        assert heard[-1] > span.end - RATE
        loud = np.array(
            [np.abs(reading.audio[word.start : word.end]).mean() for word in one.words if word.end - word.start > 800]
        )
        assert np.median(loud) > 0.5 * np.abs(reading.audio[span.start : span.end]).mean()
