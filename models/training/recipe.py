"""The recipe of a training (all of its settings), and what is prepared from shards before the first step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import torch
from pydantic import Field, ValidationError, model_validator

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import UserError, explain
from voxmill.manifests.overrides import override
from voxmill.manifests.user_input import yaml_mapping
from voxmill.models.checkpoint.checkpoint import Bundle, load
from voxmill.models.common.features import statistics
from voxmill.models.common.text_rules import ruled
from voxmill.models.common.tokenizer import Tokenizer, TokenizerConfig
from voxmill.models.data.loader import DataConfig, Loader
from voxmill.models.data.sampler import BucketingSampler, NothingToLearn
from voxmill.models.data.shard_roots import ShardRoots, roots_of
from voxmill.models.data.usable_samples import UsableSamples
from voxmill.models.inference.load import checkpoint_of
from voxmill.models.network.layers import upcycle
from voxmill.models.network.model import ModelConfig, SpeechModel, without_lora
from voxmill.models.network.pretrained.open_start import OpenedStart, open_start
from voxmill.models.network.vision import VisionConfig
from voxmill.models.training.pretrained_start import adapt, begin_pretrained, filled, named, pretrained_tokens
from voxmill.models.training.train_config import TrainConfig
from voxmill.models.training.trainer import Trainer


class Recipe(Settings):
    """All settings of a training. `model.vocabulary` is filled in from the tokeniser."""

    tokens: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    normaliser_batches: int = Field(default=50, ge=1)
    """Batches over which mean and standard deviation of the features are computed."""
    begin_with: str | None = None
    """Folder of a trained dense model of the same sizes to start from. Its tokeniser and feature normalisation are kept, guided
    and visual experts start as copies of its feed-forward layers, and what it does not have starts at random. Null: all starts
    at random. Of a network of transformers or CTranslate2 see `model.start`."""

    @model_validator(mode="after")
    def _one_beginning(self) -> Recipe:
        if self.model.start is not None and self.begin_with is not None:
            raise ValueError("model.start and begin_with are two beginnings: leave one of them out")
        return self

    @model_validator(mode="after")
    def _targets_follow_the_model(self) -> Recipe:
        style = self.data.example.targets.style
        if self.model.tasks is not None and style != "activated":
            raise ValueError("model.tasks is on: set data.example.targets.style to `activated`, with the same tasks")
        if self.model.tasks is None and style == "activated":
            raise ValueError("data.example.targets.style is `activated`: switch model.tasks on, with the same tasks")
        if self.model.tasks is not None and set(self.model.tasks.tasks) != set(self.data.example.targets.tasks):
            raise ValueError(f"model.tasks has {self.model.tasks.tasks}, the targets {self.data.example.targets.tasks}")
        return self

    @model_validator(mode="after")
    def _eyes_need_pictures(self) -> Recipe:
        images, vision = self.data.example.images, self.model.vision
        if (images is None) != (vision is None):
            raise ValueError("model.vision and data.example.images go together: set both or neither")
        if images is not None and vision is not None and images.frames > vision.frames:
            raise ValueError(f"data.example.images.frames is {images.frames}, model.vision.frames {vision.frames}: not enough")
        return self

    @model_validator(mode="after")
    def _best_needs_a_measure(self) -> Recipe:
        train = self.train
        if train.validation and train.validation.measure == "wer" and "asr" not in self.data.example.targets.tasks:
            raise ValueError("train.validation.measure: a model that learns no words has no WER; set it to `loss`")
        if train.average_checkpoints and train.average_checkpoints.of == "best" and train.validation is None:
            raise ValueError("train.average_checkpoints.of is `best`: set train.validation, which says what is best")
        return self

    @model_validator(mode="after")
    def _transducers_know_no_star(self) -> Recipe:
        if self.model.transducer is not None and self.data.example.targets.disputed == "skip":
            raise ValueError(
                "data.example.targets.disputed: a transducer cannot skip words; set it to `learn`, or leave the transducer out"
            )
        return self

    @model_validator(mode="after")
    def _chunks_need_a_past(self) -> Recipe:
        if self.train.dynamic_chunk and self.model.start is not None:
            raise ValueError("train.dynamic_chunk: a pretrained encoder hears whole utterances; set it to false")
        if self.train.dynamic_chunk and not self.model.encoder.causal:
            raise ValueError("train.dynamic_chunk needs model.encoder.causal: the convolution would look past the chunk")
        return self

    @model_validator(mode="after")
    def _gently_where_much_is_known(self) -> Recipe:
        """What is not said is gentler where a pretrained decoder is tuned on."""
        if self.model.start is None or self.model.start.parts != "all":
            return self
        loss, example = self.train.loss, self.data.example
        if "smoothing" not in loss.model_fields_set:
            object.__setattr__(
                self, "train", self.train.model_copy(update={"loss": loss.model_copy(update={"smoothing": 0.0})})
            )
        spec = example.augment.spec if example.augment else None
        if example.augment is not None and spec is not None:
            masks = {key: size for key, size in _GENTLE_MASKS.items() if key not in spec.model_fields_set}
            augment = example.augment.model_copy(update={"spec": spec.model_copy(update=masks)})
            example = example.model_copy(update={"augment": augment})
            object.__setattr__(self, "data", self.data.model_copy(update={"example": example}))
        return self


_GENTLE_MASKS = {"band_mels": 10, "gap_frames": 20, "gap_share": 0.1, "num_echoes": 0}
"""SpecAugment where all of a pretrained model is tuned. On short prompts the masks of a training from nothing take the loss of Whisper base
from 0.2 to 2.5 a token, these to 0.6; label smoothing over so many tokens would pull its decoder away from what it knows."""

RECIPES = Path(__file__).parent / "recipes"


def recipe_names() -> list[str]:
    """Names of the recipes that are shipped."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load_recipe(source: str, changes: Sequence[str] = ()) -> Recipe:
    """Loads a recipe from a YAML file, or a shipped one by name, with `changes` such as `train.steps=100`. Raises UserError."""
    path = Path(source)
    if not path.is_file() and source in recipe_names():
        path = RECIPES / f"{source}.yaml"
    fix = f"give a YAML file (start from a copy of {RECIPES / 'compact.yaml'}) or a shipped recipe: {', '.join(recipe_names())}"
    data = yaml_mapping(path, "training recipe", fix)
    try:
        return Recipe.model_validate(override(data, changes, Recipe))
    except ValidationError as error:
        raise UserError(explain(error, Recipe, str(path))) from None


