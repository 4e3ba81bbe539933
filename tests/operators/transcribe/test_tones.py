"""sherpa-onnx and onnx-asr by their own code, on graphs that hear three tones: words, times, probabilities, order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tone_models
from speech.waves import RATE
from voxmill.operators.contract.adapters import AudioClip, Span, Transcriber
from voxmill.operators.transcribe.onnx_asr import OnnxAsr, OnnxAsrConfig
from voxmill.operators.transcribe.sherpa_onnx import SherpaOnnx, SherpaOnnxConfig
from voxmill.operators.weights.kinds import WeightsMissing

pytest.importorskip("sherpa_onnx")
pytest.importorskip("onnx_asr")

SAID = (("one", 0.5, 0.8), ("three", 1.1, 1.35), ("two", 1.7, 1.9), ("one", 2.5, 2.9), ("two", 3.3, 3.6))
FIRST, SECOND = Span(int(0.2 * RATE), int(2.2 * RATE)), Span(int(2.3 * RATE), 4 * RATE)
NEAR = 0.09
"""How far a time may be off (s): four frames are one of the encoder's."""

MAKERS: dict[str, tuple[Callable[[Path], Path], Callable[[str], Transcriber]]] = {
    "zipformer transducer": (
        tone_models.sherpa_transducer, lambda folder: SherpaOnnx(SherpaOnnxConfig(model=folder, family="transducer")),
    ),
    "zipformer ctc": (tone_models.sherpa_ctc, lambda folder: SherpaOnnx(SherpaOnnxConfig(model=folder, family="zipformer_ctc"))),
    "nemo ctc by sherpa": (
        tone_models.sherpa_nemo_ctc, lambda folder: SherpaOnnx(SherpaOnnxConfig(model=folder, family="nemo_ctc")),
    ),
    "parakeet ctc": (tone_models.nemo_ctc, lambda folder: OnnxAsr(OnnxAsrConfig(model=folder))),
    "parakeet tdt": (tone_models.nemo_tdt, lambda folder: OnnxAsr(OnnxAsrConfig(model=folder, batch_size=2))),
}  # fmt: skip
PROBABLE = {"zipformer transducer": 0.5, "parakeet ctc": 0.0, "parakeet tdt": 0.5}
"""Those that say how sure they are; onnx-asr multiplies the probabilities of all frames of a CTC token."""


@pytest.fixture(scope="module", params=list(MAKERS))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Transcriber]:
    write, load = MAKERS[request.param]
    return request.param, load(str(write(tmp_path_factory.mktemp("tones") / "model")))


@pytest.fixture(scope="module")
def clip() -> AudioClip:
    return AudioClip(tone_models.tones(SAID, 4.0), (FIRST, SECOND))


def test_words_have_the_times_at_which_they_were_said(engine: tuple[str, Transcriber], clip: AudioClip) -> None:
    name, ear = engine
    ((first, second),) = ear.transcribe([clip])
    assert [first.text, second.text] == ["one three two", "one two"]
    for transcript, said in ((first, SAID[:3]), (second, SAID[3:])):
        assert transcript.words is not None
        assert [word.text for word in transcript.words] == [word for word, _, _ in said]
        for word, (_, start, end) in zip(transcript.words, said, strict=True):
            assert abs(word.start / RATE - start) < NEAR
            assert word.start < word.end <= (end + 0.35) * RATE
        chances = [transcript.confidence, *(word.confidence for word in transcript.words)]
        least = PROBABLE.get(name)
        assert all(chance is not None and least < chance <= 1 for chance in chances) if least is not None else not any(chances)


def test_the_order_of_spans_and_clips_is_kept_and_repeats(engine: tuple[str, Transcriber], clip: AudioClip) -> None:
    _, ear = engine
    silence = AudioClip(np.zeros(RATE, np.float32), (Span(0, RATE), Span(RATE, RATE)))
    clips = [clip, silence, AudioClip(clip.audio, ()), AudioClip(clip.audio, (SECOND,))]
    found = ear.transcribe(clips)
    assert [[one.text for one in row] for row in found] == [["one three two", "one two"], ["", ""], [], ["one two"]]
    assert {(one.words, one.confidence) for one in found[1]} == {((), None)}
    assert found[3][0] == found[0][1]
    assert ear.transcribe(clips) == found


