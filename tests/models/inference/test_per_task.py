from __future__ import annotations

import torch

from voxmill.models.common.tasks import TASKS, Task
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.inference.per_task import mask_tokens, own_tokens, with_marks


def test_every_task_has_tokens_of_its_own(tokens: Tokenizer) -> None:
    owned = [token for task in TASKS for token in own_tokens(task, tokens)]
    assert len(owned) == len(set(owned))
    assert own_tokens("named_entities", tokens) == [tokens["[NE]"], tokens["[/NE]"]]
    assert [tokens.name(token) for token in own_tokens("gender", tokens)] == ["<|male|>", "<|female|>"]
    assert own_tokens("asr", tokens) == list(range(1, tokens.num_subwords))


def test_what_is_silenced_cannot_be_said_and_all_else_as_before() -> None:
    log_TV = torch.tensor([[-1.0, -2.0, -3.0]])
    assert mask_tokens(log_TV, [1]).tolist() == [[-1.0, -torch.inf, -3.0]]
    assert mask_tokens(log_TV, []).tolist() == log_TV.tolist()


def test_marks_of_several_tasks_stand_in_the_order_of_targets(tokens: Tokenizer) -> None:
    """Each task hears its own path of frames; the words are the same in all."""
    en, scd, opening, closing = (tokens[name] for name in ("<|en|>", "[SCD]", "[NE]", "[/NE]"))
    first, second = words = tuple(tokens.encode("hi"))[:1] + tuple(tokens.encode("there"))[:1]
    paths: dict[Task, list[int]] = {
        "speaker_change": [0, first, 0, scd, 0, second, 0],
        "named_entities": [opening, first, closing, opening, 0, second, closing],
        "language": [en, first, 0, 0, 0, second, 0],
    }
    logs: dict[Task, torch.Tensor] = {}
    for task, path in paths.items():
        logs[task] = torch.full((len(path), len(tokens)), -20.0)
        logs[task][range(len(path)), path] = 0.0
    said = with_marks(words, logs, tokens, beam=4)
    assert said == (en, opening, first, closing, scd, opening, second, closing)
