"""Each task by itself: the words as if nothing else were asked for, then every task's own tokens set among them.

Vectors that are added up (TokenVerse++) shift each other's tokens a little, and those of the words. Here a task is heard with its own
vector and that of the words alone, and all it can do is set its tokens between words that stand already. So whatever a task says, and
every word, is the same to the bit whether other tasks are on or off.
Shape suffixes: T frames, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from voxmill.models.common.tasks import INLINE_TOKENS, Task
from voxmill.models.common.tokenizer import CLASSES, ENDPOINT, ENTITY, ENTITY_END, SPEAKER_CHANGE, Tokenizer, class_token
from voxmill.models.inference.decode import ctc_insert

_RANKS = {ENTITY_END: 0, ENDPOINT: 1, SPEAKER_CHANGE: 2, ENTITY: 3}
"""Of tokens between the same two words, lower ones stand first, as in targets; classes stand before all."""


def own_tokens(task: Task, tokens: Tokenizer) -> list[int]:
    """The ids that belong to a task alone: those of `asr` are the subwords."""
    if task == "asr":
        return [token for token in range(len(tokens)) if tokens.is_subword(token)]
    names = INLINE_TOKENS.get(task) or [
        class_token(name) for kind in CLASSES if kind == task for name in getattr(tokens.config, kind)
    ]
    return [tokens[name] for name in names]


def silenced(log_TV: Tensor, ids: list[int]) -> Tensor:
    """The same, in which these tokens cannot be said. Any number of dimensions, V the last one."""
    return log_TV.index_fill(-1, torch.tensor(ids, dtype=torch.long, device=log_TV.device), -torch.inf)


def with_marks(said: tuple[int, ...], log_TV: Mapping[Task, Tensor], tokens: Tokenizer, beam: int) -> tuple[int, ...]:
    """The words, and among them what each task says; `log_TV` is what CTC hears with that task's vector alone."""
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
