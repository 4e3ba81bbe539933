"""A transducer as three ONNX graphs that sherpa-onnx decodes on a stream, on phones and servers, without Python.

`encoder.onnx`  the next chunk of features and the two caches -> frames, caches; `decoder.onnx`  the last tokens -> the predictor's state;
`joiner.onnx`   a frame and a state -> logits; `tokens.txt`  a token and its id a line.

The inputs, the caches and the metadata are those that sherpa-onnx knows as a streaming model of type `conformer`
(`online-conformer-transducer-model.cc`). Its features have to be ours: `OPTIONS` says how. Writing needs the package onnx (extra `export`).
"""

# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from voxmill.manifests.errors import UserError
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.inference.onnx import open_graph, write_graph
from voxmill.models.inference.streaming import StreamingConfig
from voxmill.models.network.model import Conditions, SpeechModel
from voxmill.models.network.streaming_encoder import LOOKAHEAD, STRIDE, StreamingEncoder, StreamState
from voxmill.models.network.transducer import Transducer

ENCODER, DECODER, JOINER, TOKENS, ABOUT = "encoder.onnx", "decoder.onnx", "joiner.onnx", "tokens.txt", "model.json"
OPTIONS = {
    "sample_rate": 16_000,
    "normalize_samples": False,
    "snip_edges": True,
    "dither": 0.0,
    "decoding_method": "greedy_search",
}
"""Arguments of `sherpa_onnx.OnlineRecognizer.from_transducer`, beside the paths and what depends on the model (`options`)."""
_NEVER = -1e4
"""Logit of a token that is no subword."""


