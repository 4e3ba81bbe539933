"""Decoding each task by itself: first the words, then the tokens of each task inserted among them.

Task vectors that are added up (TokenVerse++) shift each other's tokens a little, and the words too. Here every task is decoded
with its own vector and that of the words only, and its tokens are inserted between words that are already fixed. So the words,
and what each task says, are the same bit for bit whether other tasks are on or off. Shape suffixes: T frames, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from voxmill.models.common.tasks import INLINE_TOKENS, Task
from voxmill.models.common.tokenizer import CLASSES, ENDPOINT, ENTITY, ENTITY_END, SPEAKER_CHANGE, Tokenizer, class_token
from voxmill.models.inference.decode import ctc_insert

_RANKS = {ENTITY_END: 0, ENDPOINT: 1, SPEAKER_CHANGE: 2, ENTITY: 3}
"""Order of tokens between the same two words, lowest first, as in targets; tokens of classes come before these."""


def own_tokens(task: Task, tokens: Tokenizer) -> list[int]:
    """The ids of a task's own tokens; those of `asr` are the subwords."""
    if task == "asr":
        return [token for token in range(len(tokens)) if tokens.is_subword(token)]
    names = INLINE_TOKENS.get(task) or [
        class_token(name) for kind in CLASSES if kind == task for name in getattr(tokens.config, kind)
    ]
    return [tokens[name] for name in names]


def mask_tokens(log_TV: Tensor, ids: list[int]) -> Tensor:
    """Log probabilities (…, V) in which these tokens are impossible."""
    return log_TV.index_fill(-1, torch.tensor(ids, dtype=torch.long, device=log_TV.device), -torch.inf)


def with_marks(said: tuple[int, ...], log_TV: Mapping[Task, Tensor], tokens: Tokenizer, beam: int) -> tuple[int, ...]:
    """The words with the tokens of each task inserted. `log_TV`: CTC's log probabilities with that task's vector."""
    between: list[list[tuple[int, int]]] = [[] for _ in range(len(said) + 1)]
    for task, log in log_TV.items():
        own = own_tokens(task, tokens)
        place = 0
        for token in ctc_insert(log, said, own, beam):
            if token in own:
                between[place].append((_RANKS.get(tokens.name(token), -1), token))
            else:
                place += 1
    marked: list[int] = []
    for place, marks in enumerate(between):
        marked += [token for _, token in sorted(marks, key=lambda mark: mark[0])]
        marked += said[place : place + 1]
    return tuple(marked)
