"""A recogniser of the user's own: any class with the `Transcriber` protocol, named in the config."""

from __future__ import annotations

from typing import Literal, cast

from voxmill.operators.contract.adapters import Transcriber
from voxmill.operators.contract.user_code import UserCode, UserCodeError
from voxmill.operators.transcribe.engine_config import EngineSettings


class UserEngineConfig(EngineSettings, UserCode):
    """Code of yours as a recogniser. `device`, `gpus` and `threads` say what its workers are given; what it does with them is up to it."""

    kind: Literal["python"] = "python"
    """`python`, or a name that an installed package has registered under `voxmill.transcribers`."""
    model: str = ""
    """Weights of `voxmill models`, or a folder, that your code reads: their hash becomes part of what it made. Empty: none."""


def make_engine(config: UserEngineConfig) -> Transcriber:
    """The user's recogniser, loaded. Raises UserCodeError where it is none."""
    engine = config.make()
    if not (callable(getattr(engine, "transcribe", None)) and isinstance(getattr(engine, "model", None), str)):
        raise UserCodeError(
            f"`{config.call}` is no recogniser: it needs `transcribe(clips)` and a text `model`, see `Transcriber`"
        )
    return cast(Transcriber, engine)
