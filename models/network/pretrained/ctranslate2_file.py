"""Reads Whisper as CTranslate2 keeps it (`model.bin`, the form in which faster-whisper and whisperX load it).

The file: version, name and revision of the architecture, then every variable (name, shape, type, bytes), then names for the same variable.
Numbers are little-endian; a name has its length before it and a zero byte behind it. Source: `python/ctranslate2/specs/model_spec.py`,
whose `_serialize` writes it. Weights of 8 or 16 bits with a scale beside them are refused: they are no copy of what was trained.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

MODEL_FILE = "model.bin"
_VERSIONS = range(3, 7)
_TYPES: dict[int, Any] = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_FLOATS = (np.float32, np.float16)
_HEAD = 64
"""Width of a head in every Whisper, for files that do not state the number."""


@dataclass(frozen=True, slots=True, eq=False)
class WhisperFile:
    """Architecture and tensors of a file, in the names of transformers' `WhisperModel`."""

    network: dict[str, Any]
    tensors: dict[str, Tensor]


def read_whisper(path: Path) -> WhisperFile:
    """Reads a file. Raises ValueError if it is no Whisper, damaged, or quantised."""
    try:
        spec, variables = _variables(np.memmap(path, mode="r"))
        if spec != "WhisperSpec":
            raise ValueError(f"it holds {spec or 'another model'}, and Whisper alone can be read")
        tensors = dict(_tensors(variables))
        return WhisperFile(_network(variables, tensors), tensors)
    except struct.error:
        raise ValueError(f"{path.name} ends too early: get it again") from None
    except (KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is no file of CTranslate2 that can be read: {error!r}") from error


def _variables(content: Any) -> tuple[str, dict[str, Any]]:
    """Name of the architecture, and every variable by its names. Arrays are copies in float32."""
    place = 0

    def number(kind: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from("<" + kind, content, place)
        place += struct.calcsize("<" + kind)
        return int(value)

    def text() -> str:
        nonlocal place
        length = number("H")
        place += length
        return bytes(content[place - length : place - 1]).decode()

    if (version := number("I")) not in _VERSIONS:
        raise ValueError(
            f"version {version} of CTranslate2's files cannot be read, those from {_VERSIONS[0]} to {_VERSIONS[-1]} can"
        )
    spec, _ = text(), number("I")
    found = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind, size = _TYPES[number("B")], number("I")
        if len(content) < place + size:
            raise ValueError(f"it ends within {name}: get it again")
        if kind not in _FLOATS and name.endswith("/weight"):
            raise ValueError(f"{name} is quantised ({np.dtype(kind).name}): take a file of 16 or 32 bit floats")
        array = np.frombuffer(content, kind, size // np.dtype(kind).itemsize, place).reshape(shape)
        found[name] = array.astype(np.float32 if kind in _FLOATS else np.int64)
        place += size
    for _ in range(number("I")):
        alias, name = text(), text()
        if name in found:
            found[alias] = found[name]
    return spec, found


def _tensors(given: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Under transformers' names. Queries, keys and values are one matrix in CTranslate2."""
    for conv in ("conv1", "conv2"):
        yield from _both(f"encoder.{conv}", given, f"encoder/{conv}")
    for side in ("encoder", "decoder"):
        yield f"{side}.embed_positions.weight", _tensor(given, f"{side}/position_encodings/encodings")
        yield from _norm(f"{side}.layer_norm", given, f"{side}/layer_norm")
        for index in range(_depth(given, side)):
            theirs, ours = f"{side}/layer_{index}", f"{side}.layers.{index}"
            yield from _norm(f"{ours}.self_attn_layer_norm", given, f"{theirs}/self_attention/layer_norm")
            yield from _split(f"{ours}.self_attn", "qkv", given, f"{theirs}/self_attention/linear_0")
            yield from _both(f"{ours}.self_attn.out_proj", given, f"{theirs}/self_attention/linear_1")
            if side == "decoder":
                yield from _norm(f"{ours}.encoder_attn_layer_norm", given, f"{theirs}/attention/layer_norm")
                yield from _split(f"{ours}.encoder_attn", "q", given, f"{theirs}/attention/linear_0")
                yield from _split(f"{ours}.encoder_attn", "kv", given, f"{theirs}/attention/linear_1")
                yield from _both(f"{ours}.encoder_attn.out_proj", given, f"{theirs}/attention/linear_2")
            yield from _norm(f"{ours}.final_layer_norm", given, f"{theirs}/ffn/layer_norm")
            yield from _both(f"{ours}.fc1", given, f"{theirs}/ffn/linear_0")
            yield from _both(f"{ours}.fc2", given, f"{theirs}/ffn/linear_1")
    yield "decoder.embed_tokens.weight", _tensor(given, "decoder/embeddings/weight")


def _depth(given: dict[str, Any], side: str) -> int:
    return sum(f"{side}/layer_{index}/ffn/linear_0/weight" in given for index in range(len(given)))


def _tensor(given: dict[str, Any], name: str) -> Tensor:
    return torch.from_numpy(given[name])


def _norm(ours: str, given: dict[str, Any], theirs: str) -> Iterator[tuple[str, Tensor]]:
    yield f"{ours}.weight", _tensor(given, f"{theirs}/gamma")
    yield f"{ours}.bias", _tensor(given, f"{theirs}/beta")


def _both(ours: str, given: dict[str, Any], theirs: str) -> Iterator[tuple[str, Tensor]]:
    yield f"{ours}.weight", _tensor(given, f"{theirs}/weight")
    yield f"{ours}.bias", _tensor(given, f"{theirs}/bias")


def _split(ours: str, parts: str, given: dict[str, Any], theirs: str) -> Iterator[tuple[str, Tensor]]:
    weights, biases = (_tensor(given, f"{theirs}/{kind}").chunk(len(parts)) for kind in ("weight", "bias"))
    for part, weight, bias in zip(parts, weights, biases, strict=True):
        yield f"{ours}.{part}_proj.weight", weight
        if part != "k":  # of keys there is none: it would change no weight of the attention
            yield f"{ours}.{part}_proj.bias", bias


def _network(given: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The architecture as transformers' `config.json` states it, from the shapes and the stated number of heads."""
    vocabulary, dim = tensors["decoder.embed_tokens.weight"].shape
    depth = {
        side: sum(name.startswith(f"{side}.") and name.endswith(".fc1.weight") for name in tensors)
        for side in ("encoder", "decoder")
    }
    return {
        "model_type": "whisper", "d_model": dim, "vocab_size": vocabulary, "num_mel_bins": tensors["encoder.conv1.weight"].shape[1],
        "max_source_positions": len(tensors["encoder.embed_positions.weight"]),
        "max_target_positions": len(tensors["decoder.embed_positions.weight"]),
        **{f"{side}_layers": count for side, count in depth.items()},
        **{f"{side}_attention_heads": int(given.get(f"{side}/num_heads", dim // _HEAD)) for side in depth},
        **{f"{side}_ffn_dim": len(tensors[f"{side}.layers.0.fc1.weight"]) for side in depth},
    }  # fmt: skip
