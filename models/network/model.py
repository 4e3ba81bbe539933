"""The model: Conformer encoder, CTC, attention decoders, transducer, and four switches that work alone and together.

    features -> subsampling -> + task vectors -> [visual tokens, guide] + sound -> Conformer layers -> CTC, decoders, transducer

Subsampling and Conformer layers are one `SoundEncoder`; with `start` a pretrained one takes their place, and its decoder ours. Four switches:

    emoe    feed-forward layers are elastic mixtures of experts: one model, many sizes (TouchASP)
    smoe    a feed-forward layer for each bandwidth in the encoder, for each task in the decoder (S-MoE)
    vision  video frames as tokens before the sound, with experts for utterances that have them (EVA)
    tasks   vectors that switch tasks on, for utterances that are labelled for some tasks only (TokenVerse++)

With all off and no start it is a U2++-style Conformer. How the four combine is ours: with emoe and smoe, the guide chooses the shared
expert; with emoe and vision, the elastic experts process the visual tokens too.

Shape suffixes: B utterances, T frames, P prefix tokens, S = P + T, U tokens, M mel bins, D model width, K tasks, V vocabulary.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from voxmill.manifests.config_base import Settings
from voxmill.models.common.features import FbankConfig
from voxmill.models.common.guides import BANDWIDTHS
from voxmill.models.common.sound_features import SoundFeatures
from voxmill.models.common.tokenizer import BLANK
from voxmill.models.common.video_frames import VideoFrames
from voxmill.models.network.budget import Budget, BudgetError, copy_leading
from voxmill.models.network.conformer import EncoderConfig, PrefixTokens
from voxmill.models.network.decoder import Decoder, DecoderConfig
from voxmill.models.network.decoder_cache import DecoderCache
from voxmill.models.network.layers import ElasticConfig, GuidedConfig, decoder_layers, encoder_feed_forward
from voxmill.models.network.pretrained.families import family_of
from voxmill.models.network.pretrained.family import Family
from voxmill.models.network.pretrained.lora import add_lora, merge_lora
from voxmill.models.network.pretrained.start_config import StartConfig
from voxmill.models.network.route import ExpertLoad, Route
from voxmill.models.network.sound_encoder import ConformerSound, SoundEncoder
from voxmill.models.network.task_vectors import TaskVectors, TaskVectorsConfig
from voxmill.models.network.transducer import Transducer, TransducerConfig, TransducerLattice
from voxmill.models.network.vision import PostEncoderExperts, VisionConfig, VisualTokens


class ModelConfig(Settings):
    """The network and its switches."""

    vocabulary: int = Field(default=0, ge=0)
    """Tokens of the tokeniser: blank, subwords and task tokens. Filled in when that is trained."""
    fbank: FbankConfig = FbankConfig()
    encoder: EncoderConfig = EncoderConfig()
    decoder: DecoderConfig = DecoderConfig()
    start: StartConfig | None = None
    """A pretrained network to start from, in place of the Conformer and, with `parts: all`, of the decoders. Null: none."""
    ctc: bool = True
    """A CTC head. Off: the decoders alone predict text, as of a pretrained encoder and decoder with a large vocabulary."""
    emoe: ElasticConfig | None = None
    """Elastic mixtures of experts: one model, many sizes. Null: dense feed-forward layers."""
    smoe: GuidedConfig | None = None
    """Guided experts: one for each bandwidth and task. Null: none."""
    vision: VisionConfig | None = None
    """Visual tokens, for samples with video frames. Null: none."""
    tasks: TaskVectorsConfig | None = None
    """Task vectors, which switch tasks on and off. Null: the prompt holds the task."""
    transducer: TransducerConfig | None = None
    """A transducer beside CTC and the decoders. Null: none."""

    @model_validator(mode="after")
    def _guides_need_a_shared_expert(self) -> ModelConfig:
        if self.emoe and self.smoe and not self.emoe.shared:
            raise ValueError("with emoe and smoe on, the guide chooses the shared expert: set emoe.shared to 1 or more")
        return self

    @property
    def features(self) -> SoundFeatures:
        """What the encoder hears. Raises ValueError if `start` is not filled in."""
        return self.fbank if self.start is None else pretrained_family(self.start).features()

    def cut(self, budget: Budget) -> ModelConfig:
        """The config of the model that `SpeechModel.extract` returns. Raises BudgetError."""
        if self.emoe is None:
            raise BudgetError("this model has one size: it was built without emoe")
        return self.model_copy(update={"emoe": self.emoe.cut(budget)})


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """Inputs of a call besides the sound. The defaults use the whole model, in full context."""

    budget: Budget | None = None
    """Part of the elastic experts to use; None: all. Needs emoe."""
    chunk: int | None = None
    """Encoder frames (40 ms) of a streaming chunk, which sees itself and the past; None: full context."""
    left: int | None = None
    """With `chunk`: how many frames before its chunk a frame may see; None: all."""
    bandwidth_B: Tensor | None = None
    """Indices into `guides.BANDWIDTHS`; needed with smoe in the encoder."""
    translates_B: Tensor | None = None
    """Indices into `guides.PROMPT_TASKS`: 1 where the prompt asks for a translation; needed with smoe in the decoder."""
    active_BK: Tensor | None = None
    """Which tasks are active; needed with tasks."""
    frames: VideoFrames | None = None
    """Embeddings of video frames; needs vision."""
    loads: list[ExpertLoad] | None = None
    """Layers with experts append their loads here; None: they do not count."""


class EncoderOutput(NamedTuple):
    """What the encoder hands to the heads."""

    frame_BTD: Tensor
    """Frames (40 ms each, of a pretrained encoder mostly 20), which CTC and the transducer read."""
    length_B: Tensor
    """Frames of each utterance without padding; 0 if it was too short."""
    memory_BSD: Tensor
    """What the decoder attends to: visual tokens, if any, and frames; under a pretrained decoder all of its encoder's window."""
    real_BS: Tensor
    """Its padding mask, False on padding."""