class _Encoder(nn.Module):
    def __init__(self, encoder: StreamingEncoder, head: Transducer) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(
        self, x: Tensor, attn_cache: Tensor, conv_cache: Tensor, processed_lens: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        heard_B = torch.div(processed_lens, STRIDE, rounding_mode="floor")  # they count feature frames
        state = StreamState(attn_cache.transpose(1, 2), conv_cache.transpose(1, 2), heard_B)
        frame_BTD, after = self.encoder(x, state)
        return self.head.sound(frame_BTD), after.seen_LBPD.transpose(1, 2), after.past_LBKD.transpose(1, 2)


class _Decoder(nn.Module):
    def __init__(self, head: Transducer) -> None:
        super().__init__()
        self.head = head

    def forward(self, y: Tensor) -> Tensor:
        return self.head.past(self.head.predictor(y.clamp_min(0))[:, -1])  # before the first token they write -1


class _Joiner(nn.Module):
    def __init__(self, head: Transducer, spoken: int) -> None:
        super().__init__()
        self.head = head
        self.register_buffer(
            "bias_V", torch.zeros(head.out.out_features).index_fill(0, torch.arange(spoken, head.out.out_features), _NEVER)
        )

    def forward(self, encoder_out: Tensor, decoder_out: Tensor) -> Tensor:
        return self.head.out(torch.tanh(encoder_out + decoder_out)) + self.bias_V


def options(model: SpeechModel) -> dict[str, object]:
    """Arguments of `sherpa_onnx.OnlineRecognizer.from_transducer` with which it hears what the model was trained on."""
    fbank = model.config.fbank
    return {**OPTIONS, "feature_dim": fbank.num_mels, "low_freq": fbank.low_hz, "high_freq": fbank.high_hz}


def refuse_sherpa(model: SpeechModel) -> None:
    """Raises UserError for a model that sherpa-onnx cannot stream, with what it lacks."""
    config = model.config
    lacks = {
        "it has no transducer (model.transducer): train one, with `transducer: {}` under `model` of the recipe": model.transducer
        is None,
        "it has task vectors (model.tasks)": config.tasks is not None,
        "its encoder has guided experts (model.smoe.encoder)": config.smoe is not None and config.smoe.encoder,
    }
    try:
        StreamingEncoder(model, 1)
    except ValueError as error:
        lacks[str(error)] = True
    if any(lacks.values()):
        raise UserError(f"sherpa-onnx cannot stream this model: {'; '.join(why for why, so in lacks.items() if so)}")


@torch.no_grad()
def export_sherpa(bundle: Bundle, folder: Path, config: StreamingConfig | None = None) -> list[Path]:
    """Writes the graphs and the tokens into a folder and returns their paths. Raises UserError for a model that cannot be streamed, ImportError
    if the package onnx is missing."""
    config = config or StreamingConfig()
    model, was_training = bundle.model, bundle.model.training
    refuse_sherpa(model)
    assert model.transducer is not None
    model.eval()
    encoder, head = StreamingEncoder(model, config.left).eval(), model.transducer
    size, state = model.config.encoder, encoder.start(1)
    frames = STRIDE * config.chunk + LOOKAHEAD
    folder.mkdir(parents=True, exist_ok=True)
    first = (
        torch.randn(1, frames, model.config.fbank.num_mels),
        *(cache.transpose(1, 2) for cache in state[:2]),
        torch.zeros(1, dtype=torch.long),
    )
    about = {
        "model_type": "conformer", "version": 1, "model_author": "voxmill", "T": frames, "decode_chunk_len": STRIDE * config.chunk,
        "left_context": config.left, "num_encoder_layers": size.layers, "encoder_dim": size.dim, "pad_length": LOOKAHEAD,
        "cnn_module_kernel": size.kernel,
    }  # fmt: skip
    caches = {"attn_cache": 2, "conv_cache": 2}
    _write(
        _Encoder(encoder, head).eval(), first, {"x": 0, **caches, "processed_lens": 0},
        {"encoder_out": 0, **{f"new_{name}": axis for name, axis in caches.items()}}, folder / ENCODER, about,
    )  # fmt: skip
    tokens = torch.zeros(1, head.predictor.context, dtype=torch.long)
    told = {"vocab_size": model.config.vocabulary, "context_size": head.predictor.context}
    _write(_Decoder(head).eval(), (tokens,), {"y": 0}, {"decoder_out": 0}, folder / DECODER, told)
    both = torch.zeros(1, head.sound.out_features)
    joiner = _Joiner(head, bundle.tokens.num_subwords).eval()
    _write(
        joiner, (both, both), {"encoder_out": 0, "decoder_out": 0}, {"logit": 0}, folder / JOINER, {"joiner_dim": both.shape[1]}
    )
    (folder / TOKENS).write_text("".join(f"{line}\n" for line in _token_lines(bundle.tokens)), encoding="utf-8")
    (folder / ABOUT).write_text(
        json.dumps({"streaming": config.model_dump(), "sherpa_onnx": options(model)}, indent=1) + "\n", encoding="utf-8"
    )
    model.train(was_training)
    return [folder / name for name in (ENCODER, DECODER, JOINER, TOKENS, ABOUT)]


@torch.no_grad()
def sherpa_difference(model: SpeechModel, folder: Path, config: StreamingConfig, chunks: int = 7) -> float:
    """Largest absolute difference of the logits of random sound, chunk by chunk by onnxruntime, to those of the masked model."""
    assert model.transducer is not None
    generator = torch.Generator().manual_seed(chunks)
    feature_BTM = torch.randn(1, STRIDE * config.chunk * chunks + LOOKAHEAD, model.config.fbank.num_mels, generator=generator)
    token_BU = torch.randint(1, model.config.vocabulary, (1, model.config.transducer.context), generator=generator)  # type: ignore[union-attr]
    encoded = model.encode(feature_BTM, torch.tensor([feature_BTM.shape[1]]), Conditions(chunk=config.chunk, left=config.left))
    wanted_BTV = model.transducer(encoded.frame_BTD, token_BU)[:, :, -1]
    encoder, decoder, joiner = (open_graph(folder / name) for name in (ENCODER, DECODER, JOINER))
    caches = [cache.transpose(1, 2).numpy() for cache in StreamingEncoder(model, config.left).start(1)[:2]]
    (expected,) = decoder.run(None, {"y": token_BU.numpy()})
    largest = 0.0
    for number in range(chunks):
        at = STRIDE * config.chunk * number
        part = feature_BTM[:, at : at + STRIDE * config.chunk + LOOKAHEAD].numpy()
        given = {"x": part, "attn_cache": caches[0], "conv_cache": caches[1], "processed_lens": np.array([at])}
        frames, *caches = encoder.run(None, given)
        for index, frame in enumerate(frames[0]):
            (logits,) = joiner.run(None, {"encoder_out": frame[None], "decoder_out": expected})
            apart = torch.from_numpy(logits[0]) - wanted_BTV[0, number * config.chunk + index]
            largest = max(largest, float(apart.abs()[logits[0] > _NEVER / 2].max()))
    return largest


def _token_lines(tokens: Tokenizer) -> list[str]:
    return [f"{'<blk>' if index == 0 else tokens.name(index)} {index}" for index in range(len(tokens))]


def _write(
    graph: nn.Module,
    inputs: tuple[Tensor, ...],
    names: dict[str, int],
    outputs: dict[str, int],
    path: Path,
    about: Mapping[str, object],
) -> None:
    """`names`, `outputs`: the axis of the batch."""
    import onnx

    axes = {name: {axis: "batch"} for name, axis in {**names, **outputs}.items()}
    write_graph(graph, dict(zip(names, inputs, strict=True)), list(outputs), axes, path)
    made = onnx.load(str(path))
    onnx.helper.set_model_props(made, {name: str(value) for name, value in about.items()})
    onnx.save(made, str(path))
