"""A sample of the wrong input that `check-terminal` tries: what needs neither a finished run nor a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.terminal import making, wrong
from benchmarks.terminal.cases import NO_CONFIGS, OF_A_CONFIG, OF_A_RUN, TYPED, WRONG_USE, Case, cases, of_configs, of_runs

EVERY = 5
ROOTS = ("nosuch", "notes.txt", "nothing", "loop", *making.STATES)
SAMPLE = [
    *[case for case in of_runs() if case.code == WRONG_USE and any(f" {root}" in case.words for root in ROOTS)][::EVERY],
    *[case for case in of_configs() if "check" not in case.words][::EVERY],
    *[Case(*row) for row in TYPED],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wrong")
    making.sketch(made)
    return made


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: ascii(case.words[:60]))
def test_wrong_input_is_named_and_changes_nothing(case: Case, folder: Path) -> None:
    assert wrong.judge(folder, case) == []


def test_a_case_that_is_not_as_it_should_be_is_found(folder: Path) -> None:
    assert "exit code 2, not 3" in wrong.judge(folder, Case("config show -c nosuch.yaml", 3, "nosuch"))[0]
    assert "does not name tpyo" in wrong.judge(folder, Case("config show -c nosuch.yaml", 2, "tpyo"))[0]
    assert "changed x.yaml" in wrong.judge(folder, Case("config init -o x.yaml", 0, "x.yaml"))[0]


def test_every_command_is_tried() -> None:
    from voxmill.pipeline.cli import app

    tried = {case.words.split(" ")[0] for case in cases()} | {" ".join(case.words.split(" ")[:2]) for case in cases()}
    named = (
        command.name or str(command.callback.__name__).rstrip("_") for command in app.registered_commands if command.callback
    )
    names = {name.replace("_", "-") for name in named}
    groups = {
        f"{group.name} {command.name or str(command.callback.__name__)}"
        for group in app.registered_groups
        for command in (group.typer_instance.registered_commands if group.typer_instance else [])
        if command.callback
    }
    assert sorted((names | groups) - tried) == []
    assert len(list(cases())) >= 150
    assert len(NO_CONFIGS) * len(OF_A_CONFIG) + len(OF_A_RUN) * len(ROOTS) >= 150
