"""What a decoder says of frames: greedily, many at a time, each token read once.

Shape suffixes: B utterances, T frames, U tokens, V vocabulary.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from benchmarks.experiments import frames
from benchmarks.experiments.frames import Wave, read_frames
from voxmill.models.common.tokenizer import EOT, NO_TIMESTAMPS, SOT, TRANSCRIBE, Tokenizer
from voxmill.models.network.budget import Budget
from voxmill.models.network.decoder_cache import DecoderCache
from voxmill.models.network.model import Conditions, SpeechModel

MOST, MORE = 8, 0.16
"""Tokens that a text may have at most: so many, and so many a frame (eight a second). What runs on does so for ever."""


@torch.no_grad()
def transcripts(
    model: SpeechModel, tokens: Tokenizer, waves: Sequence[Wave], budget: Budget | None = None, at_once: int = 24
) -> dict[str, str]:
    """The words of each wave by its key. The model is one that is given frames (`student.FromFrames`), and settled."""
    found: dict[str, str] = {}
    for batch in _batches(waves, at_once):
        length_B = torch.tensor([len(one) for one in batch.values()])
        frame_BTD = torch.nn.utils.rnn.pad_sequence(list(batch.values()), batch_first=True)
        encoded, cache, conditions = model.encode(frame_BTD, length_B), DecoderCache(), Conditions(budget=budget)
        prompt = [tokens[SOT], tokens.of_class("language", "en"), tokens[TRANSCRIBE], tokens[NO_TIMESTAMPS]]
        fresh_BU, most = (
            torch.tensor([prompt] * len(batch)),
            [MOST + round(MORE * (len(one) - frames.MARGIN)) for one in batch.values()],
        )
        said: list[list[int]] = [[] for _ in batch]
        open_B = [True] * len(batch)
        while any(open_B):
            logits_BV = model.decode(fresh_BU, encoded, conditions, cache=cache)[:, -1]
            logits_BV[:, tokens.num_subwords :].masked_fill_(_specials(tokens), float("-inf"))
            fresh_BU = logits_BV[:, 1:].argmax(dim=-1, keepdim=True) + 1
            for row, token in enumerate(fresh_BU[:, 0].tolist()):
                if open_B[row] and token != tokens[EOT]:
                    said[row].append(token)
                open_B[row] = open_B[row] and token != tokens[EOT] and len(said[row]) < most[row]
        found |= {key: tokens.decode(ids) for key, ids in zip(batch, said, strict=True)}
    return found


def _batches(waves: Sequence[Wave], at_once: int) -> Iterator[Mapping[str, torch.Tensor]]:
    order = sorted(waves, key=lambda one: (one.path.stat().st_size, one.key))
    for at in range(0, len(order), at_once):
        yield {one.key: read_frames(one.path) for one in order[at : at + at_once]}


def _specials(tokens: Tokenizer) -> torch.Tensor:
    """True for every special token but the end, by their place among the special ones."""
    mask = torch.ones(len(tokens) - tokens.num_subwords, dtype=torch.bool)
    mask[tokens[EOT] - tokens.num_subwords] = False
    return mask
