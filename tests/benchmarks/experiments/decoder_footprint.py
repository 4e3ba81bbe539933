"""What a student's decoder takes of a device at each budget: parameters, and time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

import torch

from benchmarks.experiments.frames import MARGIN, Wave, read_frames
from benchmarks.experiments.greedy import transcripts
from benchmarks.experiments.whisper_start import from_frames
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.network.budget import Budget
from voxmill.models.network.emoe import ElasticMoE
from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.model import SpeechModel

AT_ONCE, ROUNDS = 12, 5
"""Waves in the batch whose time is taken, and how often it is."""


def parameters(model: SpeechModel) -> dict[str, float]:
    """Millions stored, and millions that one token passes, in the decoder's layers: encoder and vocabulary are the same at every budget."""
    assert model.decoder is not None
    layers = model.decoder.layers
    stored = sum(p.numel() for p in layers.parameters())
    idle = 0
    for layer in layers.modules():
        if isinstance(layer, ElasticMoE):
            one = next(expert for expert in layer.experts if isinstance(expert, FeedForward))
            idle += (layer.config.experts - layer.config.top_k) * sum(p.numel() for p in one.parameters())
    return {"stored": stored / 1e6, "active": (stored - idle) / 1e6}


def times(model: SpeechModel, tokens: Tokenizer, waves: Sequence[Wave], budgets: Sequence[Budget]) -> list[dict[str, float]]:
    """For each budget, cut out as for deployment: `rtf`, seconds of the decoder per second of sound on one thread of the CPU, and `of_full`,
    its time a token over the last budget's. Medians over rounds.

    In a round every budget has its turn, and the quotient is taken within the round: what the machine does besides falls on all of
    them. A token and not a text is what is compared: at another budget a student says other words. The clock is the thread's own.
    """
    chosen = sorted(waves, key=lambda one: one.key)[:AT_ONCE]
    audio = sum(len(read_frames(one.path)) - MARGIN for one in chosen) / 50
    models = [from_frames(model.extract(budget).cpu().eval()) for budget in budgets]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    spent, each = [list[float]() for _ in models], [list[float]() for _ in models]
    for turn in range(1 + ROUNDS):  # the first one warms up
        for index in sorted(range(len(models)), reverse=bool(turn % 2)):
            began = time.thread_time()
            said = transcripts(models[index], tokens, chosen, at_once=AT_ONCE)
            spent[index].append(time.thread_time() - began)
            longest = max(len(tokens.encode(text)) for text in said.values())
            each[index].append(spent[index][-1] / (longest + 1))
    torch.set_num_threads(threads)
    full = each[-1]
    return [
        {"rtf": median(own[1:]) / audio, "of_full": median(a / b for a, b in zip(of[1:], full[1:], strict=True))}
        for own, of in zip(spent, each, strict=True)
    ]