def prepare(shards: ShardRoots, recipe: Recipe, device: torch.device | str = "cpu") -> Trainer:
    """A trainer before its first step, with tokeniser and feature normalisation made from the shards. Deterministic.

    Raises NothingToLearn; CheckpointError and UserError if `begin_with` cannot be used.
    """
    earlier = load(checkpoint_of(recipe.begin_with)) if recipe.begin_with else None
    start = open_start(recipe.model.start) if recipe.model.start else None
    sized = with_start(recipe, start)
    tokens = learnt_tokens(shards, recipe, earlier, start)
    config = sized.model_copy(update={"vocabulary": len(tokens), "vision": _with_encoder(recipe)})
    loader = Loader(shards, tokens, config.features, recipe.data)
    torch.manual_seed(recipe.train.seed)
    model = build(without_lora(config))
    if start:
        begin_pretrained(model, start, tokens.num_given)
        model.config = named(config, start)
        adapt(model)
    elif earlier:
        begin(model, earlier)
    else:
        normalise(model, loader, recipe.normaliser_batches)
    return Trainer(model.to(device), tokens, loader, recipe.train)


def with_start(recipe: Recipe, start: OpenedStart | None) -> ModelConfig:
    """The config of the model with the sizes of what it starts from. Raises UserError."""
    return filled(recipe.model, start) if start else recipe.model


def build(config: ModelConfig) -> SpeechModel:
    """The model of a config, with first values. Raises UserError where a switch is on that a pretrained network cannot have."""
    try:
        return SpeechModel(config)
    except ValueError as error:
        if config.start is None:
            raise
        raise UserError(str(error)) from error


