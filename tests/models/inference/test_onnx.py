from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from networks import SWITCHES, model
from voxmill.models.inference.onnx import DECODER, ENCODER, example_inputs, export_onnx, largest_difference
from voxmill.models.network.budget import Budget

needs_onnx = pytest.mark.skipif(not find_spec("onnx") or not find_spec("onnxruntime"), reason="needs onnx and onnxruntime")


def test_a_graph_asks_for_what_its_switches_need() -> None:
    assert list(example_inputs(model())[ENCODER]) == ["features", "length"]
    inputs = example_inputs(model(*SWITCHES))
    assert list(inputs[ENCODER]) == ["features", "length", "bandwidth", "active"]
    assert list(inputs[DECODER]) == ["token", "translates"]


@needs_onnx
@pytest.mark.parametrize("on", [(), ("emoe",), tuple(SWITCHES)], ids="+".join)
def test_onnxruntime_computes_the_same_at_other_sizes(on: tuple[str, ...], tmp_path: Path) -> None:
    net = model(*on)
    small = net.extract(Budget(3, 2, 4)) if "emoe" in on else net
    written = export_onnx(small, tmp_path)
    assert [path.name for path in written] == [ENCODER, DECODER]
    assert largest_difference(small, tmp_path) < 1e-3
    assert largest_difference(small, tmp_path, batch=1, frames=31, tokens=1) < 1e-3
