from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from voxmill.operators.contract.languages import primary
from voxmill.operators.transcribe.engine_config import EngineSettings
from voxmill.operators.transcribe.transcribe import EngineConfig

ENGINES: TypeAdapter[EngineConfig] = TypeAdapter(EngineConfig)


def test_kind_says_which_engine_and_every_engine_has_defaults() -> None:
    for kind in (
        "whisperx",
        "faster-whisper",
        "moonshine",
        "paraformer",
        "sensevoice",
        "pocketsphinx",
        "onnx-asr",
        "qwen3-asr",
    ):
        config = ENGINES.validate_python({"kind": kind})
        assert (config.kind, config.name, config.device) == (kind, kind, "cpu")


def test_unknown_keys_kinds_and_names_are_refused() -> None:
    for wrong in (
        {"kind": "whisperx", "temprature": 0},
        {"kind": "wisper"},
        {"kind": "whisperx", "name": "A b"},
        {"kind": "moonshine", "device": "cuda"},
    ):
        with pytest.raises(ValidationError):
            ENGINES.validate_python(wrong)


def test_an_engine_on_cuda_holds_a_share_of_a_gpu() -> None:
    assert ENGINES.validate_python({"kind": "whisperx", "device": "cuda"}).gpu_share == 1.0
    assert ENGINES.validate_python({"kind": "whisperx", "device": "cuda", "gpus": 0.25}).gpu_share == 0.25
    assert ENGINES.validate_python({"kind": "whisperx"}).gpu_share == 0.0
    for wrong in ({"device": "cuda", "gpus": 0}, {"gpus": 1}):
        with pytest.raises(ValidationError, match="gpus"):
            ENGINES.validate_python({"kind": "whisperx", **wrong})


def test_a_language_is_kept_from_an_engine_only_where_that_is_asked_for() -> None:
    lax = EngineSettings(kind="any", name="x", model="x", languages=("zh",))
    strict = EngineSettings(kind="any", name="x", model="x", languages=("zh",), skip_other_languages=True)
    assert [lax.hears(language) for language in ("cmn-Hans", "en", None)] == [True, True, True]
    assert [strict.hears(language) for language in ("cmn-Hans", "en", None)] == [True, False, True]
    assert EngineSettings(kind="any", name="x", model="x", skip_other_languages=True).hears("en")


def test_primary_is_the_code_that_engines_know() -> None:
    assert [primary(code) for code in ("en-GB", "ZH_tw", "yue", "cmn")] == ["en", "zh", "yue", "zh"]
