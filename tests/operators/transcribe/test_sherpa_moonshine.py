"""sherpa-onnx with the Moonshine weights that travel in a package, on real speech."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.words import Edits, edits, english
from moonshine_for_sherpa import moonshine_for_sherpa
from voxmill.operators.contract.adapters import AudioClip
from voxmill.operators.transcribe.moonshine import Moonshine, MoonshineConfig
from voxmill.operators.transcribe.sherpa_onnx import SherpaOnnx, SherpaOnnxConfig

pytestmark = [pytest.mark.slow]
pytest.importorskip("sherpa_onnx")


def test_it_hears_the_reading_as_our_own_adapter_does(tmp_path: Path, reading: AudioClip, spoken: tuple[str, ...]) -> None:
    engine = SherpaOnnx(SherpaOnnxConfig(model=str(moonshine_for_sherpa(tmp_path / "moonshine")), family="moonshine"))
    (found,) = engine.transcribe([reading])
    pairs = zip(spoken, (one.text for one in found), strict=True)
    assert sum((edits(english(a), english(b)) for a, b in pairs), Edits()).rate <= 0.25
    (own,) = Moonshine(MoonshineConfig()).transcribe([reading])
    assert sum(one.text == other.text for one, other in zip(found, own, strict=True)) >= 0.8 * len(own)
    assert {(one.words, one.confidence) for one in found} == {(None, None)}
