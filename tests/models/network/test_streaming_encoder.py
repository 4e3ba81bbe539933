# mypy: allow-untyped-decorators
from __future__ import annotations

from typing import Any

import pytest
import torch

from networks import SWITCHES, conditions, features, model
from voxmill.models.network.streaming_encoder import LOOKAHEAD, STRIDE, StreamingEncoder

WITHOUT_TOKEN = SWITCHES["smoe"].model_copy(update={"guide_token": False})
CASES: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    ((), {}), (("emoe",), {}), ((), {"smoe": WITHOUT_TOKEN}), (("tasks",), {}), (("emoe", "tasks"), {"smoe": WITHOUT_TOKEN}),
]  # fmt: skip


@pytest.mark.parametrize(("on", "more"), CASES)
@pytest.mark.parametrize(("chunk", "left"), [(1, 3), (4, 4), (4, 8), (6, 100), (5, 7)])
@torch.no_grad()
def test_a_stream_computes_what_the_mask_does(on: tuple[str, ...], more: dict[str, Any], chunk: int, left: int) -> None:
    net = model(*on, **more).eval()
    feature_BTM, length_B = features(131, 131)
    named = (*on, *more)
    given = conditions(2, *named, chunk=chunk, left=left)
    whole_BTD = net.encode(feature_BTM, length_B, given).frame_BTD
    encoder = StreamingEncoder(net, left)
    state, found, at = encoder.start(2), [], 0
    while at + STRIDE + LOOKAHEAD <= feature_BTM.shape[1]:
        part_BTM = feature_BTM[:, at : at + STRIDE * chunk + LOOKAHEAD]
        frame_BTD, state = encoder(part_BTM, state, given.bandwidth_B, given.active_BK)
        found.append(frame_BTD)
        at += STRIDE * frame_BTD.shape[1]
    torch.testing.assert_close(torch.cat(found, dim=1), whole_BTD, atol=1e-5, rtol=1e-4)
    assert state.seen_LBPD.shape[2] == left
    if left < 20:  # the bound is felt
        unbounded = net.encode(feature_BTM, length_B, conditions(2, *named, chunk=chunk)).frame_BTD
        assert not torch.allclose(unbounded, whole_BTD, atol=1e-4)


def test_a_model_that_sees_the_future_cannot_stream() -> None:
    with pytest.raises(ValueError, match="causal"):
        StreamingEncoder(model(encoder=model().config.encoder.model_copy(update={"causal": False})), 8)
    with pytest.raises(ValueError, match="guide token"):
        StreamingEncoder(model(smoe=SWITCHES["smoe"].model_copy(update={"guide_token": True})), 8)