def test_a_long_span_is_heard_to_its_end(tmp_path: Path, clip: AudioClip) -> None:
    folder = str(tone_models.sherpa_ctc(tmp_path / "ctc"))
    ear = SherpaOnnx(SherpaOnnxConfig(model=folder, family="zipformer_ctc", max_seconds=1.5))
    ((whole,),) = ear.transcribe([AudioClip(clip.audio, (Span(0, len(clip.audio)),))])
    assert whole.text == "one three two one two"
    assert [round(word.start / RATE, 1) for word in whole.words or ()] == pytest.approx(
        [start for _, start, _ in SAID], abs=0.11
    )


def test_canary_tells_the_language_that_it_is_told(tmp_path: Path) -> None:
    folder = str(tone_models.canary(tmp_path / "canary"))
    audio = tone_models.tones((("two", 0.2, 1.0), ("one", 1.2, 1.6)), 2.0)
    clips = [AudioClip(audio, (Span(0, len(audio)),), language) for language in ("en", "de-DE", None)]
    found = [one for (one,) in OnnxAsr(OnnxAsrConfig(model=folder)).transcribe(clips)]
    assert [(one.text, one.words, one.language) for one in found] == [("two one", None, code) for code in ("en", "de", None)]
    assert all(one.confidence and 0 < one.confidence <= 1 for one in found)
    with pytest.raises(KeyError, match="fr"):
        OnnxAsr(OnnxAsrConfig(model=folder, languages=("fr",))).transcribe(clips[:1])


def test_other_weights_are_another_opinion(tmp_path: Path) -> None:
    folder = tone_models.sherpa_ctc(tmp_path / "ctc")
    config = SherpaOnnxConfig(model=str(folder), family="zipformer_ctc")
    before = SherpaOnnx(config).model
    tone_models.sherpa_ctc(tmp_path / "other" / "ctc")
    (tmp_path / "other" / "ctc" / "tokens.txt").write_text("<blk> 0\n\u2581uno 1\n\u2581due 2\n\u2581tre 3\n", encoding="utf-8")
    other = SherpaOnnx(SherpaOnnxConfig(model=str(tmp_path / "other" / "ctc"), family="zipformer_ctc")).model
    assert before.partition("@")[0] == other.partition("@")[0] == "ctc"
    assert before != other


@pytest.mark.parametrize(
    ("remove", "says"),
    [("joiner-epoch-1.onnx", "no graph named `joiner`"), ("tokens.txt", "has no tokens.txt")],
)
def test_what_a_folder_lacks_is_named_before_the_vendors_code_runs(tmp_path: Path, remove: str, says: str) -> None:
    folder = tone_models.sherpa_transducer(tmp_path / "zipformer")
    (folder / remove).unlink()
    with pytest.raises(WeightsMissing, match=says):
        SherpaOnnx(SherpaOnnxConfig(model=str(folder), family="transducer"))


def test_the_graphs_in_int8_are_taken_where_there_are_some(tmp_path: Path) -> None:
    folder = tone_models.sherpa_ctc(tmp_path / "ctc")
    (folder / "model.int8.onnx").write_bytes((folder / "model.onnx").read_bytes())
    for compute_type in ("auto", "int8", "float32"):
        SherpaOnnx(SherpaOnnxConfig(model=str(folder), family="zipformer_ctc", compute_type=compute_type))
    (folder / "model.int8.onnx").unlink()
    with pytest.raises(WeightsMissing, match="no int8 graph named `model`"):
        SherpaOnnx(SherpaOnnxConfig(model=str(folder), family="zipformer_ctc", compute_type="int8"))


def test_a_folder_that_names_no_architecture_says_what_to_set(tmp_path: Path) -> None:
    folder = tone_models.nemo_ctc(tmp_path / "parakeet")
    (folder / "config.json").unlink()
    with pytest.raises(WeightsMissing, match="set `family`"):
        OnnxAsr(OnnxAsrConfig(model=str(folder)))
    assert OnnxAsr(OnnxAsrConfig(model=str(folder), family="nemo-conformer-ctc")).model.startswith("parakeet@")
