"""Decoding: searches for the best token sequences in the predictions of a head. Independent of models and text.

Shape suffixes: T frames, V vocabulary, N hypotheses, U tokens, D model width.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from voxmill.models.common.tasks import IGNORE
from voxmill.models.common.tokenizer import BLANK
from voxmill.models.inference.fusion import PrefixBonus
from voxmill.models.network.transducer import Transducer

_HOPELESS = 50.0
"""Prefixes this many nats below the likeliest are dropped (pruning of `ctc_insert`)."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A sequence of tokens and its log probability."""

    tokens: tuple[int, ...]
    score: float
    each: tuple[float, ...] = ()
    """Log probability of each token, and of the end if that was said; empty: not known, as of CTC, which sums over alignments."""
    frames: tuple[int, ...] = ()
    """Frame in which a transducer said each token; empty: not known."""
    bonus: float = 0.0
    """What hotwords and a language model add to the score."""

    @property
    def total(self) -> float:
        """Score and bonus, by which hypotheses are ordered."""
        return self.score + self.bonus


def by_length(found: Sequence[Scored], penalty: float, more: int) -> list[Scored]:
    """The hypotheses ordered by total / (tokens + `more`) ** `penalty`, best first; 0: by total. Totals are counted from the largest bonus, so that
    none is above 0: of those the shorter ones would come first."""
    base = max((one.bonus for one in found), default=0.0)
    return sorted(found, key=lambda one: (base - one.total) / (len(one.tokens) + more) ** penalty)


def ctc_greedy(log_TV: Tensor) -> Scored:
    """CTC's best path: the likeliest token of every frame, repetitions merged, blanks removed. The score is that of this
    alignment."""
    best_T = log_TV.max(dim=-1)
    path = best_T.indices.tolist()
    said = tuple(t for i, t in enumerate(path) if t != BLANK and (i == 0 or path[i - 1] != t))
    return Scored(said, float(best_T.values.sum()))


def ctc_beam(log_TV: Tensor, beam: int = 10, candidates: int = 20, bonus: PrefixBonus | None = None) -> list[Scored]:
    """CTC prefix beam search (Hannun et al., arXiv 1408.2873), best first. Scores sum over all alignments that the beam kept.

    Only the likeliest `candidates` tokens of a frame are considered. `bonus`: what is added to the prefixes' scores, in the search too.
    """
    prefixes: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -math.inf)}
    top = log_TV.topk(min(candidates, log_TV.shape[-1]), dim=-1)
    for scores, tokens in zip(top.values.tolist(), top.indices.tolist(), strict=True):
        grown: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [-math.inf, -math.inf])
        for prefix, (blank, spoken) in prefixes.items():
            for score, token in zip(scores, tokens, strict=True):
                if token == BLANK:
                    _add(grown[prefix], 0, score + log_add(blank, spoken))
                elif prefix and token == prefix[-1]:
                    _add(grown[prefix], 1, score + spoken)  # the same token goes on
                    _add(grown[(*prefix, token)], 1, score + blank)  # said again, after a pause
                else:
                    _add(grown[(*prefix, token)], 1, score + log_add(blank, spoken))
        prefixes = _best(grown, beam, bonus)
    found = [Scored(prefix, log_add(*ends), bonus=bonus.whole(prefix) if bonus else 0.0) for prefix, ends in prefixes.items()]
    return sorted(found, key=lambda one: -one.total)