class ModelOutputs(NamedTuple):
    """Predictions of every head."""

    ctc_BTV: Tensor
    """Log probabilities of CTC; V = 0 without that head."""
    length_B: Tensor
    """Frames of each utterance without padding."""
    forward_BUV: Tensor
    """Logits of the decoder."""
    backward_BUV: Tensor | None
    """Logits of the decoder that predicts the text from its end; None without one, or without its input."""
    lattice: TransducerLattice | None
    """What the transducer says of its target; None without one, or without its input."""
    encoded: EncoderOutput


def without_lora(config: ModelConfig) -> ModelConfig:
    """The config of the same model without LoRA."""
    return (
        config if config.start is None else config.model_copy(update={"start": config.start.model_copy(update={"lora": None})})
    )


def pretrained_family(start: StartConfig) -> Family:
    """The adapter of what a model starts from. Raises ValueError if the network is not filled in, or of a kind without adapter."""
    if start.network is None:
        raise ValueError("model.start.network is not known yet: it is filled in when training starts")
    return family_of(start.network)


def sound_encoder(config: ModelConfig) -> SoundEncoder:
    """The encoder of a config, with first values. Raises ValueError where a switch is on that a pretrained encoder cannot have."""
    encoder, emoe, smoe, vision = config.encoder, config.emoe, config.smoe, config.vision
    if config.start is None:
        return ConformerSound(config.fbank, encoder, emoe, smoe, vision)
    family = pretrained_family(config.start)
    sizes = [
        (encoder, family.encoder_sizes()),
        *([(config.decoder, family.decoder_sizes())] if config.start.parts == "all" else []),
    ]
    if any(wanted is None or any(getattr(given, key) != value for key, value in wanted.items()) for given, wanted in sizes):
        raise ValueError(
            "model.encoder and model.decoder differ from the sizes of model.start: leave them out, they are filled in"
        )
    inside = {
        "model.emoe.encoder": emoe is not None and emoe.encoder, "model.smoe.encoder": smoe is not None and smoe.encoder,
        "model.vision.where": vision is not None and vision.where != "post_encoder",
    }  # fmt: skip
    if any(inside.values()) and not family.takes_experts:
        asked = ", ".join(key for key, on in inside.items() if on)
        raise ValueError(f"{asked}: this pretrained encoder takes no experts; set it to false (vision.where: post_encoder)")
    if emoe is not None and emoe.macaron:
        raise ValueError(
            "model.emoe.macaron: of a pretrained encoder the last feed-forward layer alone takes experts; set it to false"
        )
    return family.encoder(lambda index: encoder_feed_forward(index, encoder, emoe, smoe, vision), config.start.parts == "all")


def _decoder(config: ModelConfig, feed_forwards: list[nn.Module]) -> nn.Module:
    """A decoder: the pretrained one, or ours."""
    if config.start is not None and config.start.parts == "all":
        return pretrained_family(config.start).decoder(config.vocabulary, feed_forwards.__getitem__)
    return Decoder(config.vocabulary, config.encoder.dim, config.decoder, feed_forwards)


