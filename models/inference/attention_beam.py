"""Beam search with an attention decoder, of several utterances at once. Independent of models: `predict` is the decoder.

Step by step the likeliest tokens of all hypotheses of an utterance are looked at, likeliest sums first. A hypothesis whose next token is the end
has ended; others go on, until there are `beam` that go on. An utterance is done once `beam` hypotheses have ended (as in Whisper, arXiv
2212.04356, and CTranslate2), or after `most` tokens, which also ends what repeats itself; what has not ended by then counts as it is.
With a beam of 1 this is greedy decoding. Shape suffixes: B utterances, N hypotheses of all of them, K hypotheses of one, U tokens, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from voxmill.models.inference.decode import Scored, by_length
from voxmill.models.inference.fusion import Fusion, PrefixBonus

Predict = Callable[[Tensor, Tensor | None, Tensor | None], Tensor]
"""(tokens (N, U) that follow, row of the last call that each follows (N), utterances of the last call that go on (B)) -> log probabilities (N, V) of the
next token. In the first call, with the prompts, the last two are None; later the last one is, where all utterances go on."""

_CANDIDATES = 20
"""At least so many next tokens of an utterance are looked at, so that what fusions make likely is among them."""
_DEAD = Scored((), -math.inf)
"""Fills the beam where fewer hypotheses are possible."""


def attention_beam(
    predict: Predict,
    prompt_BU: Tensor,
    end: int,
    beam: int = 1,
    most: int = 400,
    length_penalty: float = 1.0,
    fusions: Sequence[Fusion] = (),
) -> list[list[Scored]]:
    """The hypotheses of each utterance without prompt and end, best first: by log probability, end included, divided by the number of tokens
    to the power of `length_penalty`.

    Only tokens that go on count for `most`. Prompts are of one length. `fusions` add to the likeliest next tokens of an utterance.
    """
    found: list[list[Scored]] = [[] for _ in prompt_BU]
    running = {utterance: [Scored((), 0.0)] for utterance in range(len(prompt_BU))}
    bonuses = [PrefixBonus(fusions) for _ in prompt_BU]
    fresh_NU, row_N, kept_B = prompt_BU, None, None
    for _ in range(most):
        log_NV = predict(fresh_NU, row_N, kept_B)
        width = len(next(iter(running.values())))
        before = torch.tensor([one.total for hypotheses in running.values() for one in hypotheses], device=log_NV.device)
        total_BN = (before[:, None] + log_NV).reshape(len(running), -1)
        best = total_BN.topk(min(max(2 * beam, _CANDIDATES), total_BN.shape[1]), dim=1)  # `beam` of them at least are no end
        rows, kept, grown = list[int](), list[int](), dict[int, list[Scored]]()
        for index, (utterance, hypotheses) in enumerate(running.items()):
            offered = zip(best.values[index].tolist(), best.indices[index].tolist(), strict=True)
            on = list[tuple[int, Scored]]()
            for row, ended, one in _candidates(hypotheses, offered, log_NV.shape[1], end, bonuses[utterance]):
                if len(on) == beam:
                    break
                if ended:
                    found[utterance].append(one)
                else:
                    on.append((index * width + row, one))
            if len(found[utterance]) < beam and on:
                on += [(on[0][0], _DEAD)] * (beam - len(on))
                kept.append(index)
                rows += [row for row, _ in on]
                grown[utterance] = [one for _, one in on]
        row_N = torch.tensor(rows, device=log_NV.device)
        kept_B = torch.tensor(kept, device=log_NV.device) if len(kept) < len(running) else None
        running = grown
        if not running:
            break
        fresh_NU = torch.tensor(
            [one.tokens[-1:] or (end,) for hypotheses in running.values() for one in hypotheses], device=log_NV.device
        )
    for utterance, hypotheses in running.items():
        cut = [replace(one, bonus=bonuses[utterance].whole(one.tokens)) for one in hypotheses if one.score > -math.inf]
        found[utterance] += cut[: beam - len(found[utterance])]
    return [by_length(hypotheses, length_penalty, 1) for hypotheses in found]


def _candidates(
    hypotheses: Sequence[Scored], offered: Iterable[tuple[float, int]], vocabulary: int, end: int, bonus: PrefixBonus
) -> list[tuple[int, bool, Scored]]:
    """(row of the hypothesis that goes on, whether it ends, what it becomes), best first. `offered`: totals and places of the likeliest."""
    found = []
    for total, place in offered:
        if total == -math.inf:
            break
        row, token = divmod(place, vocabulary)
        one, ended = hypotheses[row], token == end
        log = total - one.total
        tokens = one.tokens if ended else (*one.tokens, token)
        added = bonus.whole(tokens) if ended else bonus.of(tokens)
        found.append((row, ended, Scored(tokens, one.score + log, (*one.each, log), bonus=added)))
    return sorted(found, key=lambda one: -one[2].total)
