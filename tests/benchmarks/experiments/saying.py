"""What the attention decoder says of many utterances at once: its likeliest token, again and again, until each has come to its end."""

# mypy: allow-untyped-decorators
from __future__ import annotations

import torch

from voxmill.models.common.tokenizer import BLANK, EOT, Tokenizer
from voxmill.models.data.batch import Batch
from voxmill.models.network.model import EncoderOutput, SpeechModel
from voxmill.models.training.forward import conditions_of


@torch.no_grad()
def decoder_ids(
    model: SpeechModel, tokens: Tokenizer, batch: Batch, found: EncoderOutput, prompt: tuple[int, ...], most: int = 40
) -> dict[str, tuple[int, ...]]:
    """The tokens after the prompt and before the end, by key; at most `most` of them."""
    conditions, end = conditions_of(batch, model.config), tokens[EOT]
    said_BU = torch.tensor([prompt] * len(batch), device=found.memory_BSD.device)
    ended_B = torch.zeros(len(batch), dtype=torch.bool, device=said_BU.device)
    for _ in range(most):
        token_B = model.decode(said_BU, found, conditions)[:, -1].argmax(dim=-1)
        ended_B |= token_B == end
        said_BU = torch.cat([said_BU, token_B.masked_fill(ended_B, BLANK)[:, None]], dim=1)
        if bool(ended_B.all()):
            break
    rows = said_BU[:, len(prompt) :].tolist()
    return {key: tuple(token for token in row if token != BLANK) for key, row in zip(batch.keys, rows, strict=True)}