def ctc_insert(log_TV: Tensor, said: Sequence[int], marks: Sequence[int], beam: int = 4) -> tuple[int, ...]:
    """Inserts marks into a known token sequence: a prefix beam search in which the next token is a mark or the next known
    token.

    Keeps the `beam` best prefixes for each number of known tokens consumed. Returns `said` unchanged if it does not fit the
    frames. No mark may be among the known tokens.
    """
    column = {token: index for index, token in enumerate(dict.fromkeys((BLANK, *said, *marks)))}
    frames: list[list[float]] = log_TV[:, list(column)].tolist()
    places: dict[int, dict[tuple[int, ...], tuple[float, float]]] = {0: {(): (0.0, -math.inf)}}
    for left, scores in zip(range(len(frames) - 1, -1, -1), frames, strict=True):
        grown: dict[int, dict[tuple[int, ...], list[float]]] = defaultdict(lambda: defaultdict(lambda: [-math.inf, -math.inf]))
        for place, prefixes in places.items():
            offered = [(token, place) for token in marks] + [(token, place + 1) for token in said[place : place + 1]]
            for prefix, (blank, spoken) in prefixes.items():
                _add(grown[place][prefix], 0, scores[0] + log_add(blank, spoken))
                if prefix:
                    _add(grown[place][prefix], 1, scores[column[prefix[-1]]] + spoken)
                for token, after in offered:
                    before = blank if prefix[-1:] == (token,) else log_add(blank, spoken)
                    _add(grown[after][(*prefix, token)], 1, scores[column[token]] + before)
        kept = {place: _best(prefixes, beam) for place, prefixes in grown.items() if len(said) - place <= left}
        likeliest = max((log_add(*ends) for prefixes in kept.values() for ends in prefixes.values()), default=-math.inf)
        places = {
            place: prefixes
            for place, prefixes in kept.items()
            if prefixes and log_add(*next(iter(prefixes.values()))) > likeliest - _HOPELESS
        }
    return next(iter(places.get(len(said), {})), tuple(said))


def sequence_scores(logits_NUV: Tensor, said_NU: Tensor) -> list[float]:
    """Log probability of each row's targets; targets that are IGNORE do not count."""
    log_NUV = logits_NUV.float().log_softmax(dim=-1)
    picked_NU = log_NUV.gather(-1, said_NU.clamp_min(0)[..., None])[..., 0]
    scores: list[float] = picked_NU.masked_fill(said_NU == IGNORE, 0.0).sum(dim=1).tolist()
    return scores


def rescored(
    hypotheses: Sequence[Scored], forwards: Sequence[float], backwards: Sequence[float], ctc: float, backward: float
) -> list[Scored]:
    """Attention rescoring (U2++): CTC's hypotheses ordered by the weighted sum of CTC's and both decoders' scores, best
    first."""
    together = [
        Scored(one.tokens, ctc * one.score + (1 - ctc) * ((1 - backward) * ahead + backward * back), bonus=one.bonus)
        for one, ahead, back in zip(hypotheses, forwards, backwards, strict=True)
    ]
    return sorted(together, key=lambda one: -one.total)


@torch.no_grad()
def transducer_greedy(head: Transducer, frame_TD: Tensor, most: int = 5, forbidden: Sequence[int] = ()) -> Scored:
    """Greedy transducer decoding: the likeliest token, again and again, until a blank moves on to the next frame; at most
    `most` tokens a frame, and none of `forbidden`."""
    said, each, frames = list[int](), list[float](), list[int]()
    score = 0.0
    expected_1WD = head.predictor(torch.zeros(1, 0, dtype=torch.long, device=frame_TD.device))
    for frame, frame_D in enumerate(frame_TD):
        for _ in range(most):
            log_V = head.join(frame_D[None, None], expected_1WD[:, -1:])[0, 0, 0].float().log_softmax(dim=-1)
            log_V[list(forbidden)] = -math.inf
            token = int(log_V.argmax())
            score += float(log_V[token])
            if token == BLANK:
                break
            said.append(token)
            each.append(float(log_V[token]))
            frames.append(frame)
            expected_1WD = head.predictor(torch.tensor([said[-head.predictor.context :]], device=frame_TD.device))
    return Scored(tuple(said), score, tuple(each), tuple(frames))


def _best(
    grown: Mapping[tuple[int, ...], list[float]], beam: int, bonus: PrefixBonus | None = None
) -> dict[tuple[int, ...], tuple[float, float]]:
    """The likeliest prefixes, best first, without impossible ones."""
    possible = ((prefix, ends) for prefix, ends in grown.items() if max(ends) > -math.inf)
    totals = ((-log_add(*ends) - (bonus.of(prefix) if bonus else 0.0), prefix, ends) for prefix, ends in possible)
    best = [(prefix, ends) for _, prefix, ends in sorted(totals)[:beam]]
    return {prefix: (ends[0], ends[1]) for prefix, ends in best}


def _add(ends: list[float], which: int, score: float) -> None:
    ends[which] = log_add(ends[which], score)


def log_add(one: float, other: float) -> float:
    """log(exp(one) + exp(other))."""
    low, high = sorted((one, other))
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
