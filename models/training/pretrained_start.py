"""The pretrained network of `model.start` as the beginning of a training: sizes, tokeniser, values, what is frozen, learning rates.

Shape suffixes: V vocabulary, D model width.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from voxmill.manifests.errors import UserError
from voxmill.models.common.seeds import seeded
from voxmill.models.common.tokenizer import Tokenizer, TokenizerConfig
from voxmill.models.network.emoe import ElasticMoE
from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.layers import upcycle
from voxmill.models.network.model import ModelConfig, SpeechModel
from voxmill.models.network.pretrained.family import OF_TOKENS
from voxmill.models.network.pretrained.lora import add_lora, is_below, is_lora
from voxmill.models.network.pretrained.open_start import OpenedStart
from voxmill.models.network.pretrained.owsm_config import CTC_HEAD
from voxmill.models.network.pretrained.start_config import StartConfig

_APART = 0.1
"""How far new tokens begin from the mean of the pretrained ones, as a share of their standard deviation."""
_LAYER = re.compile(r"(encoder|decoder)\.(?:net\.)?layers\.(\d+)\.")


def filled(config: ModelConfig, start: OpenedStart) -> ModelConfig:
    """The config of a model with the sizes of what it starts from. Raises UserError if its decoder is wanted and it has none."""
    assert config.start is not None
    encoder = config.encoder.model_copy(update=start.family.encoder_sizes())
    known = config.start.model_copy(update={"network": start.network})
    update = {"encoder": encoder, "start": known}
    if config.start.parts == "all":
        sizes = start.family.decoder_sizes()
        if sizes is None:
            raise UserError(f"model.start.parts: {start.label} has no decoder that can be used; set it to `encoder`")
        update["decoder"] = config.decoder.model_copy(update=sizes)
    return config.model_copy(update=update)


def named(config: ModelConfig, start: OpenedStart) -> ModelConfig:
    """The config as a checkpoint states it: with the name of the weights in place of a folder of this machine."""
    assert config.start is not None
    return config.model_copy(update={"start": config.start.model_copy(update={"model": start.name})})


def pretrained_tokens(start: OpenedStart, config: TokenizerConfig) -> Tokenizer:
    """The tokeniser that came with it, and our special tokens that it lacks. Raises UserError."""
    try:
        return Tokenizer.pretrained(start.tokenizer(), config, start.network["max_target_positions"])
    except (ValueError, KeyError) as error:
        raise UserError(f"model.start: the tokeniser of {start.label} cannot be used: {error}") from error


@torch.no_grad()
def begin_pretrained(model: SpeechModel, start: OpenedStart, num_given: int) -> None:
    """Gives a model the values of what it starts from: experts as parts or copies of feed-forward layers, so that it computes the same.

    `num_given`: tokens of the tokeniser that it was trained with, blank included. Raises UserError if sizes do not come out even.
    """
    weights = start.weights()
    bare = model.config.model_copy(update={"emoe": None, "smoe": None, "vision": None, "tasks": None})
    dense = SpeechModel(bare)
    own = dense.state_dict()
    for name in OF_TOKENS:
        if name in weights and name not in own:  # a head that is not wanted
            del weights[name]
        elif name in weights:
            weights[name] = with_new_rows(weights[name], model.config.vocabulary, num_given, start.family.brings_blank)
    if unknown := sorted(name for name in weights if name not in own or own[name].shape != weights[name].shape):
        raise UserError(f"model.start: {start.label} holds {unknown[0]}, which its config does not account for")
    if missing := sorted(name for name in own if _pretrained(name, bare.start) and name not in weights):
        raise UserError(f"model.start: {start.label} lacks {missing[0]} and {len(missing) - 1} more of its own tensors")
    dense.load_state_dict(weights, strict=False)
    places = dict(dense.named_modules())
    for name, layer in model.named_modules():
        replaced = places.get(name)
        if isinstance(layer, ElasticMoE) and isinstance(replaced, FeedForward) and not layer.can_upcycle(replaced):
            raise UserError(f"model.emoe: {layer.upcycle_rule(replaced)}")
    upcycle(model, dense)


def adapt(model: SpeechModel) -> None:
    """Adds LoRA where the config asks for it, once the model has the values that it starts from. Raises UserError."""
    if model.config.start is None or model.config.start.lora is None:
        return
    try:
        add_lora(model, model.config.start.lora)
    except ValueError as error:
        raise UserError(str(error)) from error


def with_new_rows(given_VD: Tensor, vocabulary: int, num_given: int, with_blank: bool = False) -> Tensor:
    """The rows of a vocabulary: a blank, the tokens of a pretrained one, and new tokens, which begin near its mean token. `with_blank`: the
    pretrained one begins with its own blank."""
    first = 0 if with_blank else 1
    count = min(len(given_VD), num_given - first)
    apart_VD = torch.randn(vocabulary, *given_VD.shape[1:], generator=seeded("new tokens"))
    embedded_VD = given_VD.mean(dim=0) + _APART * given_VD.std(dim=0) * apart_VD
    embedded_VD[first : first + count] = given_VD[:count]
    return embedded_VD


def is_frozen(name: str, start: StartConfig | None, step: int) -> bool:
    """Whether a parameter is not trained in a step, the first of which is 0."""
    if start is None or is_lora(name) or (start.until is not None and step >= start.until):
        return False
    return any(is_below(prefix, name) for prefix in start.freeze)


def check_frozen(names: Iterable[str], start: StartConfig | None) -> None:
    """Raises ValueError if a prefix of `freeze` is the beginning of no parameter's name, or if nothing would be trained."""
    if start is None:
        return
    names = list(names)
    for prefix in start.freeze:
        if not any(is_below(prefix, name) for name in names):
            parts = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
            raise ValueError(
                f"model.start.freeze: no parameter begins with {prefix!r}; the first parts of their names are {parts}"
            )
    if start.until is None and all(is_frozen(name, start, 0) for name in names):
        raise ValueError("model.start.freeze leaves nothing to train: name fewer parts, or set model.start.until")


def rate_share(name: str, config: ModelConfig) -> float:
    """Learning rate of a parameter as a share of that of new ones; `layer_share` once for each layer above it in its part."""
    start = config.start
    if start is None or not _pretrained(name, start):
        return 1.0
    depth = {"encoder": config.encoder.layers, "decoder": config.decoder.layers}
    match = _LAYER.match(name)
    if match:
        above = depth[match[1]] - 1 - int(match[2])
    elif name.startswith("frontend."):
        above = depth["encoder"]
    else:
        above = depth["decoder"] if name.startswith(("decoder.embed.", "decoder.place.")) else 0
    return float(start.rate_share * start.layer_share**above)


def shares_of(names: Iterable[str], config: ModelConfig) -> Mapping[str, float]:
    """`rate_share` of every name."""
    return {name: rate_share(name, config) for name in names}


def _pretrained(name: str, start: StartConfig | None) -> bool:
    """Routers, LoRA and what switches add are new; experts began as parts of what was pretrained."""
    if start is None or ".router." in name or is_lora(name):
        return False
    part, whole = name.partition(".")[0], start.parts == "all"
    return part in ("frontend", "encoder") or (
        whole and (part == "decoder" or (part == "ctc" and bool((start.network or {}).get(CTC_HEAD))))
    )
