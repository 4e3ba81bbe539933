"""The decoder, many utterances at once: the same tokens as for each alone."""

from __future__ import annotations

import torch

from benchmarks.experiments.saying import decoder_ids
from networks import MELS, model
from voxmill.models.common.seeds import seeded
from voxmill.models.common.tokenizer import BLANK, EOT, SOT, TRANSCRIBE, Tokenizer, TokenizerConfig
from voxmill.models.data.batch import Example, collate
from voxmill.models.data.targets import Target
from voxmill.models.network.model import SpeechModel
from voxmill.models.training.forward import conditions_of

TOKENS = Tokenizer.train(["hello there hi"], TokenizerConfig(num_subwords=280))
PROMPT = (TOKENS[SOT], TOKENS[TRANSCRIBE])


def test_an_utterance_is_said_the_same_alone_and_in_company() -> None:
    net = model("smoe", vocabulary=len(TOKENS))
    assert net.decoder is not None
    with torch.no_grad():  # an end that comes soon, but not at the same place for all
        net.decoder.out.bias[TOKENS[EOT]] += 0.9
        net.decoder.out.bias[BLANK] -= 100
    target = Target(PROMPT, (False, False), (), (), frozenset({"asr"}))
    examples = [
        Example(
            str(frames), torch.randn(frames, MELS, generator=seeded(frames)), "narrow" if frames % 2 else "wide", target, 1.0
        )
        for frames in (40, 61, 75, 90, 101)
    ]
    together = _said(net, examples)
    assert len({len(ids) for ids in together.values()}) > 1
    assert all(TOKENS[EOT] not in ids for ids in together.values())
    for one in examples:
        assert _said(net, [one])[one.key] == together[one.key]


def _said(net: SpeechModel, examples: list[Example]) -> dict[str, tuple[int, ...]]:
    batch = collate(examples, TOKENS)
    with torch.no_grad():
        found = net.encode(batch.feature_BTM, batch.length_B, conditions_of(batch, net.config))
    said: dict[str, tuple[int, ...]] = decoder_ids(net, TOKENS, batch, found, PROMPT, most=12)
    return said
