"""The config of one command: from `--config`, from sources on the command line, or from the `config.yaml` of the run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from voxmill.manifests import user_input
from voxmill.manifests.errors import UserError
from voxmill.manifests.overrides import override
from voxmill.operators.crawl.corpora.layout_table import BY_KIND, CORPORA
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.reconcile.choose import ANY
from voxmill.operators.reconcile.reconcile import ReconcileConfig
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.load_config import parse_config, read_config, recipe_of
from voxmill.pipeline.preflight.places import probe_exists
from voxmill.pipeline.preflight.unusable_sources import PLACEHOLDER
from voxmill.pipeline.resolve.cli_sources import add
from voxmill.pipeline.resolve.config_file import new_config_text, updated_config_text
from voxmill.pipeline.resolve.engine_choice import RECIPES, choose_detector, choose_engines
from voxmill.pipeline.resolve.saved_config import CONFIG, read
from voxmill.pipeline.state.run import Run


@dataclass(frozen=True, slots=True)
class ResolvedConfig:
    """A config, and what the user is told about it."""

    config: RunConfig
    recipe: str | None = None
    """Name of the shipped recipe, if the config is one, unchanged."""
    notes: tuple[str, ...] = ()
    """What was chosen for the user and why, one line each."""
    text: str | None = None
    """New content of `RUN/config.yaml`; None leaves it as it is."""
    saved_as: str | None = None
    """Where a config that was made here is kept."""


def resolve_config(
    inputs: Sequence[str] | None,
    config: str | None,
    root: str | None,
    changes: Sequence[str] | None = None,
    language: str | None = None,
    licence: str | None = None,
    contact: str | None = None,
) -> ResolvedConfig:
    """The config for these arguments: `inputs` are folders, files and addresses, `root` is the run, `changes` are `--set` options.

    Writes nothing. Raises UserError, ConfigError, and NoEngine if no installed recogniser knows the language.
    """
    inputs, changes = inputs or (), changes or ()
    kept = Run(root).uri(CONFIG) if root else None
    own = kept if kept and probe_exists(kept) is True else None
    facts = {key: value for key, value in (("language", language), ("licence", licence)) if value}
    if config is not None and own is not None and _same_file(config, own):
        config = None
    if facts and not inputs:
        raise UserError(
            f"--{next(iter(facts))} applies to sources on the command line only; for those in a config: --set sources.NAME.{next(iter(facts))}=…"
        )
    _check(facts)
    if config is not None and not inputs:
        return ResolvedConfig(parse_config(_changed(read_config(config), changes, contact), config), recipe_of(config))
    if config is not None and own is not None:
        raise UserError(f"{root} has a config of its own, {own}: leave --config out, or give another --out")
    if own is not None:
        return _continued(own, str(root), inputs, changes, facts, contact)
    if not inputs:
        raise UserError(_no_sources_message(root))
    if config is not None:
        return _with_config(config, root, inputs, changes, facts, contact)
    if root and probe_exists(Run(root).uri("run.json")) is True:
        raise UserError(f"{root} was made with a config: give it as --config, and these sources are added to its own")
    return _new(root, inputs, changes, facts, contact)


def _check(facts: dict[str, str]) -> None:
    for key, value in facts.items():
        try:
            SourceConfig.model_validate({"name": "one", "path": ".", key: value})
        except ValidationError as error:
            raise UserError(f"--{key}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def _new(
    root: str | None, inputs: Sequence[str], changes: Sequence[str], facts: dict[str, str], contact: str | None
) -> ResolvedConfig:
    chosen = choose_engines(facts.get("language"))
    sources = add((), inputs, facts)
    data: dict[str, Any] = {"sources": sources, "transcribe": [*chosen.transcribe, *_given(sources)]}
    if recipe := RECIPES.get(chosen.code or ""):
        data = read_config(recipe) | data
        data.pop("crawl", None)
    elif chosen.code:
        data["select"] = {"languages": [chosen.code]}
    if segment := choose_detector():
        data["segment"] = segment
    if (first := chosen.transcribe[0]["name"]) != "whisperx":
        data["reconcile"] = {"prefer": {key: list(names) for key, names in ReconcileConfig().prefer.items()} | {ANY: [first]}}
    data["executor"] = {"kind": "local"}
    parsed = parse_config(data := _changed(data, changes, contact), "the command line")
    notes = (*_corpus_notes(sources, parsed), *chosen.notes)
    return ResolvedConfig(parsed, None, tuple(notes), new_config_text(parsed, root, notes), _place_of(root))


def _given(sources: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The engine `given`, where one of the sources is a corpus."""
    return [{"kind": "given", "name": "given"}] if any(source.get("kind") in CORPORA for source in sources) else []


