"""The detectors on real speech: equal to their makers' own loops, blind to block sizes, and bounded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from speech.packaged import PYANNOTE_SAMPLE, TWO_CITIES
from voxmill.operators.contract.adapters import SpeechDetector
from voxmill.operators.segment.segment import SegmentConfig, load_detector

pytestmark = pytest.mark.xdist_group("detectors")

Audio = NDArray[np.float32]
RATE = 16_000


@pytest.fixture(scope="module")
def reader() -> Audio:
    return (TWO_CITIES.samples() / 32768).astype(np.float32)


@pytest.fixture(scope="module")
def fsmn_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("funasr")
    tiny = pytest.importorskip("tiny_funasr")
    folder: Path = tiny.write_fsmn_vad(tmp_path_factory.mktemp("weights") / "fsmn-vad")
    return folder


@pytest.fixture(
    scope="module",
    params=["silero", pytest.param("pyannote", marks=pytest.mark.slow), pytest.param("fsmn", marks=pytest.mark.slow)],
)
def detector(request: pytest.FixtureRequest) -> SpeechDetector:
    if request.param == "fsmn":
        return load_detector(SegmentConfig(engine="fsmn", model=str(request.getfixturevalue("fsmn_folder"))))
    return load_detector(SegmentConfig(engine=request.param))


def test_block_sizes_do_not_matter(detector: SpeechDetector, reader: Audio) -> None:
    whole = detector.probabilities([reader])
    assert whole.dtype == np.float32
    assert len(whole) == -(-len(reader) // detector.hop)
    assert ((whole >= 0) & (whole <= 1)).all()
    cuts = np.random.default_rng(0).integers(0, len(reader), 30)
    assert np.array_equal(whole, detector.probabilities(np.split(reader, np.sort(cuts))))


@pytest.mark.parametrize("length", [0, 1, 399, 512, 5 * RATE, 10 * RATE, 10 * RATE + 1])
def test_any_length_has_its_frames(detector: SpeechDetector, reader: Audio, length: int) -> None:
    probs = detector.probabilities([reader[:length]])
    assert probs.shape == (-(-length // detector.hop),)


def test_a_generator_is_consumed_block_by_block(detector: SpeechDetector) -> None:
    """Nobody holds on to the blocks: at any time only a few of fifty are alive."""
    import weakref

    alive: list[weakref.ref[Audio]] = []
    most = 0

    def blocks() -> Iterator[Audio]:
        nonlocal most
        for _ in range(50):
            block = np.zeros(4 * RATE, np.float32)
            alive.append(weakref.ref(block))
            yield block
            del block
            most = max(most, sum(ref() is not None for ref in alive))

    detector.probabilities(blocks())
    assert most <= 3


@pytest.mark.parametrize(
    ("engine", "model"),
    [("silero", ""), ("silero", "silero-vad-v6"), pytest.param("pyannote", "", marks=pytest.mark.slow)],
)
def test_finds_the_turns_of_a_real_conversation(engine: str, model: str) -> None:
    """pyannote's sample: most of what its own reference says is speech is found, little else."""
    audio = (PYANNOTE_SAMPLE.samples() / 32768).astype(np.float32)
    detector = load_detector(SegmentConfig(engine=engine, model=model))  # type: ignore[arg-type]
    found = np.repeat(detector.probabilities([audio]) >= 0.5, detector.hop)[: len(audio)]
    truth = np.zeros(len(audio), bool)
    for line in PYANNOTE_SAMPLE.path.with_suffix(".rttm").read_text().splitlines():
        start, length = map(float, line.split()[3:5])
        truth[round(start * RATE) : round((start + length) * RATE)] = True
    assert (found & truth).sum() / truth.sum() > 0.9
    assert (found & ~truth).sum() / max(1, (~truth).sum()) < 0.25


def test_silero_equals_the_packages_own_loop(reader: Audio) -> None:
    torch = pytest.importorskip("torch")
    silero_vad = pytest.importorskip("silero_vad")
    own = silero_vad.load_silero_vad(onnx=True).audio_forward(torch.from_numpy(reader), RATE)[0].numpy()
    np.testing.assert_allclose(load_detector(SegmentConfig()).probabilities([reader]), own, atol=1e-6)


def test_silero_does_without_torch() -> None:
    import subprocess

    code = (
        "import sys, numpy as np; from voxmill.operators.segment.silero import Silero;"
        "Silero().probabilities([np.zeros(16000, np.float32)]); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_pyannote_agrees_with_pyannotes_own_inference(reader: Audio) -> None:
    torch = pytest.importorskip("torch")
    from voxmill.operators.segment.pyannote import Pyannote

    ours = Pyannote()
    from pyannote.audio import Inference
    from pyannote.audio.core.task import Problem, Resolution, Specifications

    ours._network.specifications = Specifications(
        problem=Problem.MULTI_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=5.0,
        classes=["1", "2", "3"],
        permutation_invariant=True,
    )
    inference = Inference(
        ours._network, duration=5.0, step=0.5, pre_aggregation_hook=lambda scores: np.max(scores, axis=-1, keepdims=True)
    )
    theirs = inference({"waveform": torch.from_numpy(reader)[None], "sample_rate": RATE}).data[:, 0]
    mine = ours.probabilities([reader])
    length = min(len(mine) - 1, len(theirs))
    agreement = (mine[1 : length + 1] >= 0.5) == (theirs[:length] >= 0.5)  # their frames are named a hop early
    assert agreement.mean() > 0.98


@pytest.mark.slow
def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    """Classes that a pickle names are never imported or called."""
    torch = pytest.importorskip("torch")
    from voxmill.operators.segment.pyannote import Pyannote

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            import os

            return os.mkdir, (str(tmp_path / "sprung"),)

    torch.save({"state_dict": {}, "hyper_parameters": {}, "trap": Trap()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is refused with, nothing may have run
        Pyannote(str(tmp_path))
    assert not (tmp_path / "sprung").exists()