class SpeechModel(nn.Module):
    """The whole network. Its state dict is what checkpoints hold, so names of modules and parameters must not change."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        dim, encoder, decoder = config.encoder.dim, config.encoder, config.decoder
        sound = sound_encoder(config)
        self.frontend, self.encoder = sound.front, sound.layers
        self._sound = sound
        self.ctc: Any = nn.Linear(dim, config.vocabulary) if config.ctc else None
        self.decoder, self.backward_decoder = (
            _decoder(config, decoder_layers(dim, decoder, depth, config.emoe, config.smoe)) if depth else None
            for depth in (decoder.layers, decoder.backward_layers)
        )
        self.guide = nn.Embedding(len(BANDWIDTHS), dim) if config.smoe and config.smoe.guide_token else None
        self.vision = VisualTokens(config.vision, dim) if config.vision else None
        after = config.vision is not None and config.vision.where == "post_encoder"
        self.afterwards = (
            PostEncoderExperts(config.vision, dim, encoder.hidden, encoder.dropout, encoder.activation)  # type: ignore[arg-type]
            if after
            else None
        )
        where = config.tasks.where if config.tasks else "none"
        self.tasks_early = TaskVectors(config.tasks, dim) if config.tasks and where in ("frontend", "both") else None
        self.tasks_late = TaskVectors(config.tasks, dim) if config.tasks and where in ("encoder", "both") else None
        self.transducer = Transducer(config.vocabulary, dim, config.transducer) if config.transducer else None
        if config.start is not None and config.start.lora is not None:
            add_lora(self, config.start.lora)

    def forward(
        self,
        feature_BTM: Tensor,
        length_B: Tensor,
        token_BU: Tensor,
        conditions: Conditions,
        backward_BU: Tensor | None = None,
        joint_BU: Tensor | None = None,
    ) -> ModelOutputs:
        """Every head's predictions, for training. `feature` are what `config.features` makes of sound and `length` their frames; `token` is the
        input of the decoder, `backward` that of the second decoder, `joint` the transducer's target. Raises as `encode`
        does."""
        encoded = self.encode(feature_BTM, length_B, conditions)
        forwards = self.decode(token_BU, encoded, conditions)
        backwards = lattice = None
        if backward_BU is not None and self.backward_decoder is not None:
            backwards = self.decode(backward_BU, encoded, conditions, backwards=True)
        if joint_BU is not None and self.transducer is not None:
            lattice = self.transducer.lattice(encoded.frame_BTD, joint_BU)
        return ModelOutputs(self.ctc_of(encoded), encoded.length_B, forwards, backwards, lattice, encoded)

    def ctc_of(self, encoded: EncoderOutput) -> Tensor:
        """Log probabilities of every token in every frame, shape (B, T, V); V is 0 without a CTC head."""
        if self.ctc is None:
            return encoded.frame_BTD.new_zeros(*encoded.frame_BTD.shape[:2], 0, dtype=torch.float32)
        log_BTV: Tensor = self.ctc(encoded.frame_BTD).float().log_softmax(dim=-1)
        return log_BTV

    def encode(self, feature_BTM: Tensor, length_B: Tensor, conditions: Conditions | None = None) -> EncoderOutput:
        """Encodes features. Raises BudgetError, or ValueError if a switch that is on misses its input, or one that is
        off gets one."""
        conditions = conditions or Conditions()
        x_BTD, frames_B = self.frontend(feature_BTM, length_B)
        x_BTD = self._with_tasks(self.tasks_early, x_BTD, conditions)
        prefix, num_guides = self._prefix(frames_B, conditions)
        seen_B = None if conditions.frames is None else conditions.frames.number_B > 0
        route = Route(self._budget(conditions), conditions.bandwidth_B, seen_B, None, conditions.loads, conditions.left)
        x_BSD = self.encoder(x_BTD, frames_B, route, conditions.chunk, prefix)
        num_prefix = x_BSD.shape[1] - x_BTD.shape[1]
        sound_BTD = x_BSD[:, num_prefix:]
        if self._sound.trails:
            sound_BTD = sound_BTD[:, : self._sound.features.num_encoded(feature_BTM.shape[1])]
        sound_BTD = self._with_tasks(self.tasks_late, sound_BTD, conditions)
        real_BT = self._sound.remembered(frames_B, sound_BTD.shape[1])
        if self.afterwards is not None and conditions.frames is not None:
            return self._seen_afterwards(sound_BTD, real_BT, frames_B, conditions.frames, route)
        if prefix is None or self.config.vision is None or not self.config.vision.in_memory or num_prefix == num_guides:
            return EncoderOutput(sound_BTD, frames_B, sound_BTD, real_BT)
        seen_BFD, seen_BF = x_BSD[:, num_guides:num_prefix], prefix.real_BP[:, num_guides:]
        return EncoderOutput(sound_BTD, frames_B, torch.cat([seen_BFD, sound_BTD], 1), torch.cat([seen_BF, real_BT], 1))

    def _seen_afterwards(
        self, sound_BTD: Tensor, real_BT: Tensor, frames_B: Tensor, frames: VideoFrames, route: Route
    ) -> EncoderOutput:
        """`post_encoder` vision: visual tokens are mixed into what the decoder attends to; frames for CTC stay as they are."""
        assert self.vision is not None
        assert self.afterwards is not None
        seen = self.vision(frames, frames_B)
        real_BS = torch.cat([seen.real_BP, real_BT], dim=1)
        x_BSD = torch.cat([seen.token_BPD.to(sound_BTD.dtype), sound_BTD], dim=1)
        mixed_BSD = self.afterwards(x_BSD, Route(None, None, route.seen_B, real_BS, route.loads))
        return EncoderOutput(sound_BTD, frames_B, mixed_BSD, real_BS)

    def decode(
        self,
        token_BU: Tensor,
        encoded: EncoderOutput,
        conditions: Conditions | None = None,
        *,
        backwards: bool = False,
        cache: DecoderCache | None = None,
    ) -> Tensor:
        """Logits of the next token after each, shape (B, U, V). There may be several rows of tokens for each utterance, beside each other;
        guided experts then need `translates_B` for each. `cache`: the tokens follow those of earlier calls with it. Raises BudgetError, or
        ValueError if there is no such decoder."""
        conditions = conditions or Conditions()
        decoder = self.backward_decoder if backwards else self.decoder
        if decoder is None:
            raise ValueError("this model has no decoder in that direction: see decoder.backward_layers")
        real_BU = token_BU != BLANK  # with which inputs of a decoder are padded
        route = Route(self._budget(conditions), conditions.translates_B, None, real_BU, conditions.loads)
        logits_BUV: Tensor = decoder(token_BU, encoded.memory_BSD, encoded.real_BS, route, cache)
        return logits_BUV

    def without_lora(self) -> SpeechModel:
        """A model that computes the same, whose LoRA is merged into its layers; this one if there is none."""
        if self.config.start is None or self.config.start.lora is None:
            return self
        plain = deepcopy(self)
        merge_lora(plain)
        plain.config = without_lora(self.config)
        return plain

    def extract(self, budget: Budget) -> SpeechModel:
        """A smaller model of its own that computes what this one does under the budget. Raises BudgetError."""
        small = SpeechModel(self.config.cut(budget))
        copy_leading(small, self)
        small.to(self.device).train(self.training)
        return small

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        found: torch.device = next(self.parameters()).device
        return found

    @property
    def frame_ms(self) -> float:
        """From one encoder frame to the next (ms)."""
        return self._sound.frame_ms

    def _budget(self, conditions: Conditions) -> Budget | None:
        if conditions.budget is not None and self.config.emoe is None:
            raise BudgetError("a budget needs a model with emoe: this one has one size")
        return conditions.budget

    def _with_tasks(self, vectors: TaskVectors | None, x_BTD: Tensor, conditions: Conditions) -> Tensor:
        if vectors is None:
            return x_BTD
        if conditions.active_BK is None:
            raise ValueError("this model has task vectors: say which tasks are active")
        out_BTD: Tensor = vectors(x_BTD, conditions.active_BK)
        return out_BTD

    def _prefix(self, frames_B: Tensor, conditions: Conditions) -> tuple[PrefixTokens | None, int]:
        """The tokens before the sound, guide token first, then visual tokens; and how many of them are guide tokens."""
        parts = []
        if self.guide is not None:
            if conditions.bandwidth_B is None:
                raise ValueError("this model reads a guide token: say which bandwidth each utterance has")
            ones_B1 = torch.ones_like(frames_B)[:, None]
            parts.append(PrefixTokens(self.guide(conditions.bandwidth_B)[:, None], ones_B1.bool(), 0 * ones_B1))
        num_guides = len(parts)
        if conditions.frames is not None:
            if self.vision is None:
                raise ValueError("video frames were given to a model without vision")
            if self.afterwards is None:
                parts.append(self.vision(conditions.frames, frames_B))
        if not parts:
            return None, 0
        return PrefixTokens(*(torch.cat(field, dim=1) for field in zip(*parts, strict=True))), num_guides
