from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from networks import model
from tiny_pretrained import heard, started, write
from voxmill.models.common.seeds import seeded
from voxmill.models.inference.attention_beam import attention_beam
from voxmill.models.inference.decode import Scored
from voxmill.models.inference.search import CachedDecoder, rows_of
from voxmill.models.network.model import Conditions, EncoderOutput, SpeechModel

END, VOCABULARY = 3, 5
PENALTIES = (0.0, 1.0)


def one_by_one(
    net: SpeechModel, encoded: EncoderOutput, prompt: list[int], beam: int, most: int, penalty: float
) -> list[Scored]:
    """The same search as it is told in a text book: one utterance, no cache, every sequence from its beginning, sorted lists."""

    def log_of(said: Sequence[int]) -> list[float]:
        logits_V = net.decode(torch.tensor([[*prompt, *said]]), encoded)[0, -1]
        found: list[float] = logits_V.log_softmax(-1).tolist()
        return found

    running: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    ended: list[tuple[tuple[int, ...], float]] = []
    for _ in range(most):
        offered = [(score + log, (*said, token)) for said, score in running for token, log in enumerate(log_of(said))]
        running = []
        for score, said in sorted(offered, reverse=True):
            if len(running) == beam:
                break
            (ended if said[-1] == END else running).append((said[:-1] if said[-1] == END else said, score))
        if len(ended) >= beam:
            running = []
            break
    ended += running[: max(0, beam - len(ended))]
    return [Scored(said, score) for said, score in sorted(ended, key=lambda one: -one[1] / (len(one[0]) + 1) ** penalty)]


def memories(batch: int, seed: int, net: SpeechModel) -> EncoderOutput:
    """Frames of utterances of different lengths."""
    length_B = torch.arange(batch) * 2 + 2
    x_BTD = torch.randn(batch, int(length_B.max()), net.config.encoder.dim, generator=seeded(seed))
    real_BT = torch.arange(x_BTD.shape[1])[None] < length_B[:, None]
    return EncoderOutput(x_BTD, length_B, x_BTD, real_BT)


def searched(
    net: SpeechModel, encoded: EncoderOutput, prompt_BU: Tensor, beam: int, most: int, penalty: float
) -> list[list[Scored]]:
    translates_B = torch.zeros(len(prompt_BU), dtype=torch.long)
    with torch.no_grad():
        predict = CachedDecoder(net, encoded, Conditions(translates_B=translates_B), [])
        return attention_beam(predict, prompt_BU, END, beam, most, penalty)


def same(found: list[Scored], expected: list[Scored]) -> None:
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-3)


def tiny(seed: int) -> SpeechModel:
    net = model(vocabulary=VOCABULARY, transducer=None, seed=seed)
    assert net.decoder is not None
    torch.nn.init.normal_(net.decoder.out.weight, std=0.5, generator=seeded(seed))
    return net


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), beam=st.integers(1, 4), most=st.integers(1, 6), penalty=st.sampled_from(PENALTIES))
def test_a_batch_with_a_cache_finds_what_a_plain_search_of_each_finds(seed: int, beam: int, most: int, penalty: float) -> None:
    net, prompts = tiny(seed), [[1, 2], [2, 4], [4, 1]]
    encoded = memories(3, seed, net)
    together = searched(net, encoded, torch.tensor(prompts), beam, most, penalty)
    with torch.no_grad():
        for row, prompt in enumerate(prompts):
            same(together[row], one_by_one(net, rows_of(encoded, [row]), prompt, beam, most, penalty))


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_wide_beam_finds_the_best_of_all_sequences(penalty: float) -> None:
    net, most = tiny(1), 3
    encoded, prompt = memories(1, 1, net), [1, 2]
    scores: dict[tuple[int, ...], float] = {}
    with torch.no_grad():
        for said in (said for length in range(most + 1) for said in product((0, 1, 2, 4), repeat=length)):
            log_UV = net.decode(torch.tensor([[*prompt, *said]]), encoded)[0, 1:].log_softmax(-1)
            ends = [END] if len(said) < most else []
            scores[said] = sum(float(log_UV[place, token]) for place, token in enumerate([*said, *ends]))
    (found,) = searched(net, encoded, torch.tensor([prompt]), 500, most, penalty)
    best = max(scores, key=lambda said: scores[said] / (len(said) + 1) ** penalty)
    assert found[0].tokens == best
    assert found[0].score == pytest.approx(scores[best], abs=1e-4)
    assert {one.tokens for one in found} == set(scores)
    assert found[0].score == pytest.approx(sum(found[0].each), abs=1e-4)


def test_what_repeats_itself_ends_and_the_others_do_not_wait_for_it() -> None:
    calls = []

    def predict(token_NU: Tensor, row_N: Tensor | None, kept_B: Tensor | None) -> Tensor:
        calls.append((len(token_NU), None if kept_B is None else kept_B.tolist()))
        log_NV = torch.full((len(token_NU), VOCABULARY), -9.0)
        log_NV[:, 2] = -0.1  # again and again
        if row_N is None:
            log_NV[1, END] = -0.01
        return log_NV

    runaway, ended = attention_beam(predict, torch.tensor([[1], [1]]), END, beam=1, most=7)
    assert runaway[0].tokens == (2,) * 7
    assert ended[0].tokens == ()
    assert list(ended[0].each) == pytest.approx([-0.01])
    assert calls == [(2, None), (1, [0]), *[(1, None)] * 5]


def test_longer_ones_win_by_their_mean() -> None:
    log: dict[tuple[int, ...], dict[int, float]] = {(): {2: 0.5, END: 0.5}, (2,): {END: 0.9, 2: 0.1}}

    def predict(token_NU: Tensor, row_N: Tensor | None, kept_B: Tensor | None) -> Tensor:
        said: tuple[int, ...] = () if row_N is None else (2,)
        return torch.tensor([[math.log(log[said].get(token, 1e-9)) for token in range(VOCABULARY)]] * len(token_NU))

    (by_mean,), (by_sum,) = (attention_beam(predict, torch.tensor([[1]]), END, 2, 2, penalty) for penalty in (1.0, 0.0))
    assert (by_mean[0].tokens, by_sum[0].tokens) == ((2,), ())


def test_a_pretrained_decoder_is_searched_the_same(tmp_path: Path) -> None:
    net, tokens = started(write("whisper", tmp_path), "all")
    assert tokens is not None
    waves = [0.1 * torch.randn(n, generator=seeded("wave", n)).numpy() for n in (16_000, 9_000)]
    with torch.no_grad():
        encoded = net.encode(*heard(net, waves))
        prompt = [tokens["<|sot|>"], tokens["<|transcribe|>"], *tokens.after_task]
        together = searched(net, encoded, torch.tensor([prompt] * 2), beam=3, most=4, penalty=1.0)
        for row, found in enumerate(together):
            same(found, one_by_one(net, rows_of(encoded, [row]), prompt, 3, 4, 1.0))