def _corpus_notes(sources: Sequence[dict[str, Any]], config: RunConfig) -> Iterator[str]:
    """What a folder was taken for, and what becomes of its transcripts."""
    name = next((engine.name for engine in config.transcribe if engine.kind == "given"), None)
    used = (
        f"its transcripts are an opinion beside the recognisers (engine `{name}`); `voxmill audit` ranks those they contradict"
        if name
        else "its transcripts are not used: for that, add {kind: given, name: given} to `transcribe`"
    )
    for source in sources:
        if layout := BY_KIND.get(str(source.get("kind"))):
            yield f"{source.get('path') or source.get('url')} is taken for {layout.title} (kind: {layout.kind}): {used}"


def _with_config(
    config: str, root: str | None, inputs: Sequence[str], changes: Sequence[str], facts: dict[str, str], contact: str | None
) -> ResolvedConfig:
    """`--config` and sources together. The sources of a shipped recipe are placeholders and are replaced; those of a file are kept."""
    data = read_config(config)
    listed = data.get("sources")
    theirs = listed if isinstance(listed, list) and not recipe_of(config) else []
    sources = add(theirs, inputs, facts)
    if recipe_of(config) and isinstance(data.get("transcribe"), list):
        data["transcribe"] = [*data["transcribe"], *_given(sources)]
    data = _changed(data | {"sources": sources}, changes, contact)
    parsed = parse_config(data, config)
    notes = (
        f"the config {config}, with {'these sources' if recipe_of(config) else 'its sources and these'}",
        *_corpus_notes(data["sources"], parsed),
    )
    return ResolvedConfig(parsed, None, tuple(notes), new_config_text(parsed, root, notes), _place_of(root))


def _continued(
    own: str, root: str, inputs: Sequence[str], changes: Sequence[str], facts: dict[str, str], contact: str | None
) -> ResolvedConfig:
    """The run's own config.yaml, with the user's edits, plus the new sources and changes."""
    (before, open_secrets), text = read(root), user_input.text(own, "config file", "mend it")
    listed = before.get("sources")
    if inputs and not isinstance(listed, list):
        raise UserError(f"{own}: `sources` is no list: correct it, or give another --out")
    more_sources = {"sources": add(listed, inputs, facts)} if inputs and isinstance(listed, list) else {}
    data = _changed(before | more_sources, changes, contact)
    parsed = parse_config(data, own)
    more = len(data["sources"]) - len(before["sources"])
    notes = (
        f"{own} is this run's config" + (f"; {more} source{'s are' if more > 1 else ' is'} added to it" if more else ""),
        *_changed_facts(before["sources"], data["sources"]),
        *_corpus_notes(data["sources"][len(before["sources"]) :], parsed),
    )
    return ResolvedConfig(
        parsed, None, notes, updated_config_text(text, data, parsed) if data != before or open_secrets else None
    )


def _changed_facts(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What --language and --licence change of sources that are there already: it holds for all that they brought, too."""
    for old, new in zip(before, after, strict=False):
        for key in ("language", "licence"):
            if old.get(key) != new.get(key):
                yield f"source {new.get('name')}: {key} is {new.get(key)} from now on, of what was fetched before as well (it was {old.get(key) or 'not stated'})"


def text_with(root: str, changes: Sequence[str]) -> str | None:
    """New content of `RUN/config.yaml` with these `--set`; None where the run has none, or would stay as it is. Raises UserError, ConfigError."""
    return _continued(Run(root).uri(CONFIG), root, (), changes, {}, None).text if has_config(root) else None


def has_config(root: str) -> bool:
    """Whether the run has a config.yaml of its own, for its user to edit."""
    return probe_exists(Run(root).uri(CONFIG)) is True


def _changed(data: dict[str, Any], changes: Sequence[str], contact: str | None) -> dict[str, Any]:
    """The config data with `--set`, and with `--contact` (or VOXMILL_CONTACT) if it names no contact or a placeholder."""
    crawl = data.get("crawl")
    if contact and isinstance(crawl, dict | None) and (crawl or {}).get("contact") in (None, PLACEHOLDER):
        data = data | {"crawl": {**(crawl or {}), "contact": contact}}
    return override(data, changes, RunConfig)


def _place_of(root: str | None) -> str | None:
    return None if root is None else Run(root).uri(CONFIG)


def _no_sources_message(root: str | None) -> str:
    if root and probe_exists(Run(root).uri("run.json")) is True:
        return f"{root} was made with a config: give it as --config, and the run goes on"
    return "no sources: name folders, files or addresses (`voxmill run FOLDER -o RUN`), or give a --config"


def _same_file(config: str, own: str) -> bool:
    if "://" in own:
        return config == own
    return os.path.exists(config) and Path(config).resolve() == Path(own).resolve()
