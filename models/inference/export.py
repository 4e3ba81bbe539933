"""`voxmill export`: writes the model of one budget to a folder, after checking that it computes the same as the original.

safetensors   a checkpoint like any other, smaller; LoRA is merged into the layers that it stands beside
onnx          `encoder.onnx`, `decoder.onnx`, `tokens.model`, and `model.json` with features, tokens and budget, for a program
              without torch
sherpa-onnx   `encoder.onnx`, `decoder.onnx`, `joiner.onnx`, `tokens.txt`: a transducer that sherpa-onnx decodes on a stream, and
              `model.json` with the options that it has to be given
transformers  a folder that `transformers.WhisperForConditionalGeneration` loads, of a model that is still a Whisper
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from voxmill.manifests.errors import CheckFailed, UserError
from voxmill.manifests.user_input import new_folder
from voxmill.models.checkpoint.checkpoint import Bundle, load, save
from voxmill.models.inference.load import parse_budget
from voxmill.models.inference.onnx import DECODER, ENCODER, example_inputs, export_onnx, largest_difference
from voxmill.models.inference.sherpa_export import export_sherpa, refuse_sherpa, sherpa_difference
from voxmill.models.inference.streaming import StreamingConfig
from voxmill.models.inference.transformers_export import export_transformers, refuse_transformers, transformers_difference
from voxmill.models.network.budget import Budget
from voxmill.models.network.model import Conditions, SpeechModel
from voxmill.models.network.size import ModelSize, model_size

Format = Literal["safetensors", "onnx", "sherpa-onnx", "transformers"]
TOLERANCE = 1e-3
"""Largest absolute difference of any output to the original model; with a larger one nothing is exported."""
META = "model.json"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was exported."""

    folder: str
    files: dict[str, int]
    """Size of each file in bytes."""
    budget: str | None
    size: ModelSize
    difference: float
    """Largest absolute difference of any output to the original model under this budget."""
    compared_in: str
    """What the exported model was run with: `torch`, `onnxruntime` or `transformers`."""


def export_model(
    bundle: Bundle, budget: str | None, form: Format, out: str, streaming: StreamingConfig | None = None
) -> ExportReport:
    """Exports a budget (None: the whole model) to the folder `out`. `streaming`: chunk and memory of `sherpa-onnx`.

    Raises BudgetError; UserError if `out` exists and is not empty; CheckFailed if the exported model does not compute the same.
    """
    if form == "sherpa-onnx":
        refuse_sherpa(bundle.model)
    if form == "transformers":
        refuse_transformers(bundle.model.config)
    if form == "onnx" and (bundle.model.config.start is not None or bundle.model.ctc is None):
        raise UserError(
            "ONNX of a model with a pretrained start, or without CTC, is not written yet: take --format safetensors"
        )
    folder = new_output_folder(out)
    wanted = parse_budget(bundle, budget) if budget is not None else None
    small = bundle.extract(wanted) if wanted else bundle
    small = replace(small, model=small.model.without_lora())
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temp:
        place = Path(temp) / "made"
        if form == "onnx":
            _write_onnx(small, place)
            difference, by = largest_difference(small.model, place), "onnxruntime"
        elif form == "sherpa-onnx":
            config = streaming or StreamingConfig()
            export_sherpa(small, place, config)
            difference, by = sherpa_difference(small.model, place, config), "onnxruntime"
        elif form == "transformers":
            export_transformers(small, place)
            difference, by = transformers_difference(bundle.model, place), "transformers"
        else:
            save(str(place), small)
            difference, by = _difference(bundle.model, wanted, load(str(place)).model), "torch"
        if not difference <= TOLERANCE:  # NaN is no small difference either
            raise CheckFailed(f"not exported: the largest difference to the model is {difference:.3g}, more than {TOLERANCE:g}")
        if folder.exists():
            folder.rmdir()
        shutil.move(place, folder)
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    return ExportReport(out, files, str(wanted) if wanted else None, model_size(small.model), difference, by)


def new_output_folder(out: str) -> Path:
    """The folder to write. Raises UserError if it exists and is not empty, or cannot be made."""
    folder = Path(out)
    new_folder(folder)
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{out} is there and not empty: take another --out")
    return folder


def _write_onnx(bundle: Bundle, folder: Path) -> None:
    export_onnx(bundle.model, folder)
    (folder / "tokens.model").write_bytes(bundle.tokens.subwords)
    inputs = example_inputs(bundle.model)
    about = {
        "model": bundle.model.config.model_dump(mode="json"),
        "task_tokens": [bundle.tokens.name(i) for i in range(bundle.tokens.num_subwords, len(bundle.tokens))],
        "num_subwords": bundle.tokens.num_subwords,
        "tasks": list(bundle.tasks),
        "step": bundle.step,
        "inputs": {ENCODER: list(inputs[ENCODER]), DECODER: [*inputs[DECODER], "memory", "real"]},
    }
    (folder / META).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


@torch.no_grad()
def _difference(model: SpeechModel, budget: Budget | None, small: SpeechModel) -> float:
    """Largest difference of the outputs for a random batch: `model` under the budget, `small` as it is."""
    model = model.cpu().eval()
    inputs = example_inputs(model, batch=3, frames=133, tokens=9)
    encoder, token_BU = inputs[ENCODER], inputs[DECODER]["token"]
    said = []
    for one, under in ((model, budget), (small, None)):
        conditions = Conditions(
            budget=under, bandwidth_B=encoder.get("bandwidth"), active_BK=encoder.get("active"),
            translates_B=inputs[DECODER].get("translates"),
        )  # fmt: skip
        outputs = one(encoder["features"], encoder["length"], token_BU, conditions, token_BU)
        parts: tuple[Tensor | None, ...] = (outputs.ctc_BTV, outputs.forward_BUV, outputs.backward_BUV)
        said.append([part for part in parts if part is not None and part.numel()])
    return max(float((ours - theirs).abs().max()) for ours, theirs in zip(*said, strict=True))
