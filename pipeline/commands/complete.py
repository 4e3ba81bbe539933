"""Shell completion (TAB) for recipes, configs, runs, reasons and weights. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
TRAINING_RECIPES = Path(__file__).resolve().parents[2] / "models/training/recipes"


def configs(incomplete: str) -> list[str]:
    """Shipped recipes by name, and YAML files."""
    return _beginning(incomplete, [*(path.stem for path in RECIPES.glob("*.yaml")), *_beside(incomplete, (".yaml", ".yml"))])


def training_recipes(incomplete: str) -> list[str]:
    """Shipped recipes of trainings by name, and YAML files."""
    shipped = (path.stem for path in TRAINING_RECIPES.glob("*.yaml"))
    return _beginning(incomplete, [*shipped, *_beside(incomplete, (".yaml", ".yml"))])


def model_formats(incomplete: str) -> list[str]:
    """What a model is exported as."""
    return _beginning(incomplete, ("safetensors", "onnx", "sherpa-onnx", "transformers"))


def decoding_methods(incomplete: str) -> list[str]:
    """How a model's predictions are searched."""
    of_ctc = ("greedy", "beam", "rescore")
    return _beginning(incomplete, (*of_ctc, "attention", "attention-beam", "transducer", "transducer-beam"))


def recipes(incomplete: str) -> list[str]:
    """Names of the shipped recipes."""
    return _beginning(incomplete, (path.stem for path in RECIPES.glob("*.yaml")))


def runs(incomplete: str) -> list[str]:
    """Folders that hold a run, and folders on the way to one."""
    return _beginning(incomplete, _beside(incomplete, ()))


def reasons(incomplete: str) -> list[str]:
    """Rejection reasons, such as `crawl.network`."""
    from voxmill.manifests.reasons import REASONS

    return _beginning(incomplete, REASONS)


def weights(incomplete: str) -> list[str]:
    """Names of the weights that voxmill knows."""
    from voxmill.operators.weights.registry import status

    return _beginning(incomplete, (row.name for row in status()))


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


def _beside(incomplete: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    """Folders (with a slash, unless one is a run) and files with these suffixes, where the incomplete word points."""
    folder, _, _ = incomplete.rpartition("/")
    for path in Path(folder or ("/" if incomplete.startswith("/") else ".")).glob("*"):
        name = f"{folder}/{path.name}" if folder or incomplete.startswith("/") else path.name
        if path.is_dir():
            yield name if (path / "run.json").exists() and not suffixes else f"{name}/"
        elif path.name.endswith(suffixes) and suffixes:
            yield name
