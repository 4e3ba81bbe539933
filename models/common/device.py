"""The device that a command computes on."""

from __future__ import annotations

import torch

from voxmill.manifests.errors import UserError


def choose_device(name: str) -> torch.device:
    """The torch device of that name; `auto` is the first GPU if there is one, else the CPU. Raises UserError if it cannot be
    used."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name} cannot be used: {str(error).splitlines()[0]}; try --device auto") from error
    return device
