"""EVA: from frames in shards to training in phases, and what sound alone keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame

from networks import conditions, features, frames, model
from networks import tokens as some_tokens
from samples import read_audio, several
from voxmill.manifests.errors import UserError
from voxmill.manifests.records import Picture, Pictures
from voxmill.models.checkpoint.checkpoint import load
from voxmill.models.common.features import FbankConfig
from voxmill.models.common.image_encoder import FrameEmbedder, ImageEncoderConfig, SmallImageEncoder, decode_jpeg
from voxmill.models.common.tokenizer import TokenizerConfig
from voxmill.models.common.video_frames import VideoFrames
from voxmill.models.data.examples import ExampleConfig
from voxmill.models.data.loader import DataConfig
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.inference.evaluate_split import EvaluationSamples, evaluate_model
from voxmill.models.inference.recognizer import Recognition, Recognizer
from voxmill.models.network.layers import upcycle
from voxmill.models.network.model import Conditions, ModelConfig
from voxmill.models.network.route import ExpertLoad
from voxmill.models.network.vision import VisionConfig, is_vision_parameter
from voxmill.models.training.recipe import Recipe, prepare
from voxmill.models.training.schedule import learning_rate
from voxmill.models.training.train_config import TrainConfig
from voxmill.models.training.trainer import Trainer
from voxmill.operators.frames.video import jpeg
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.reader import StoredSample, read_run
from voxmill.sharding.sample import Sample
from voxmill.sharding.writer import pack_shard


def picture(grey: int) -> bytes:
    frame = VideoFrame.from_ndarray(np.full((32, 48, 3), grey, np.uint8), "rgb24")
    return jpeg(frame, 32, 2)[0]


def seen(sample: Sample) -> Sequence[bytes]:
    return [picture(sample.segment.start // 500 % 200 + 20 * index) for index in range(3)]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten recordings with four samples each; every other recording is a film."""
    root = tmp_path_factory.mktemp("films") / "shards"
    made, blobs = [], {}
    for index, sample in enumerate(several(recordings=10)):
        if index // 4 % 2:
            blobs[sample.key] = seen(sample)
            found = tuple(Picture(0, 48, 32, 0, len(b), hashlib.sha256(b).hexdigest()) for b in blobs[sample.key])
            sample = replace(sample, pictures=Pictures(sample.key, found, "frames/x"))
        made.append(sample)
    for plan in plan_shards((s.entry for s in made), 4, 120_000):
        pack_shard(plan, made, read_audio, str(root), lambda pictures: blobs[pictures.segment_id])
    return root


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    SmallImageEncoder(dim=6).save(folder)
    return folder


def recipe(encoder: Path, **changes: object) -> Recipe:
    networks = model("vision").config
    parts: dict[str, object] = {
        "tokens": TokenizerConfig(num_subwords=280),
        "model": networks.model_copy(update={"fbank": FbankConfig(num_mels=20), "transducer": None}),
        "data": DataConfig(
            plan=SamplerConfig(batch_seconds=16.0, window=2),
            example=ExampleConfig(augment=None, images=ImageEncoderConfig(kind="small", model=str(encoder), frames=2)),
        ),
        "train": TrainConfig(steps=4, dynamic_chunk=False, eyes_first=2, save_every=100),
    }
    return Recipe.model_validate(parts | changes)


def test_a_jpeg_is_what_was_put_into_it() -> None:
    image = decode_jpeg(picture(120))
    assert image.shape == (32, 48, 3)
    assert image.dtype == np.uint8
    assert abs(float(image.mean()) - 120) < 2
    with pytest.raises(ValueError, match="no JPEG"):
        decode_jpeg(b"something else")


def test_every_frame_is_looked_at_once(shards: Path) -> None:
    class Counting:
        dim, name, calls = 1, "counting", 0

        def embed(self, images: Sequence[np.ndarray]) -> torch.Tensor:
            self.calls += len(images)
            return torch.tensor([[float(image.mean())] for image in images]).reshape(-1, 1)

    counting = Counting()
    look = FrameEmbedder(ImageEncoderConfig(model="not loaded", frames=2), counting)
    stored: list[StoredSample] = list(read_run(str(shards)))
    first = [look(sample) for sample in stored]
    calls = counting.calls
    again = [look(sample) for sample in stored]
    assert counting.calls == calls > 0
    for sample, one, other in zip(stored, first, again, strict=True):
        if sample.document["pictures"] is None:
            assert one is None
        else:
            assert one is not None
            assert other is not None
            assert torch.equal(one, other)
            wanted = [float(decode_jpeg(sample.pictures[i]).mean()) for i in (0, 2)]
            assert one[:, 0].tolist() == pytest.approx(wanted)


def test_training_from_shards_with_frames_in_two_phases(shards: Path, encoder: Path, tmp_path: Path) -> None:
    trainer = prepare(str(shards), recipe(encoder))
    assert trainer.model.config.vision.encoder == SmallImageEncoder(dim=6).name
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}

    def moved() -> set[bool]:
        """Whether what vision brought has moved, and whether anything else has."""
        return {is_vision_parameter(n) for n, p in trainer.model.named_parameters() if not torch.equal(p, before[n])}

    trainer.advance()
    trainer.advance()
    assert moved() == {True}
    trainer.save(str(tmp_path / "between"))
    third = trainer.advance()
    assert moved() == {True, False}
    assert third.rate == 0.1 * learning_rate(recipe(encoder).train.rate, 2, 4)
    resumed = Trainer.resumed(str(tmp_path / "between"), prepare(str(shards), recipe(encoder)).loader, recipe(encoder).train)
    again = resumed.advance()
    assert (again.loss, again.gradient_norm) == (third.loss, third.gradient_norm)
    assert load(str(tmp_path / "between")).model.config.vision == trainer.model.config.vision


