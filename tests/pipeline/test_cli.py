"""What the user is told where a command fails."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from voxmill.pipeline import cli
from voxmill.pipeline.config import recipe_names
from voxmill.pipeline.errors import missing_extra


def test_a_full_disk_is_one_line_and_a_bug_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(error: Exception) -> Callable[[], None]:
        def run() -> None:
            raise error

        return run

    monkeypatch.setattr(cli, "app", failing(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(SystemExit):
        cli.main()
    assert "the disk is full: make room" in capsys.readouterr().err
    monkeypatch.setattr(cli, "app", failing(OSError(errno.ENOTDIR, "Not a directory")))
    with pytest.raises(NotADirectoryError):
        cli.main()


def test_a_missing_package_is_an_extra_to_install() -> None:
    assert (
        missing_extra(ImportError("no", name="sklearn.metrics")) == "sklearn is not installed: pip install 'voxmill[evaluate]'"
    )
    assert missing_extra(ImportError("no", name="voxmill.models.nowhere")) is None


def test_the_help_of_config_init_names_every_recipe() -> None:
    said = " ".join(CliRunner().invoke(cli.app, ["config", "init", "--help"], env={"COLUMNS": "200"}).output.split())
    assert all(name in said for name in recipe_names()), said
