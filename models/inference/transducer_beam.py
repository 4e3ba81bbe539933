"""Beam search with a transducer, of several utterances at once: the modified beam search of icefall and sherpa, with one token a frame at most.

In each frame every hypothesis says a blank or one token, and the `beam` likeliest go on; those that have said the same become one, with
the sum of their probabilities. Shape suffixes: B utterances, T frames, N hypotheses of all utterances, D model width, V vocabulary.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from voxmill.models.common.tokenizer import BLANK
from voxmill.models.inference.decode import Scored, by_length, log_add
from voxmill.models.inference.fusion import Fusion, PrefixBonus
from voxmill.models.network.transducer import Transducer

_CANDIDATES = 20
"""At least so many ways to go on are looked at in a frame, so that what fusions make likely is among them."""


@torch.no_grad()
def transducer_beam(
    head: Transducer,
    frame_BTD: Tensor,
    length_B: Sequence[int],
    beam: int = 4,
    length_penalty: float = 1.0,
    forbidden: Sequence[int] = (),
    fusions: Sequence[Fusion] = (),
) -> list[list[Scored]]:
    """The hypotheses of each utterance, best first: by log probability divided by the number of tokens, with the blanks before the first that the
    predictor reads, to the power of `length_penalty`. None says one of `forbidden`; `length`: frames of each utterance. `fusions` add
    to the likeliest ways to go on in a frame."""
    context = head.predictor.context
    running = [[Scored((), 0.0)] for _ in length_B]
    bonuses = [PrefixBonus(fusions) for _ in length_B]
    for frame in range(max(length_B, default=0)):
        places = [index for index, length in enumerate(length_B) if frame < length]
        rows = [(place, one) for place in places for one in running[place]]
        past_NU = torch.tensor([((BLANK,) * context + one.tokens)[-context:] for _, one in rows], device=frame_BTD.device)
        frame_N1D = frame_BTD[[place for place, _ in rows], frame][:, None]
        log_NV = head.join(frame_N1D, head.predictor(past_NU)[:, -1:])[:, 0, 0].float().log_softmax(dim=-1)
        log_NV[:, list(forbidden)] = -math.inf
        total_NV = log_NV + torch.tensor([one.total for _, one in rows], device=log_NV.device)[:, None]
        for place, log in zip(places, total_NV.split([len(running[place]) for place in places]), strict=True):
            grown = sorted(_grown(running[place], log, frame, beam, bonuses[place]), key=lambda one: -one.total)
            running[place] = _merged(grown[:beam])
    ended = (
        [replace(one, bonus=bonus.whole(one.tokens)) for one in hypotheses]
        for hypotheses, bonus in zip(running, bonuses, strict=True)
    )
    return [by_length(hypotheses, length_penalty, context) for hypotheses in ended]


def _grown(before: Sequence[Scored], total_NV: Tensor, frame: int, beam: int, bonus: PrefixBonus) -> Iterable[Scored]:
    """The likeliest continuations of an utterance's hypotheses in a frame."""
    best = total_NV.flatten().topk(min(max(beam, _CANDIDATES), total_NV.numel()))
    for total, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        row, token = divmod(place, total_NV.shape[1])
        one = before[row]
        log = total - one.total
        if token == BLANK:
            yield replace(one, score=one.score + log)
        elif total > -math.inf:
            said = (*one.tokens, token)
            yield Scored(said, one.score + log, (*one.each, log), (*one.frames, frame), bonus.of(said))


def _merged(found: Iterable[Scored]) -> list[Scored]:
    """One hypothesis for each sequence of tokens, with the frames of the likeliest way to say it."""
    merged: dict[tuple[int, ...], Scored] = {}
    for one in found:
        first = merged.setdefault(one.tokens, one)
        if first is not one:
            merged[one.tokens] = replace(first, score=log_add(first.score, one.score))
    return list(merged.values())
