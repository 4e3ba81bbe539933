"""README and docs say what the code does: commands, options, keys, reasons, SQL, Python, links. Generated pages are current."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

import samples
from docs import doctest_blocks, reference, snippets
from docs.snippets import FILES, ROOT, Snippet, anchors, blocks, commands, inline, links
from speech.packaged import TWO_CITIES
from speech.waves import write_wave
from voxmill.manifests.catalog import query
from voxmill.manifests.catalog_script import catalog_sql
from voxmill.manifests.config_base import models_in
from voxmill.manifests.overrides import override
from voxmill.manifests.reasons import REASONS
from voxmill.models.training.recipe import Recipe, load_recipe
from voxmill.pipeline.cli import app
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.load_config import load_config, parse_config, read_config
from voxmill.pipeline.reports.calibrate import ReferenceUtterance
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.writer import pack_shard

GROUP: Any = typer.main.get_command(app)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
SIZE_OF_README = 8 * 1024
BLOCKS = list(blocks("sh", "yaml", "python", "sql", "json", ""))


def of(language: str) -> list[Snippet]:
    return [block for block in BLOCKS if block.language == language]


@pytest.mark.parametrize("module", [doctest_blocks, reference, snippets], ids=lambda module: module.__name__)
def test_examples_in_docstrings(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def test_generated_pages_are_current() -> None:
    for page, text in reference.pages().items():
        file = reference.DOCS / page
        assert file.exists(), f"{page}: run `make docs`"
        assert file.read_text(encoding="utf-8") == text, f"{page}: run `make docs`"


def test_every_generated_page_is_generated() -> None:
    noted = {
        f.relative_to(reference.DOCS).as_posix() for f in FILES if f.read_text(encoding="utf-8").startswith(reference.NOTE)
    }
    assert noted == set(reference.pages())


@pytest.mark.parametrize("record", reference.records(), ids=lambda record: record.__name__)
def test_every_column_is_explained(record: type) -> None:
    assert {field.name for field in fields(record)} == set(reference.attribute_docs(record))


def test_the_readme_is_short() -> None:
    assert (ROOT / "README.md").stat().st_size <= SIZE_OF_README


# Commands


def command_of(words: list[str]) -> tuple[str, Any, list[str]]:
    """The command that words begin with, and the rest of the words."""
    found, names, rest = GROUP, ["voxmill"], list(words)
    while hasattr(found, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in found.commands, f"no command `{' '.join([*names, rest[0]])}`"
        names.append(rest.pop(0))
        found = found.commands[names[-1]]
    return " ".join(names), found, rest


@pytest.mark.parametrize(
    ("place", "words"), list(commands()), ids=lambda value: str(value) if isinstance(value, Snippet) else None
)
def test_command_lines_in_blocks_parse(place: Snippet, words: list[str]) -> None:
    name, command, rest = command_of(words)
    rest = [word for word in rest if word != "…"]
    context = command.make_context(name, list(rest))
    check_values(context.params, name)


def check_values(params: dict[str, Any], name: str) -> None:
    """Keys of `--set` and `--what-if`, reasons of `--retry`, SQL of `--sql`."""
    changes = list(params.get("change") or ())
    if name == "voxmill train" or params.get("training"):
        load_recipe("compact", changes)
    elif changes:
        override(read_config("english"), changes, RunConfig)
    for pair in params.get("what_if") or ():
        load_config("english", [pair])
    for reason in params.get("retry") or ():
        assert reason in REASONS
    if sql := params.get("sql"):
        query(catalog(), sql.replace("SELECT …", "SELECT 1"))


def test_commands_in_sentences_exist() -> None:
    """Those in inline code may leave things out; what they do say must exist."""
    for code in inline():
        if not code.text.startswith("voxmill "):
            continue
        words = code.text.split()[1:]
        if words[0] in ("…", "-h"):
            continue
        name, command, rest = command_of([word for word in words if word != "…"])
        known = {option for one in command.params for option in one.opts} | {
            "-h",
            "--help",
            "--version",
            "--install-completion",
        }
        for word in rest:
            if word.startswith("-"):
                assert word.split("=")[0] in known, f"{code}: `{name}` has no option {word}"


CHEAP = ("config init", "config show", "config schema", "models list")


def test_cheap_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = 0
    for place, words in commands():
        if " ".join(words[:2]) not in CHEAP or ("-c" in words and words[words.index("-c") + 1].endswith(".yaml")):
            continue
        for old in tmp_path.glob("*.yaml"):
            old.unlink()
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, f"{place}: {words}: {result.output}"
        ran += 1
    assert ran >= 5


@pytest.mark.parametrize("words", [w for _, w in commands() if w[:2] == ["run", "talks/"] and "--dry-run" in w])
def test_a_folder_is_looked_at(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talks").mkdir()
    write_wave(tmp_path / "talks" / "one.wav", np.zeros(16_000, dtype=np.int16))
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "transcribe" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["talks"], "nothing was written"


@pytest.mark.slow
def test_the_lines_of_the_readme_lead_from_a_folder_to_shards(tmp_path: Path) -> None:
    """In their order, on real speech; without those that need the web."""
    (tmp_path / "talks").mkdir()
    shutil.copy(TWO_CITIES.path, tmp_path / "talks")
    lines = [words for place, words in commands() if place.file.name == "README.md" and "runs/talks" in " ".join(words)]
    lines = [words for words in lines if not any(word.startswith("http") for word in words)]
    assert [words[0] for words in lines] == ["run", "run", "verify", "stats", "stats", "run", "train"]
    for words in lines:
        done = subprocess.run(
            [sys.executable, "-m", "voxmill.pipeline.console_script", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    assert list((tmp_path / "runs" / "talks" / "shards").glob("*.tar"))


def test_every_make_target_exists() -> None:
    found = {match for block in of("sh") for match in re.findall(r"^make ([a-z][a-z-]*)", block.text, re.MULTILINE)}
    found |= {match for code in inline() for match in re.findall(r"^make ([a-z][a-z-]*)", code.text)}
    assert {"demo", "test", "docs"} <= found
    for target in found:
        kind, _, name = target.partition("-")
        script = ROOT / "tests" / "benchmarks" / f"{kind}_{name.replace('-', '_')}.py"
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE) or script.exists() or target.endswith("-"), target


def test_every_measurement_is_listed() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for script in sorted((ROOT / "tests" / "benchmarks").glob("*.py")):
        kind, _, name = script.stem.partition("_")
        if kind in ("bench", "check", "experiment"):
            assert f"| `make {kind}-{name.replace('_', '-')}` |" in text, script.name


# Configs, names, SQL, Python


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_configs_are_configs(block: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a run or of a training. Code of a user's own that a config names is the Python of the same page."""
    for module, name in re.findall(r"call: \"?(\w+\.\w+):(\w+)", block.text):
        (code,) = [one for one in of("python") if one.file == block.file and f"class {name}" in one.text]
        file = (tmp_path / module.replace(".", "/")).with_suffix(".py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(code.text)
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.delitem(sys.modules, module.partition(".")[0], raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    data = yaml.safe_load(block.text)
    if data.keys() <= Recipe.model_fields.keys():
        Recipe.model_validate(data)
    else:
        parse_config(data, str(block))


NAMED = re.compile(
    r"(list|crawl|decode|units|segment|frames|transcribe|reconcile|labels?|duplicates|redact|select|pack|executor)(\.[a-z_]+)+"
)


def test_keys_and_reasons_in_sentences_exist() -> None:
    wrong = []
    for code in inline():
        name = code.text.removeprefix("--retry ").split("=")[0].split(":")[0]
        if NAMED.fullmatch(name) and name not in REASONS and not has_key(RunConfig, name.split(".")):
            wrong.append(f"{code}: {code.text}")
    assert wrong == []


def test_training_keys_in_sentences_exist() -> None:
    wrong = []
    for code in inline():
        name = code.text.split("=")[0].split(":")[0]
        if re.fullmatch(r"(train|model|data|tokens)(\.[a-z_]+)+", name) and not has_key(Recipe, name.split(".")):
            wrong.append(f"{code}: {code.text}")
    assert wrong == []


def has_key(model: type[BaseModel], path: list[str]) -> bool:
    if path[0] not in model.model_fields:
        return False
    inside = list(models_in(model.model_fields[path[0]].annotation))
    return len(path) == 1 or any(has_key(one, path[1:]) for one in inside)


def catalog() -> Any:
    """The views of a run without rows."""
    import duckdb

    con = duckdb.connect()
    con.execute(catalog_sql({}).replace("read_text('run.json')", "(SELECT '{}' AS content)"))
    return con


@pytest.mark.parametrize("block", of("sql"), ids=str)
def test_sql_can_be_asked(block: Snippet) -> None:
    con = catalog()
    for statement in block.text.split(";"):
        if statement.strip() and not statement.strip().startswith("--"):
            query(con, statement)


def test_views_in_sentences_exist() -> None:
    con = catalog()
    for code in inline():
        if re.fullmatch(r"FROM \w+;?", code.text):
            query(con, code.text)


@pytest.mark.parametrize("block", of("json"), ids=str)
def test_samples_of_calibration_are_valid(block: Snippet) -> None:
    for line in block.text.splitlines():
        ReferenceUtterance.model_validate(json.loads(line))


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_python_compiles_and_imports_what_is_there(block: Snippet) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("voxmill"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                assert hasattr(module, alias.name), f"{block}: {node.module} has no {alias.name}"


READERS = [
    block
    for block in of("python")
    if "/shards" in block.text and not re.search(r"^(from|import) (datasets|lhotse)", block.text, re.MULTILINE)
]


@pytest.mark.parametrize("block", READERS, ids=str)
def test_python_that_reads_shards_runs(
    block: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = {one.key: one for one in samples.several()}
    for run in set(re.findall(r"runs/\w+", block.text)):
        for plan in plan_shards([one.entry for one in made.values()], 1, 10**9):
            pack_shard(plan, [made[entry.key] for entry in plan.entries], samples.read_audio, str(tmp_path / run / "shards"))
    exec(compile(block.text, str(block), "exec"), {})  # noqa: S102 - the page is ours
    assert capsys.readouterr().out or list((tmp_path / "exports").iterdir())


# Links


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(file: Path) -> None:
    for link in links(file):
        if re.match(r"https?://|mailto:", link):
            assert re.fullmatch(r"https?://[\w.-]+\.[a-z]+(/\S*)?", link), link
            continue
        target, _, anchor = link.partition("#")
        place = (file.parent / target).resolve() if target else file
        assert place.exists(), f"{link}: there is no such file"
        assert not anchor or anchor in anchors(place), f"{link}: there is no such heading"


NOWHERE = re.compile(
    r"(?<![\w.])/(work|root|opt|home/\w+)/|pypi\.org|pythonhosted|registry\.npmjs|deb\.debian\.org|\bhttps?://huggingface\.co"
)


def test_no_page_names_a_machine_or_a_registry() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {match[0]}" for file in FILES if (match := NOWHERE.search(file.read_text(encoding="utf-8")))
    ]
    assert found == []
