"""The Moonshine weights that travel in a package, in the form of sherpa-onnx."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

from voxmill.operators.weights.registry import resolve


def moonshine_for_sherpa(folder: Path) -> Path:
    """The packaged weights with the vocabulary as sherpa-onnx wants it: the bytes of each token in base64."""
    source = resolve("moonshine-tiny-en")
    folder.mkdir(parents=True)
    for name in ("encoder_model.ort", "decoder_model_merged.ort"):
        shutil.copyfile(source / name, folder / name)
    vocabulary = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    lines = [f"{base64.b64encode(_bytes(token)).decode()} {number}\n" for token, number in vocabulary.items()]
    (folder / "tokens.txt").write_text("".join(lines), encoding="utf-8")
    return folder


def _bytes(token: str) -> bytes:
    if token.startswith("<0x") and len(token) == 6:
        return bytes([int(token[3:5], 16)])
    return token.replace("\u2581", " ").encode()
