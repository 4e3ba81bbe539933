"""`make check-elastic`: a smaller model is the larger one under a budget, and nothing that is off leaves a trace.

Every set of the four switches with every budget, in float32 on one thread. The reduced form takes small models; the full form adds
one of the default width (256) with 15 experts. What is compared are the CTC and both decoders' outputs, so encoder and decoder.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch

from benchmarks.report import Target, finish, full_form, heading, table
from networks import DIM, MELS, SWITCHES, conditions, features, model, tokens
from voxmill.models.inference.onnx import export_onnx, largest_difference
from voxmill.models.network.budget import Budget, BudgetSchedule
from voxmill.models.network.conformer import EncoderConfig
from voxmill.models.network.decoder import DecoderConfig
from voxmill.models.network.emoe import ElasticMoE
from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.layers import ElasticConfig, upcycle
from voxmill.models.network.model import ModelOutputs, SpeechModel

SETS = [on for size in range(5) for on in combinations(SWITCHES, size)]
LENGTHS = (61, 40)
LARGE: dict[str, Any] = {
    "encoder": EncoderConfig(layers=4, dropout=0),
    "decoder": DecoderConfig(layers=2, backward_layers=1, dropout=0),
    "emoe": ElasticConfig(dropout=0, schedule=BudgetSchedule(top_k=(1, 3), width=(128, 512))),
}


def outputs(net: SpeechModel, on: Sequence[str], *, extra: int = 0, **given: Any) -> ModelOutputs:
    """Of two utterances; `extra` frames and tokens of rubbish stand behind the real ones."""
    feature_BTM, length_B = features(*LENGTHS)
    rubbish = 7.0 * torch.ones(2, extra, MELS)
    token_BU = torch.cat([tokens(2), tokens(2, extra)], dim=1)
    said: ModelOutputs = net(
        torch.cat([feature_BTM, rubbish], dim=1), length_B, token_BU, conditions(2, *on, **given), token_BU
    )
    return said


def difference(one: ModelOutputs, other: ModelOutputs) -> float:
    """The largest, over what is real in `other`."""
    largest = 0.0
    for row, length in enumerate(other.length_B.tolist()):
        for ours, theirs, size in (
            (one.ctc_BTV, other.ctc_BTV, length),
            (one.forward_BUV, other.forward_BUV, other.forward_BUV.shape[1]),
            (one.backward_BUV, other.backward_BUV, other.forward_BUV.shape[1]),
        ):
            assert ours is not None
            assert theirs is not None
            largest = max(largest, float((ours[row, :size] - theirs[row, :size]).abs().max()))
    return largest


def budgets_of(net: SpeechModel) -> list[Budget]:
    assert net.config.emoe is not None
    return list(net.config.emoe.schedule.budgets())


@torch.no_grad()
def check_extract(nets: Iterable[tuple[Sequence[str], SpeechModel]]) -> tuple[float, float, int]:
    """Of `extract(b)(x)` and `model(x, b)` the largest difference; of neighbouring budgets the smallest; comparisons."""
    largest, smallest, count = 0.0, float("inf"), 0
    for on, net in nets:
        before = None
        for budget in budgets_of(net):
            said = outputs(net, on, budget=budget)
            largest = max(largest, difference(outputs(net.extract(budget), on), said))
            smallest = min(smallest, difference(said, before)) if before else smallest
            before, count = said, count + 1
    return largest, smallest, count


def check_gradients() -> int:
    """Experts outside the budget that got a gradient, or all experts of a layer inside it that got none."""
    wrong = 0
    for on in (s for s in SETS if "emoe" in s):
        net = model(*on)
        for budget in budgets_of(net):
            net.zero_grad(set_to_none=True)
            said = outputs(net, on, budget=budget)
            sum(heads(said)).backward()
            for layer in (m for m in net.modules() if isinstance(m, ElasticMoE)):
                got = [has_gradient(expert) for expert in layer.experts]
                wrong += sum(got[budget.experts :]) + (not any(got[: budget.experts]))
    return wrong


def heads(said: ModelOutputs) -> list[Any]:
    assert said.backward_BUV is not None
    return [said.ctc_BTV.square().mean(), said.forward_BUV.square().mean(), said.backward_BUV.square().mean()]


def has_gradient(expert: FeedForward) -> bool:
    return any(p.grad is not None for p in expert.parameters())


@torch.no_grad()
def check_padding() -> float:
    return max(difference(outputs(net, on, extra=33), outputs(net, on)) for on in SETS for net in [model(*on)])


@torch.no_grad()
def check_off() -> dict[str, float]:
    """For each switch: off, with any of the others on but idle, against the dense model that all start from.

    emoe has no idle state: where it is on, its own parameters replace the dense layer's. So it is off in every one of these.
    """
    dense = model(seed=1)
    wanted = outputs(dense, ())
    idle = [s for s in SETS if "emoe" not in s]
    gaps = {}
    for on in idle:
        net = model(*on)
        upcycle(net, dense)
        gaps[on] = difference(outputs(net, on, neutral=True), wanted)
    return {switch: max(gap for on, gap in gaps.items() if switch not in on) for switch in SWITCHES}


def check_onnx() -> tuple[float, int] | None:
    """(largest difference to onnxruntime, exports), None where the package onnx or onnxruntime is missing."""
    if find_spec("onnx") is None or find_spec("onnxruntime") is None:
        return None
    found: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for on in SETS:
            net = model(*on)
            sizes = [None] if "emoe" not in on else [budgets_of(net)[0], budgets_of(net)[-1]]
            for size in sizes:
                small = net if size is None else net.extract(size)
                export_onnx(small, Path(folder))
                found.append(largest_difference(small, Path(folder)))
    return max(found), len(found)


def close(value: float, limit: float) -> Target:
    return {"value": f"{value:.1e}", "target": f"<= {limit:g}", "met": value <= limit}


def main() -> None:
    full = full_form(sys.argv)
    torch.set_num_threads(1)
    heading(
        "elastic",
        full,
        f"random weights and features, width {DIM}{' and 256' if full else ''}",
        ("torch", "onnx", "onnxruntime"),
    )
    nets = [(on, model(*on)) for on in SETS if "emoe" in on]
    if full:
        nets.append((("emoe", "smoe"), model("smoe", **LARGE)))
    same, apart, compared = check_extract(nets)
    wrong, padded, off, onnx = check_gradients(), check_padding(), check_off(), check_onnx()
    table(("switch off, others on and idle", "difference to dense"), [(name, f"{gap:.1e}") for name, gap in off.items()])
    figures = {
        "extract_max_difference": same, "extract_comparisons": compared,
        "budgets_min_difference": apart, "gradients_outside": wrong,
        "padding_max_difference": padded, "off_max_difference": off, "onnx_max_difference": onnx and onnx[0],
        "onnx_exports": onnx and onnx[1],
    }  # fmt: skip
    missing: Target = {"value": "not run: pip install onnx onnxruntime", "target": "<= 0.001", "met": False}
    targets: dict[str, Target] = {
        f"extract(b)(x) == model(x, b), {compared} budgets": close(same, 1e-5),
        "every budget is another function": {"value": f"{apart:.1e}", "target": ">= 0.001", "met": apart >= 1e-3},
        "experts outside the budget with a gradient": {"value": wrong, "target": "0", "met": wrong == 0},
        "padding changes nothing": close(padded, 1e-5),
        "each switch off is the dense model": close(max(off.values()), 1e-5),
        "ONNX in onnxruntime": close(onnx[0], 1e-3) if onnx else missing,
    }
    finish("elastic", figures, targets, full)


if __name__ == "__main__":
    main()
