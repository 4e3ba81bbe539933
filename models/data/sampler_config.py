"""The settings of the sampler: which samples are read, how often, in which order, and how batches are cut."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import UserError, explain
from voxmill.manifests.records import Split

Weight = Annotated[float, Field(gt=0)]
"""A positive factor."""


class SamplingConfig(Settings):
    """How often the samples of a group are read: groups by columns of the sidecars, their shares by a temperature and by weights.

    The share of a group in what is read is in proportion to its weight × (its hours)^temperature, as in multilingual training (XLM-R, NeMo).
    """

    by: tuple[str, ...] = ()
    """Columns whose values make the groups, such as `[language]` or `[language, tier]`: any plain column of the sidecars, `root` (the number
    of the folder of shards, from 1), or `labels.NAME` (the first value of a label, such as `[labels.gender]`). Empty: no groups."""
    temperature: float = Field(default=1.0, ge=0, le=1)
    """Exponent of a group's hours. 1: as much as there is of it; 0.5: small groups are read more often, large ones less; 0: all groups
    alike. No sample is read more than 100 times in an epoch, however small its group."""
    weights: dict[str, dict[str, Weight]] = {}
    """Factors of a group's share, by column and value: `{language: {cy: 2, en: 0.5}}`. What is not named has 1; with `temperature: 0` they
    are the shares themselves. A missing value is called `null`."""

    @model_validator(mode="after")
    def _weights_have_a_column(self) -> SamplingConfig:
        if unknown := sorted(self.weights.keys() - set(self.by)):
            raise ValueError(f"weights of `{unknown[0]}`, which is not in `by`: add it there")
        if not self.by and self.temperature != 1:
            raise ValueError("a temperature, and no columns: set `by`, for example to [language]")
        return self


class SamplerConfig(Settings):
    """Which samples are read, in which order, and how batches are cut."""

    split: Split = "train"
    """The split that is read: `train`, `dev` or `test`."""
    where: str | None = None
    """SQL condition over the columns of the sidecars, `seconds` and `root` (the number of the folder of shards, from 1):
    `tier = 'high' and language = 'en'`."""
    deny: tuple[str, ...] = ()
    """Tombstone folders of runs, or text files of ids and hashes: samples so named are left out, and counted as `denied`."""
    min_seconds: float = 0.1
    """Shorter samples (s) are left out, and counted as `too_short`."""
    max_seconds: float = 30.0
    """Longer samples (s) are left out, and counted as `too_long`."""
    root_weights: tuple[Weight, ...] = ()
    """For several folders of shards, in their order: the share of each in the audio that is read (only their ratio counts). Empty: by
    their hours."""
    sample: SamplingConfig = SamplingConfig()
    batch_seconds: float = Field(default=360.0, gt=0)
    """Most audio in a batch (s), padding included (360 s are WeNet's 36,000 frames). One longer sample is a batch of its
    own."""
    batch_size: int = Field(default=128, ge=1)
    """Most utterances in a batch."""
    bucket_ratio: float = Field(default=1.25, gt=1)
    """Ratio of the longest to the shortest sample of a bucket: bounds padding. Only what is left over at the end of an epoch is put
    together beyond it."""
    window: int = Field(default=16, ge=1)
    """Shards whose samples are shuffled together."""
    sortagrad: int = Field(default=0, ge=0)
    """Epochs at the start of a training that go from the shortest batches to the longest (Deep Speech 2; ESPnet's option of this name).
    In them the whole epoch is one window, held in memory."""
    seed: int = 0
    """Seed of the order of shards, samples and batches."""
    shuffle: bool = True
    """Shuffle in every epoch; off: the order of the shards."""


def sampler_config(**asked: Any) -> SamplerConfig:
    """The config from command line options. Raises UserError."""
    try:
        return SamplerConfig.model_validate(asked)
    except ValidationError as error:
        raise UserError(explain(error, SamplerConfig, "command line")) from None
