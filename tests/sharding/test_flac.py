from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from voxmill.sharding.flac import decode, encode


@given(arrays(np.int16, st.integers(1, 5000), elements=st.integers(-32768, 32767)))
def test_sixteen_bit_audio_comes_back_exactly(pcm: NDArray[np.int16]) -> None:
    audio = (pcm / 32768).astype(np.float32)
    assert encode(audio) == encode(audio.copy())
    assert np.array_equal(decode(encode(audio)), audio)


def test_over_full_scale_is_clipped_not_wrapped() -> None:
    assert decode(encode(np.array([2.0, -2.0], np.float32))).tolist() == [32767 / 32768, -1.0]


@pytest.mark.parametrize("audio", [np.zeros(0), np.zeros((2, 2)), np.array([0.0, np.nan]), np.array([np.inf])])
def test_what_is_no_audio_is_refused(audio: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match=r"mono samples|NaN"):
        encode(audio.astype(np.float32))


def test_damage_and_other_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="not decodable"):
        decode(b"fLaC" + bytes(100))
    sink = io.BytesIO()
    soundfile.write(sink, np.zeros(100), 8000, format="FLAC")
    with pytest.raises(ValueError, match="expected 16000 Hz mono"):
        decode(sink.getvalue())
