"""Forced alignment with CTC: in which frames each token of a known sequence was said, on the likeliest of all alignments (Viterbi).

`torchaudio.functional.forced_align` does the same; training and inference do without torchaudio. Shape suffixes: T frames, V vocabulary,
S states: the tokens with a blank before, between and after them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from voxmill.models.common.tokenizer import BLANK
from voxmill.models.inference.recognized_words import PlacedLog


def ctc_align(log_TV: Tensor, said: Sequence[int]) -> list[PlacedLog] | None:
    """Where each token was said, and the mean log probability of it over these frames. None if the tokens do not fit the frames."""
    states = np.array([BLANK, *(state for token in said for state in (token, BLANK))])
    emit_TS = log_TV[:, states].double().cpu().numpy()
    if not len(emit_TS):
        return None if said else []
    skips_S = np.zeros(len(states), bool)
    skips_S[2:] = (states[2:] != BLANK) & (states[2:] != states[:-2])
    score_S = np.full(len(states), -np.inf)
    score_S[:2] = emit_TS[0, :2]
    steps_TS = np.zeros(emit_TS.shape, np.int8)
    for frame in range(1, len(emit_TS)):
        stay, one, two = score_S, _moved(score_S, 1), np.where(skips_S, _moved(score_S, 2), -np.inf)
        before_3S = np.stack([stay, one, two])
        steps_TS[frame] = before_3S.argmax(axis=0)
        score_S = before_3S.max(axis=0) + emit_TS[frame]
    state = len(states) - 1
    if state and score_S[state - 1] > score_S[state]:
        state -= 1
    if score_S[state] == -np.inf:
        return None
    frames: list[list[int]] = [[] for _ in said]
    for frame in range(len(emit_TS) - 1, -1, -1):
        if state % 2:
            frames[state // 2].insert(0, frame)
        state -= int(steps_TS[frame, state])
    return [PlacedLog(run[0], run[-1] + 1, float(emit_TS[run, 2 * index + 1].mean())) for index, run in enumerate(frames)]


def _moved(score_S: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    return np.concatenate([np.full(by, -np.inf), score_S])[: len(score_S)]
