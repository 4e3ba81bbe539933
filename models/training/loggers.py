"""Loggers besides our own log: Weights & Biases and MLflow, by their own clients, which are imported only where a recipe names them.

Addresses and keys are no business of a recipe: the clients take them from the environment (`WANDB_API_KEY`, `WANDB_MODE`,
`MLFLOW_TRACKING_URI`, …). Addresses in the recipe that is logged are without their secrets. A logger that fails stops no training.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import Unavailable
from voxmill.manifests.public_form import public_text
from voxmill.manifests.storage import commit_bytes
from voxmill.manifests.user_input import json_object

LOGGERS = "loggers.json"
"""File in a training's folder: the id of its run in each logger and project, so that a resumed training goes on in the same run."""
LEFT_ALONE_S, LONGEST_S = 30.0, 600.0
"""How long a logger is left alone after its first failure (s), and after many."""


class WandbConfig(Settings):
    """Weights & Biases (`pip install wandb`); `WANDB_MODE=offline` keeps everything in the training's folder."""

    kind: Literal["wandb"]
    """Weights & Biases, by its own client."""
    project: str = "voxmill"
    """Project that the run is shown in."""
    name: str | None = None
    """Name of the run; null: the name of the training's folder."""


class MlflowConfig(Settings):
    """MLflow (`pip install mlflow-skinny`)."""

    kind: Literal["mlflow"]
    """MLflow, by its own client."""
    project: str = "voxmill"
    """Experiment that the run is shown in."""
    name: str | None = None
    """Name of the run; null: the name of the training's folder."""


LoggerConfig = Annotated[WandbConfig | MlflowConfig, Field(discriminator="kind")]


class StepSink(Protocol):
    """What takes the figures of steps."""

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Takes the figures of a step; steps come in order."""

    def close(self) -> None:
        """Ends the log; a training that goes on opens it again."""


class WandbSink:
    """Sends figures to Weights & Biases."""

    def __init__(self, config: WandbConfig, folder: Path, recipe: Mapping[str, Any], ident: str | None) -> None:
        """`ident`: the run to go on with. Raises Unavailable."""
        wandb = client(config.kind)
        self._run = wandb.init(
            project=config.project, name=config.name or folder.name, id=ident, resume="allow", dir=str(folder), config=dict(recipe),
            settings=wandb.Settings(console="off", x_disable_meta=True, disable_git=True, disable_code=True, silent=True),
        )  # fmt: skip
        self.ident: str = self._run.id

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Takes the figures of a step."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Ends the run."""
        self._run.finish()


class MlflowSink:
    """Sends figures to MLflow."""

    def __init__(self, config: MlflowConfig, folder: Path, recipe: Mapping[str, Any], ident: str | None) -> None:
        """`ident`: the run to go on with. Raises Unavailable."""
        self._mlflow = client(config.kind)
        self._client = self._mlflow.MlflowClient()
        if ident is None:
            experiment = self._mlflow.set_experiment(config.project).experiment_id
            ident = self._client.create_run(experiment, run_name=config.name or folder.name).info.run_id
            self._client.log_dict(ident, dict(recipe), "recipe.json")
        else:
            self._client.update_run(ident, "RUNNING")
        self.ident: str = ident

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Takes the figures of a step."""
        self._mlflow.log_metrics(dict(values), step=step, run_id=self.ident)

    def close(self) -> None:
        """Ends the run."""
        self._client.set_terminated(self.ident)


class PatientSink:
    """A logger whose failures are said once, and stop nothing. A client may try for minutes before it fails: after a failure it is left alone, each
    time for twice as long."""

    def __init__(self, kind: str, sink: StepSink) -> None:
        self._kind, self._sink, self._told = kind, sink, False
        self._again, self._pause = 0.0, LEFT_ALONE_S

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Takes the figures of a step."""
        if time.monotonic() < self._again:
            return
        try:
            self._sink.write(values, step)
            self._pause = LEFT_ALONE_S
        except Exception as error:  # noqa: BLE001  whatever its client raises
            self._again, self._pause = time.monotonic() + self._pause, min(2 * self._pause, LONGEST_S)
            if not self._told:
                warnings.warn(
                    f"{self._kind} takes no figures since step {step} ({type(error).__name__}): training goes on", stacklevel=2
                )
            self._told = True

    def close(self) -> None:
        """Ends the log."""
        try:
            self._sink.close()
        except Exception as error:  # noqa: BLE001  whatever its client raises
            warnings.warn(f"{self._kind} could not be closed ({type(error).__name__})", stacklevel=2)


def client(kind: Literal["wandb", "mlflow"]) -> Any:
    """The client package of a logger. Raises Unavailable."""
    try:
        return import_module(kind)
    except ImportError:
        package = {"wandb": "wandb", "mlflow": "mlflow-skinny"}[kind]
        raise Unavailable(f"train.loggers names {kind}, whose package is not installed: pip install {package}") from None


def check_loggers(configs: Sequence[LoggerConfig]) -> None:
    """Raises Unavailable if the package of a logger is not installed."""
    for config in configs:
        client(config.kind)


def open_loggers(configs: Sequence[LoggerConfig], out: str, recipe: Mapping[str, Any]) -> list[StepSink]:
    """Opens the loggers of a training, each with the run that it had before. Raises Unavailable."""
    if not configs:
        return []
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        known = json_object((folder / LOGGERS).read_bytes(), str(folder / LOGGERS), "remove it")
    except FileNotFoundError:
        known = {}
    shown = _public(recipe)
    sinks: list[StepSink] = []
    for config in configs:
        name = f"{config.kind}/{config.project}"
        ident = known.get(name)
        kind: Any = WandbSink if config.kind == "wandb" else MlflowSink
        try:
            sink = kind(config, folder, shown, ident)
        except Exception as error:
            for opened in sinks:
                opened.close()
            if isinstance(error, Unavailable):
                raise
            cause = public_text(str(error).strip().partition("\n")[0])
            raise Unavailable(f"train.loggers: {config.kind} cannot be used ({type(error).__name__}: {cause})") from None
        sinks.append(PatientSink(config.kind, sink))
        known[name] = sink.ident
        commit_bytes(folder / LOGGERS, (json.dumps(known) + "\n").encode(), replace=True)
    return sinks


def _public(value: Any) -> Any:
    """The value without secrets of addresses in it."""
    if isinstance(value, Mapping):
        return {name: _public(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_public(one) for one in value]
    return public_text(value) if isinstance(value, str) else value