def test_evaluation_looks_at_the_frames_of_the_shards(
    shards: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = prepare(str(shards), recipe(encoder))
    trainer.save(str(tmp_path / "model"))
    bundle = load(str(tmp_path / "model"))
    given: list[tuple[int, ...]] = []

    def listen(
        self: Recognizer, waves: Sequence[object], bandwidths: object, frames: VideoFrames | None = None
    ) -> list[Recognition]:
        given.append(() if frames is None else tuple(frames.number_B.tolist()))
        return [Recognition("", "", {}, 0.0) for _ in waves]

    monkeypatch.setattr(Recognizer, "__call__", listen)
    samples = EvaluationSamples(str(shards), SamplerConfig(batch_seconds=8.0))
    trial = evaluate_model(bundle, "whole", samples, {}, lambda _: None)
    assert trial.utterances == 40
    assert sum(map(sum, given)) == 2 * 20  # two frames each, of half of the samples
    SmallImageEncoder(dim=6, seed=9).save(encoder)
    with pytest.raises(UserError, match="the model was trained on"):
        evaluate_model(bundle, "whole", samples, {}, lambda _: None)
    SmallImageEncoder(dim=6).save(encoder)


def test_eyes_first_passes_by_batches_without_video(shards: Path, encoder: Path) -> None:
    """All frames are withheld: nothing can learn, and nothing moves."""
    blind = recipe(encoder)
    blind = blind.model_copy(
        update={"model": blind.model.model_copy(update={"vision": VisionConfig(dim=6, frames=3, experts=3, drop=1.0)})}
    )
    trainer = prepare(str(shards), blind)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.advance()
    assert all(torch.equal(p, before[name]) for name, p in trainer.model.named_parameters())


def test_eyes_and_pictures_go_together(encoder: Path, shards: Path) -> None:
    whole = recipe(encoder)
    with pytest.raises(ValueError, match="go together"):
        recipe(encoder, model=whole.model.model_copy(update={"vision": None}))
    with pytest.raises(ValueError, match="not enough"):
        recipe(encoder, model=whole.model.model_copy(update={"vision": VisionConfig(dim=6, frames=1)}))
    other = recipe(encoder, model=whole.model.model_copy(update={"vision": VisionConfig(dim=7, frames=3)}))
    with pytest.raises(UserError, match="have 6: set that"):
        prepare(str(shards), other)
    with pytest.raises(ValueError, match="no vision"):
        Trainer(model(), None, None, TrainConfig(eyes_first=1))  # type: ignore[arg-type]


POST = VisionConfig(dim=6, frames=3, experts=3, where="post_encoder")


def test_after_the_encoder_the_decoder_sees_and_ctc_does_not() -> None:
    net, dense = model(vision=POST), model(seed=1)
    assert not [name for name in upcycle(net, dense) if not is_vision_parameter(name)]
    feature_BTM, length_B = features(60, 41)
    alone = net(feature_BTM, length_B, some_tokens(2), Conditions())
    wanted = dense(feature_BTM, length_B, some_tokens(2), Conditions())
    assert torch.equal(alone.ctc_BTV, wanted.ctc_BTV)
    assert torch.equal(alone.forward_BUV, wanted.forward_BUV)
    watching = net(feature_BTM, length_B, some_tokens(2), Conditions(frames=frames(0, 3)))
    assert torch.equal(watching.ctc_BTV, wanted.ctc_BTV)
    torch.testing.assert_close(watching.forward_BUV[0], wanted.forward_BUV[0], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(watching.forward_BUV[1], wanted.forward_BUV[1], atol=1e-3)


def test_after_the_encoder_experts_learn_and_report_their_load() -> None:
    net = model(vision=POST)
    loads: list[ExpertLoad] = []
    feature_BTM, length_B = features(60, 41)
    given = conditions(2, frames=frames(0, 3), loads=loads)
    net(feature_BTM, length_B, some_tokens(2), given).forward_BUV.square().mean().backward()
    assert len(loads) == 1
    assert net.vision is not None
    assert net.vision.project.weight.grad is not None
    with pytest.raises(ValueError, match="only the decoder sees"):
        VisionConfig(where="post_encoder", in_memory=False)


def test_embeddings_of_another_encoder_are_refused() -> None:
    net = model("vision")
    feature_BTM, length_B = features(60)
    other = frames(2)
    wide = replace(other, embedding_BFC=torch.cat([other.embedding_BFC] * 2, dim=2))
    with pytest.raises(ValueError, match="another image encoder"):
        net.encode(feature_BTM, length_B, Conditions(frames=wide))


def test_the_config_says_where(encoder: Path) -> None:
    config = ModelConfig(vision=POST)
    assert ModelConfig.model_validate_json(config.model_dump_json()) == config
