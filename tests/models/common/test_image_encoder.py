from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from voxmill.models.common.image_encoder import (
    ClipImageEncoder,
    Image,
    ImageEncoder,
    ImageEncoderConfig,
    SmallImageEncoder,
    as_tensor,
    spread_over,
)


def images(count: int = 3) -> list[Image]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8) for i in range(count)]


def check(encoder: ImageEncoder) -> None:
    together = encoder.embed(images())
    assert together.shape == (3, encoder.dim)
    torch.testing.assert_close(together[1:2], encoder.embed(images()[1:2]), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(together[0], together[1])
    assert encoder.embed([]).shape == (0, encoder.dim)


def test_the_small_encoder_gives_one_embedding_per_image() -> None:
    check(SmallImageEncoder(dim=8))
    assert SmallImageEncoder(dim=8, seed=1).name != SmallImageEncoder(dim=8).name


def test_the_small_encoder_comes_back_from_its_folder(tmp_path: Path) -> None:
    encoder = SmallImageEncoder(dim=8, seed=3)
    encoder.save(tmp_path)
    again = ImageEncoderConfig(kind="small", model=str(tmp_path)).load()
    assert again.name == encoder.name
    assert torch.equal(again.embed(images()), encoder.embed(images()))
    (tmp_path / "small_image_encoder.safetensors").write_bytes(b"something else")
    with pytest.raises(ValueError, match="no weights of a small image encoder"):
        SmallImageEncoder.load(tmp_path)
    with pytest.raises(ValueError, match="no weights of a small image encoder"):
        SmallImageEncoder.load(tmp_path / "nowhere")


def test_pixels_are_scaled() -> None:
    white = as_tensor(np.full((2, 5, 3), 255, np.uint8))
    assert (white.shape, float(white.min())) == ((3, 2, 5), 1.0)


@given(st.integers(0, 500), st.integers(1, 20))
def test_frames_are_spread_without_repetition(count: int, most: int) -> None:
    taken = spread_over(count, most)
    assert len(taken) == min(count, most)
    assert taken == sorted(set(taken))
    assert all(0 <= index < count for index in taken)


@pytest.mark.slow
def test_clip_loads_from_a_local_folder(tmp_path: Path) -> None:
    """The real loading code, on a tiny model that was never trained."""
    transformers = pytest.importorskip("transformers")
    config = transformers.CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8,
        projection_dim=12,
    )  # fmt: skip
    transformers.CLIPVisionModelWithProjection(config).save_pretrained(tmp_path, safe_serialization=True)
    transformers.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained(tmp_path)
    encoder = ImageEncoderConfig(model=str(tmp_path)).load()
    assert encoder.dim == 12
    check(encoder)
    before = ClipImageEncoder(str(tmp_path), batch=2).embed(images())
    torch.testing.assert_close(before, encoder.embed(images()), atol=1e-5, rtol=1e-4)
    pickled = {name: torch.zeros(1) for name in ("a", "b")}
    (tmp_path / "model.safetensors").unlink()
    torch.save(pickled, tmp_path / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        ClipImageEncoder(str(tmp_path))


def test_a_hub_id_needs_a_revision() -> None:
    with pytest.raises(ValueError, match="needs a revision"):
        ClipImageEncoder("openai/clip-vit-base-patch32")
