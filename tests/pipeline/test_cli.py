"""What the user is told where a command fails, and the exit code that a script sees."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from voxmill.manifests.errors import CheckFailed, Unavailable, UserError
from voxmill.manifests.storage import NondeterministicError
from voxmill.operators.weights.registry import UnknownWeights, WeightsMissing
from voxmill.pipeline import cli
from voxmill.pipeline.commands.exit_codes import DEBUG, bug, failure_of
from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.load_config import recipe_names


def failing(error: BaseException) -> Callable[[], None]:
    def run() -> None:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("mend it"), 2, "mend it"),
        (CheckFailed("it differs"), 1, "it differs"),
        (NondeterministicError("x", "a", "b"), 1, "x is committed"),
        (Unavailable("the store is away"), 3, "the store"),
        (StageError("broken"), 3, "broken"),
        (WeightsMissing("whisper-base", "not here", "fetch it"), 3, "fetch it"),
        (UnknownWeights("whisper-bas", "not known", "list them"), 2, "list them"),
        (OSError(errno.ENOSPC, "No space left on device"), 3, "the disk is full: make room"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 3, "/x"),
        (MemoryError(), 3, "out of memory"),
        (ModuleNotFoundError("no", name="sklearn.metrics"), 3, "sklearn is not installed: pip install 'voxmill["),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "a.txt/b"), 2, "a.txt/b: a file stands"),
        (FileNotFoundError(errno.ENOENT, "No such file", "b.txt"), 2, "b.txt: there is no such file"),
        (KeyError("tokens"), 70, "this is a bug of voxmill, not your mistake: KeyError: 'tokens'"),
        (ModuleNotFoundError("no", name="voxmill.nowhere"), 70, "bug"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_every_error_has_its_exit_code_and_one_line(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "app", failing(error))
    monkeypatch.setattr(sys, "argv", ["voxmill", "stats"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    printed = capsys.readouterr().err
    assert stopped.value.code == code
    assert said in printed
    assert "Traceback" not in printed


def test_a_bug_leaves_its_traceback_where_it_can_be_sent_from(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        raise ZeroDivisionError("in the middle")
    assert failure_of(raised.value) is None
    log = Path(bug(raised.value).message.split("the traceback is in ")[1].split(":")[0])
    assert 'raise ZeroDivisionError("in the middle")' in log.read_text(encoding="utf-8")
    log.unlink()
    monkeypatch.setenv(DEBUG, "1")
    assert "Traceback" in bug(raised.value).message


@pytest.mark.parametrize("words", [["verify", ""], ["stats", "--by="], ["verify", "  "], ["verify", "caf\udce9"]])
def test_a_word_that_no_command_can_mean_is_refused(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["voxmill", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert "argument" in capsys.readouterr().err


def test_who_reads_no_further_gets_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """`voxmill verify RUN | head -1`: 1 would say that the proof fails."""

    def stopped_reading() -> None:
        try:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        except BrokenPipeError:
            raise SystemExit(1)  # noqa: B904 - as typer does

    monkeypatch.setattr(cli, "app", stopped_reading)
    monkeypatch.setattr(sys, "argv", ["voxmill", "stats"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 128 + signal.SIGPIPE


def test_the_help_says_what_exit_codes_mean() -> None:
    said = " ".join(CliRunner().invoke(cli.app, ["--help"], env={"COLUMNS": "200"}).output.split())
    assert "Exit codes: 0 done; 1 the proof or the check fails; 2 wrong use; 3 something outside fails" in said


def test_the_help_of_config_init_names_every_recipe() -> None:
    said = " ".join(CliRunner().invoke(cli.app, ["config", "init", "--help"], env={"COLUMNS": "200"}).output.split())
    assert all(name in said for name in recipe_names()), said


def test_a_process_ends_with_its_code_after_all_that_was_registered() -> None:
    program = (
        "import atexit, sys, threading; from voxmill.pipeline.console_script import entry;"
        "atexit.register(print, 'last');"
        "threading.Thread(target=lambda: (threading.main_thread().join(), print('a thread'))).start();"
        "sys.argv = ['voxmill', *sys.argv[1:]]; entry()"
    )
    for words, code in ((["--version"], 0), (["nothing-like-this"], 2)):
        done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
        assert done.returncode == code
        *before, last = done.stdout.splitlines()
        assert "a thread" in before
        assert last == "last"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_as_one_that_nobody_reads(closed: str) -> None:
    voxmill = Path(sys.executable).with_name("voxmill")
    for words, code in (("--version", 0), ("config show -c english", 0), ("stats no-such-run", 2)):
        done = subprocess.run(f"exec {voxmill} {words} {closed}", shell=True, capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (code, False), words


def test_an_interrupt_while_modules_are_loaded_is_silent() -> None:
    program = (
        "import builtins, os, signal; from voxmill.pipeline import console_script\n"
        "load = builtins.__import__\n"
        "def interrupted(name, *more, **named):\n"
        "    if name == 'voxmill.pipeline.cli': os.kill(os.getpid(), signal.SIGINT)\n"
        "    return load(name, *more, **named)\n"
        "builtins.__import__ = interrupted\n"
        "console_script.entry()"
    )
    heeding = ["env", "--default-signal=INT"]  # a shell's background jobs ignore it, and so would ours
    done = subprocess.run([*heeding, sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_option_of_one_value_is_given_once() -> None:
    with pytest.raises(UserError, match="--by is given 2 times, and takes one value"):
        CliRunner().invoke(cli.app, ["stats", "run", "--by", "tier", "--by", "host"], catch_exceptions=False)
    with pytest.raises(UserError, match="no run at"):  # flags may be, and options of several values
        CliRunner().invoke(
            cli.app, ["duplicates", "nowhere", "-q", "-q", "--by", "text", "--by", "acoustic"], catch_exceptions=False
        )
