"""A model as two ONNX graphs, for devices without torch: the encoder with CTC, and the decoder.

`encoder.onnx`   features (B, T, M), length (B) [, bandwidth (B)] [, active (B, K)] -> ctc (B, T', V), frame_length (B),
                 memory (B, T', D), real (B, T')
`decoder.onnx`   token (B, U), memory, real [, translates (B)] -> logits (B, U, V)

Batch and time axes are dynamic. The graphs compute in full context; a budget is chosen beforehand by `model.extract(budget)`.
Writing needs the package onnx, comparing needs onnxruntime (extra `export`).
"""

# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from voxmill.models.common.guides import BANDWIDTHS, PROMPT_TASKS
from voxmill.models.network.model import Conditions, EncoderOutput, SpeechModel

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
_OPSET = 17
_AXES = {
    "features": {0: "batch", 1: "time"}, "length": {0: "batch"}, "bandwidth": {0: "batch"}, "active": {0: "batch"},
    "ctc": {0: "batch", 1: "frames"}, "frame_length": {0: "batch"}, "memory": {0: "batch", 1: "frames"},
    "real": {0: "batch", 1: "frames"}, "token": {0: "batch", 1: "tokens"}, "translates": {0: "batch"},
    "logits": {0: "batch", 1: "tokens"},
}  # fmt: skip


class _EncoderGraph(nn.Module):
    def __init__(self, model: SpeechModel, inputs: list[str]) -> None:
        super().__init__()
        self.model, self.inputs = model, inputs

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(self.inputs, given, strict=True))
        conditions = Conditions(bandwidth_B=named.get("bandwidth"), active_BK=named.get("active"))
        encoded = self.model.encode(named["features"], named["length"], conditions)
        return self.model.ctc_of(encoded), encoded.length_B, encoded.memory_BSD, encoded.real_BS


class _DecoderGraph(nn.Module):
    def __init__(self, model: SpeechModel, inputs: list[str]) -> None:
        super().__init__()
        self.model, self.inputs = model, inputs

    def forward(self, *given: Tensor) -> Tensor:
        named = dict(zip(self.inputs, given, strict=True))
        encoded = EncoderOutput(
            named["memory"], named["real"], named["memory"], named["real"]
        )  # a decoder reads the last two only
        return self.model.decode(named["token"], encoded, Conditions(translates_B=named.get("translates")))


def example_inputs(model: SpeechModel, batch: int = 2, frames: int = 80, tokens: int = 5) -> dict[str, dict[str, Tensor]]:
    """Random inputs of both graphs by name, for tracing and comparing. Sizes: utterances, frames of 10 ms, tokens."""
    config, generator = model.config, torch.Generator().manual_seed(batch * frames)
    frames = round(frames * config.fbank.shift_ms / config.features.shift_ms)
    encoder: dict[str, Tensor] = {
        "features": torch.randn(batch, frames, config.features.width, generator=generator),
        "length": torch.linspace(frames, frames // 2, batch).long(),
    }
    if config.smoe and (config.smoe.encoder or config.smoe.guide_token):
        encoder["bandwidth"] = torch.arange(batch) % len(BANDWIDTHS)
    if config.tasks:
        encoder["active"] = torch.ones(batch, len(config.tasks.tasks), dtype=torch.bool)
    decoder = {"token": torch.randint(1, config.vocabulary, (batch, tokens), generator=generator)}
    if config.smoe and config.smoe.decoder:
        decoder["translates"] = torch.arange(batch) % len(PROMPT_TASKS)
    return {ENCODER: encoder, DECODER: decoder}


@torch.no_grad()
def export_onnx(model: SpeechModel, folder: Path) -> list[Path]:
    """Writes both graphs into a folder and returns their paths. Raises ImportError if the package onnx is missing."""
    was_training = model.training
    model.eval()
    inputs = example_inputs(model)
    encoder = inputs[ENCODER]
    encoded = _EncoderGraph(model, list(encoder))(*encoder.values())
    decoder = {"token": inputs[DECODER]["token"], "memory": encoded[2], "real": encoded[3], **inputs[DECODER]}
    folder.mkdir(parents=True, exist_ok=True)
    _write(_EncoderGraph, model, encoder, ["ctc", "frame_length", "memory", "real"], folder / ENCODER)
    _write(_DecoderGraph, model, decoder, ["logits"], folder / DECODER)
    model.train(was_training)
    return [folder / ENCODER, folder / DECODER]


def _write(graph: type[Any], model: SpeechModel, inputs: dict[str, Tensor], outputs: list[str], path: Path) -> None:
    axes = {name: _AXES[name] for name in (*inputs, *outputs)}
    write_graph(graph(model, list(inputs)), inputs, outputs, axes, path)


def write_graph(
    graph: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], axes: Mapping[str, Mapping[int, str]], path: Path
) -> None:
    """Traces a graph with these inputs, named in order, and writes it. `axes`: the dynamic axes of each input and output, by number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of every Python number that it takes for a constant
        torch.onnx.export(
            graph, tuple(inputs.values()), str(path), input_names=list(inputs), output_names=list(outputs),
            dynamic_axes=axes, opset_version=_OPSET, dynamo=False,
        )  # fmt: skip


@torch.no_grad()
def largest_difference(model: SpeechModel, folder: Path, batch: int = 3, frames: int = 133, tokens: int = 9) -> float:
    """Largest absolute difference between torch and onnxruntime over all outputs of both graphs, at other sizes than were
    traced."""
    inputs = example_inputs(model, batch, frames, tokens)
    encoder = inputs[ENCODER]
    wanted = _EncoderGraph(model, list(encoder))(*encoder.values())
    got = _run(folder / ENCODER, encoder)
    decoder = {"token": inputs[DECODER]["token"], "memory": wanted[2], "real": wanted[3], **inputs[DECODER]}
    logits = _DecoderGraph(model, list(decoder))(*decoder.values())
    pairs = [*zip(got, wanted, strict=True), (_run(folder / DECODER, decoder)[0], logits)]
    return max(float((torch.from_numpy(one).double() - other.double()).abs().max()) for one, other in pairs)


def open_graph(path: Path) -> Any:
    """The graph of a file in onnxruntime, on one thread of the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run(path: Path, inputs: dict[str, Tensor]) -> list[Any]:
    session = open_graph(path)
    expected = {given.name for given in session.get_inputs()}
    outputs: list[Any] = session.run(None, {name: value.numpy() for name, value in inputs.items() if name in expected})
    return outputs
