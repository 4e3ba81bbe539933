"""Which weights a config loads, and which of them are missing, with sizes, licences and the command that fetches them."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from voxmill.operators.label.merge import active_labellers
from voxmill.operators.label.translation import TranslationConfig
from voxmill.operators.transcribe.whisperx import WhisperXConfig
from voxmill.operators.weights import registry as weights
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.preflight.issues import Issue, error


def named(config: RunConfig) -> dict[str, str]:
    """Name or folder of each model that the stages load -> the config key that names it first."""
    wanted: dict[str, str] = {}
    if config.segment.model:
        wanted.setdefault(config.segment.model, "segment.model")
    for engine in config.transcribe:
        if not engine.model:  # code of the user's own that loads none
            continue
        wanted.setdefault(engine.model, f"engine {engine.name}")
        if isinstance(engine, WhisperXConfig):
            for language, folder in engine.aligners.items():
                wanted.setdefault(folder, f"engine {engine.name}, aligners.{language}")
    for labeller in active_labellers(config.label, config.labels):
        if model := getattr(labeller, "model", None):
            wanted.setdefault(model, f"labeller {labeller.name}")
        if isinstance(labeller, TranslationConfig):
            wanted.setdefault(labeller.detector, f"labeller {labeller.name}, detector")
    return wanted


def missing(config: RunConfig) -> Iterator[Issue]:
    """Weights that are not here, in one issue per way of getting them. Weights inside installed packages count as present."""
    fetched, rest = list[str](), dict[str, list[str]]()
    for name, what in named(config).items():
        entry = weights.find(name)
        if entry is None:
            if not Path(name).expanduser().is_dir():
                near = get_close_matches(name, weights.registry(), n=1, cutoff=0.5)
                fix = f"did you mean `{near[0]}`?" if near else "`voxmill models list` names those that are known"
                yield error(f"{what}: `{name}`", "is neither the name of known weights nor a folder", fix)
        elif not weights.is_ready(name):
            (fetched if entry.kind == "hub" else rest.setdefault(entry.fix(name), [])).append(name)
    if fetched:
        sizes = [entry.megabytes or 0.0 for entry in map(weights.find, fetched) if entry is not None]
        total = sum(sizes)
        all_of = f", {size(total)} in all" if len(fetched) > 1 else ""
        fix = f"voxmill models fetch {' '.join(fetched)}"
        yield error(_list(fetched), f"are not here{all_of}", fix, external=True)
    for fix, names in rest.items():
        yield error(_list(names), "are not here", fix, external=True)


def _list(names: list[str]) -> str:
    described = [
        f"{name} ({size(entry.megabytes)}, licence {entry.licence})" for name in names if (entry := weights.find(name))
    ]
    return f"weights {', '.join(described)}"


def size(megabytes: float | None) -> str:
    """Megabytes in words.

    >>> size(1620), size(0.9), size(44.7), size(None)
    ('about 1.6 GB', 'about 1 MB', 'about 45 MB', 'size unknown')
    """
    if not megabytes:
        return "size unknown"
    return f"about {megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"about {max(1, round(megabytes))} MB"