def learnt_tokens(shards: ShardRoots, recipe: Recipe, earlier: Bundle | None, start: OpenedStart | None) -> Tokenizer:
    """The tokeniser of an earlier model, of the pretrained one with its decoder, or one that the transcripts teach, under the rules of the text.

    Raises NothingToLearn, UserError."""
    if earlier:
        return earlier.tokens
    if start and "decoder" in start.parts:
        return pretrained_tokens(start, recipe.tokens)
    rules = recipe.data.example.targets.text
    texts = (ruled(text, rules).text for text in BucketingSampler(shards, recipe.data.plan).texts())
    try:
        return Tokenizer.train(texts, recipe.tokens)
    except ValueError as error:
        raise NothingToLearn(f"{', '.join(roots_of(shards))}: {error}") from error


def begin(model: SpeechModel, earlier: Bundle) -> None:
    """Initialises a model from a trained dense one (`upcycle`). Raises UserError if their sizes or features differ."""
    if earlier.model.config.start is not None:
        raise UserError(
            "begin_with: that model has a pretrained encoder; begin with the network that it started from, in model.start"
        )
    if model.config.fbank != earlier.model.config.fbank:
        raise UserError("begin_with: that model hears other features; set model.fbank as it has it")
    hidden = [(config.encoder.hidden, config.decoder.hidden) for config in (model.config, earlier.model.config)]
    left = upcycle(model, earlier.model)
    if any(name in earlier.model.state_dict() for name in left) or (not model.config.emoe and hidden[0] != hidden[1]):
        raise UserError("begin_with: that model has other sizes; set model.encoder and model.decoder as it has them")


def _with_encoder(recipe: Recipe) -> VisionConfig | None:
    """The vision config with the name and config of the image encoder filled in. Raises UserError."""
    vision, images = recipe.model.vision, recipe.data.example.images
    if vision is None or images is None:
        return vision
    try:
        encoder = images.load()
    except (ValueError, OSError) as error:
        raise UserError(f"data.example.images: {error}") from error
    if encoder.dim != vision.dim:
        raise UserError(f"model.vision.dim is {vision.dim}, the embeddings of {images.model} have {encoder.dim}: set that")
    return vision.model_copy(update={"encoder": encoder.name, "images": images})


def languages_without_token(shards: ShardRoots, recipe: Recipe, known: Collection[str]) -> str:
    """Languages of samples of the first shards of each root that are not among those with a token, how many these are, and what can be done; empty
    where there is none.

    Such samples cannot be learnt: a label of theirs cannot be written. Raises NothingToLearn where that is so for all that there are.
    """
    if "language" not in recipe.data.example.targets.tasks:
        return ""
    usable, found, seen, looked = UsableSamples(shards, recipe.data.plan), Counter[str](), 0, Counter[int]()
    for index, (root, _) in enumerate(usable.shards):
        if looked[root] < LOOKED_AT:
            looked[root] += 1
            for language in filter(None, usable.read(index, "language")[0]["language"].to_pylist()):
                found[language] += language.lower() not in known and language.lower().split("-")[0] not in known
                seen += 1
    if seen and found.total() == seen and looked.total() == len(usable.shards):
        raise NothingToLearn(
            f"no sample of {', '.join(roots_of(shards))} has a language that there is a token for: {_without_token(found)}"
        )
    return _without_token(+found) if found.total() else ""


def _without_token(found: Mapping[str, int]) -> str:
    counts = ", ".join(f"{language} ({count})" for language, count in sorted(found.items()))
    return f"{counts}; add them to `tokens.language`, or leave `language` out of `data.example.targets.tasks`"


LOOKED_AT = 20
"""Shards of a root of which languages are looked at before a training."""


def normalise(model: SpeechModel, loader: Loader, batches: int) -> None:
    """Sets the model's feature normalisation from the first `batches` batches, augmented as in training. Raises NothingToLearn."""
    skipped = Counter[str]()

    def features() -> Iterator[torch.Tensor]:
        for batch in islice(loader.once(), batches):
            skipped.update(batch.skipped)
            yield from (batch.feature_BTM[row, :length] for row, length in enumerate(batch.length_B.tolist()))

    try:
        mean_M, std_M = statistics(features())
    except ValueError:
        left_out = ", ".join(f"{reason} {count}" for reason, count in sorted(skipped.items()))
        raise NothingToLearn(f"no sample can be used: {left_out or 'every one is shorter than one window'}") from None
    model.frontend.mean_M.copy_(mean_M)
    model.frontend.std_M.copy_(std_M)
