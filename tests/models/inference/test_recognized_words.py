from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.models.common.seeds import seeded
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.inference.ctc_align import ctc_align
from voxmill.models.inference.recognized_words import PlacedLog, recognized_words


def collapsed(path: tuple[int, ...]) -> list[int]:
    return [t for i, t in enumerate(path) if t and (i == 0 or path[i - 1] != t)]


@settings(max_examples=30, deadline=None)
@given(frames=st.integers(1, 6), said=st.lists(st.integers(1, 2), max_size=3), seed=st.integers(0, 99))
def test_an_alignment_is_the_likeliest_of_all(frames: int, said: list[int], seed: int) -> None:
    log_TV = (2 * torch.randn(frames, 3, generator=seeded(seed))).log_softmax(-1)
    fitting = [path for path in product(range(3), repeat=frames) if collapsed(path) == said]
    found = ctc_align(log_TV, said)
    if not fitting:
        assert found is None
        return
    assert found is not None
    best = max(fitting, key=lambda path: sum(float(log_TV[t, token]) for t, token in enumerate(path)))
    frames_of = [(place.start, place.end) for place in found]
    starts = [t for t, token in enumerate(best) if token and (t == 0 or best[t - 1] != token)]
    assert [start for start, _ in frames_of] == starts
    for (start, end), token, place in zip(frames_of, said, found, strict=True):
        assert set(best[start:end]) == {token}
        assert end == frames or best[end] != token
        assert place.log_probability == pytest.approx(float(log_TV[start:end, token].mean()), abs=1e-5)


def test_nothing_said_fits_anything_and_a_word_fits_no_silence() -> None:
    assert ctc_align(torch.zeros(0, 3), []) == []
    assert ctc_align(torch.zeros(0, 3), [1]) is None


def test_words_begin_at_spaces_and_at_characters_of_scripts_without() -> None:
    tokens = Tokenizer.train(["thank you thank you"])
    said = [*tokens.encode("thank you"), tokens["[SCD]"], *tokens.encode("谢谢。 ok")]  # Chinese in bytes, three to a character
    places = [PlacedLog(2 * index, 2 * index + 1, -0.5 * (index % 2)) for index in range(len(said))]
    words = recognized_words(said, places, tokens, 40.0)
    assert [word.text for word in words] == ["thank", "you", "谢", "谢。", "ok"]
    first = len(tokens.encode("thank"))
    assert words[0].end == pytest.approx(0.04 * (2 * first - 1))
    assert words[1].start == pytest.approx(0.08 * first)
    assert all(0.6 < word.confidence <= 1 for word in words)
