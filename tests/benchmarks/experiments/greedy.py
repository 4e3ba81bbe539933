"""What a decoder says of frames: greedily, many at a time, each token read once.

Shape suffixes: B utterances, T frames, U tokens, V vocabulary.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import torch

from benchmarks.experiments import frames
from benchmarks.experiments.frames import Wave, read_frames
from voxmill.models.common.tokenizer import EOT, NO_TIMESTAMPS, SOT, TRANSCRIBE, Tokenizer
from voxmill.models.network.budget import Budget
from voxmill.models.network.decoder_cache import DecoderCache
from voxmill.models.network.model import Conditions, SpeechModel

MOST, MORE = 8, 0.16
"""Tokens that a text may have at most: so many, and so many a frame (eight a second). What runs on does so for ever."""


def transcripts(
    model: SpeechModel, tokens: Tokenizer, waves: Sequence[Wave], budget: Budget | None = None, at_once: int = 24
) -> dict[str, str]:
    """The English words of each wave by its key. The model is one that is given frames (`FromFrames`), and settled."""
    prompt = (tokens[SOT], tokens.of_class("language", "en"), tokens[TRANSCRIBE], tokens[NO_TIMESTAMPS])
    said = token_ids(model, tokens, waves, lambda _: prompt, lambda _: Conditions(budget=budget), at_once=at_once)
    return {key: tokens.decode(ids) for key, ids in said.items()}


@torch.no_grad()
def token_ids(
    model: SpeechModel,
    tokens: Tokenizer,
    waves: Sequence[Wave],
    prompt: Callable[[str], tuple[int, ...]],
    conditions: Callable[[Sequence[str]], Conditions],
    allowed: Collection[int] = (),
    at_once: int = 24,
) -> dict[str, list[int]]:
    """The tokens that follow a prompt, by the wave's key.

    `prompt`: of a key; equally long for all. `conditions`: of the keys of a batch. `allowed`: special tokens that may be said besides the end.
    """
    found: dict[str, list[int]] = {}
    margins = {one.key: frames.MARGIN if one.margin is None else one.margin for one in waves}
    silent = _silent(tokens, allowed)
    for batch in _batches(waves, at_once):
        length_B = torch.tensor([len(one) for one in batch.values()])
        frame_BTD = torch.nn.utils.rnn.pad_sequence(list(batch.values()), batch_first=True)
        given, cache = conditions(list(batch)), DecoderCache()
        encoded = model.encode(frame_BTD, length_B, given)
        fresh_BU = torch.tensor([prompt(key) for key in batch])
        most = [MOST + round(MORE * (len(one) - margins[key])) for key, one in batch.items()]
        said: list[list[int]] = [[] for _ in batch]
        open_B = [True] * len(batch)
        while any(open_B):
            logits_BV = model.decode(fresh_BU, encoded, given, cache=cache)[:, -1]
            logits_BV[:, tokens.num_subwords :].masked_fill_(silent, float("-inf"))
            fresh_BU = logits_BV[:, 1:].argmax(dim=-1, keepdim=True) + 1
            for row, token in enumerate(fresh_BU[:, 0].tolist()):
                if open_B[row] and token != tokens[EOT]:
                    said[row].append(token)
                open_B[row] = open_B[row] and token != tokens[EOT] and len(said[row]) < most[row]
        found |= dict(zip(batch, said, strict=True))
    return found


def _batches(waves: Sequence[Wave], at_once: int) -> Iterator[Mapping[str, torch.Tensor]]:
    order = sorted(waves, key=lambda one: (one.path.stat().st_size, one.key))
    for at in range(0, len(order), at_once):
        yield {one.key: read_frames(one.path) for one in order[at : at + at_once]}


def _silent(tokens: Tokenizer, allowed: Collection[int]) -> torch.Tensor:
    """True for every special token but the end and those allowed, by their place among the special ones."""
    mask = torch.ones(len(tokens) - tokens.num_subwords, dtype=torch.bool)
    for one in (tokens[EOT], *allowed):
        mask[one - tokens.num_subwords] = False
    return mask
