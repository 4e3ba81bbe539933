"""A labeller of the user's own: any class with the `Labeller` protocol, named in the config."""

from __future__ import annotations

from typing import Literal, cast

from pydantic import Field

from voxmill.manifests.records import LabelTask
from voxmill.operators.contract.adapters import Labeller
from voxmill.operators.contract.user_code import UserCode, UserCodeError
from voxmill.operators.label.labeller_config import LabellerSettings, Reads


class UserLabellerConfig(LabellerSettings, UserCode):
    """Code of yours as a labeller."""

    kind: Literal["python"] = "python"
    """`python`, or a name that an installed package has registered under `voxmill.labellers`."""
    labels: tuple[LabelTask, ...] = Field(min_length=1)
    """What it says something of: `language`, `emotion`, `sound_events`, …"""
    audio: bool = True
    """Whether it is given the audio."""
    after: tuple[Reads, ...] = ()
    """Stages beside `segment` whose results it is given: `transcribe`, `reconcile`."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """What it can be asked."""
        return self.labels

    @property
    def reads(self) -> tuple[Reads, ...]:  # type: ignore[override]
        """Stages beside `segment` whose results it looks at."""
        return self.after

    @property
    def hears(self) -> bool:  # type: ignore[override]
        """Whether it needs the audio."""
        return self.audio


def make_labeller(config: UserLabellerConfig) -> Labeller:
    """The user's labeller, loaded. Raises UserCodeError where it is none."""
    labeller = config.make()
    if not (callable(getattr(labeller, "label", None)) and isinstance(getattr(labeller, "model", None), str)):
        raise UserCodeError(f"`{config.call}` is no labeller: it needs `label(scene)` and a text `model`, see `Labeller`")
    return cast(Labeller, labeller)
