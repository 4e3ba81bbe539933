"""Our OWSM beside ESPnet's, whose folder and whose words `espnet_reference.py` wrote."""

# mypy: allow-untyped-decorators
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from espnet_package import waves
from tiny_pretrained import heard, relative, started
from voxmill.models.common.tokenizer import SOT, TRANSCRIBE
from voxmill.models.network.decoder_cache import DecoderCache
from voxmill.models.network.pretrained.espnet_folder import espnet_folder
from voxmill.models.network.pretrained.owsm_tokens import owsm_tokens

GOLDEN, SEED, SECONDS = Path(__file__).parent / "models" / "network" / "owsm_of_espnet", 1, 3
"""What ESPnet 202511 wrote: `espnet_writes(GOLDEN, seed=SEED, seconds=SECONDS, tiny=True)`."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The largest relative differences to what ESPnet's modules made of the waves, and whether the same tokens are said."""

    frames: float
    ctc: float
    logits: float
    greedy: tuple[bool, ...]
    """Of each wave."""


@torch.no_grad()
def compared(folder: Path, seed: int, seconds: int) -> Heard:
    """Our model, started from a folder that `espnet_writes` wrote, beside what ESPnet heard."""
    from safetensors.torch import load_file

    model, tokens = started(folder, "all", ctc=True)
    assert tokens is not None
    theirs, order = load_file(folder / "heard.safetensors"), order_of(folder)
    ours_of = {number: ours for ours, number in enumerate(order)}
    gaps: dict[str, list[float]] = {"frames": [], "ctc": [], "logits": []}
    same = []
    for row, wave in enumerate(waves(seed, seconds)):
        encoded = model.encode(*heard(model, [wave]))
        read_BU = torch.tensor([[ours_of[int(token)] for token in theirs[f"read.{row}"]]])
        gaps["frames"].append(relative(encoded.frame_BTD[0], theirs[f"frames.{row}"]))
        said_TV = model.ctc(encoded.frame_BTD)[0, :, : tokens.num_given].log_softmax(dim=-1)  # new tokens take no part
        gaps["ctc"].append(relative(said_TV, theirs[f"ctc.{row}"][:, order]))
        logits_UV = model.decode(read_BU, encoded)[0, :, : tokens.num_given]
        gaps["logits"].append(relative(logits_UV, theirs[f"logits.{row}"][:, order]))
        greedy = [ours_of[int(token)] for token in theirs[f"greedy.{row}"]]
        prompt = [tokens[SOT], tokens.of_class("language", "en"), tokens[TRANSCRIBE], *tokens.after_task]
        cache, said, fresh = DecoderCache(), list(prompt), prompt
        while len(said) < len(greedy):
            token = int(model.decode(torch.tensor([fresh]), encoded, cache=cache)[0, -1, : tokens.num_given].argmax())
            said.append(token)
            fresh = [token]
        same.append(said == greedy)
    return Heard(max(gaps["frames"]), max(gaps["ctc"]), max(gaps["logits"]), tuple(same))


def order_of(folder: Path) -> list[int]:
    """For each of our tokens its place in ESPnet's list."""
    opened = espnet_folder(folder)
    assert opened is not None
    return list(owsm_tokens(opened.config["token_list"], opened.subwords()).order)
