"""Wrong input over all commands: no traceback, the right exit code, the thing named, and nothing changed.

Most cases run in this process, as the console script does; those that need another user, a limit or a locale of their own are the same
code in a child. `python tests/benchmarks/terminal/wrong.py [WORD…]` runs those whose words hold all that is given.
"""

from __future__ import annotations

import ctypes
import hashlib
import io
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.terminal import making
from benchmarks.terminal.cases import Case, cases
from benchmarks.terminal.result import Result
from voxmill.manifests.attended import attend

LONE = (
    "config show -c nosuch.yaml",
    "verify notes.txt",
    "stats run --by tpyo",
    "verify caf\udce9",
    "tpyo",
    "revoke run --host example.org",
)
"""Cases that are also run as a process: the console script, with its start and its end."""


def run(folder: Path, parts: Iterable[str] = ()) -> Result:
    """All cases, or those whose words hold all `parts`, in an empty folder."""
    attend()
    folder.mkdir(parents=True, exist_ok=True)
    making.make(folder)
    making.train(folder)
    wrong, count = [], 0
    chosen = [case for case in cases() if all(part in f"{case.words} ({case.how})" for part in parts)]
    for case in chosen:
        count += 1
        wrong += judge(folder, case)
    for case in (one for one in chosen if one.words in LONE):
        count += 1
        wrong += judge(folder, case, lone=True)
    return Result("wrong input", count, tuple(wrong))


def judge(folder: Path, case: Case, *, lone: bool = False) -> list[str]:
    """What is not as it should be, each with the command."""
    before = tree(folder)
    code, printed = (as_process if lone or "small" in case.how else in_process)(
        folder, shlex.split(case.words), case.how.split()
    )
    found = []
    if "Traceback" in printed or "this is a bug" in printed:
        found.append("a traceback: " + printed[-600:])
    if code != case.code:
        found.append(f"exit code {code}, not {case.code}: {printed[-300:]}")
    plain = "".join(printed.split()).lower().replace("│", "")
    missing = [part for part in case.said.split(" & ") if "".join(part.split()).lower() not in plain]
    if missing:
        found.append(f"does not name {', '.join(missing)}: {printed[-400:]}")
    after = tree(folder)
    if changed := sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)):
        found.append(f"changed {', '.join(changed[:5])}")
    return [f"voxmill {case.words}{f' ({case.how})' if case.how else ''}: {one}" for one in found]


def in_process(folder: Path, words: list[str], how: list[str]) -> tuple[int, str]:
    """(exit code, all that was printed) of `voxmill WORDS`."""
    from voxmill.pipeline import cli

    out, argv, here = io.StringIO(), sys.argv, Path.cwd()
    with ExitStack() as stack:
        for word in how:
            if word.startswith("no-"):
                stack.enter_context(without(word[3:]))
            elif word in SURROUNDINGS:
                stack.enter_context(SURROUNDINGS[word](folder))
        stack.enter_context(redirected(out))
        sys.argv = ["voxmill", *words]
        os.chdir(folder)
        try:
            cli.main()
            code = 0
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
        finally:
            sys.argv = argv
            os.chdir(here)
    return code, out.getvalue()


@contextmanager
def redirected(out: io.StringIO) -> Iterator[None]:
    """Whatever is printed. The server thread of a run's gate puts `sys.__stdout__` and its like back, so these are others too."""
    names = ("stdout", "stderr", "__stdout__", "__stderr__")
    before = {name: getattr(sys, name) for name in names}
    try:
        for name in names:
            setattr(sys, name, out)
        yield
    finally:
        for name, stream in before.items():
            setattr(sys, name, stream)


def as_process(folder: Path, words: list[str], how: list[str]) -> tuple[int, str]:
    voxmill = Path(sys.executable).with_name("voxmill")

    def small() -> None:  # as a disk that is full, as far as a test can have one anywhere
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))

    done = subprocess.run(
        [voxmill, *map(os.fsencode, words)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=100,
        check=False,
        preexec_fn=small if "small" in how else None,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


@contextmanager
def without(package: str) -> Iterator[None]:
    """As if a package were not installed: whatever imports it fails as Python fails then."""

    class Refuse:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name.partition(".")[0] == package:
                raise ModuleNotFoundError(f"No module named '{package}'", name=package)

    def forgotten(name: str) -> bool:  # and whoever of ours has imported it has to do so again
        return name.partition(".")[0] == package or name.startswith("voxmill.models")

    kept = {name: module for name, module in sys.modules.items() if forgotten(name)}
    for name in kept:
        del sys.modules[name]
    finder = Refuse()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if forgotten(name)]:
            del sys.modules[name]
        sys.modules.update(kept)


@contextmanager
def poor(folder: Path) -> Iterator[None]:
    """As a user who may read everything and write nothing."""
    changed = [
        (path, path.stat().st_mode)
        for path in (folder / "run", *(folder / "run").rglob("*"), folder / "locked")
        if not path.is_symlink()
    ]
    for path, mode in changed:
        path.chmod(mode & ~0o222 | 0o555 if path.is_dir() else mode & ~0o222 | 0o444)
    try:
        with unprivileged():
            yield
    finally:
        for path, mode in changed:
            path.chmod(mode)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root without its right to pass over permissions (CAP_DAC_OVERRIDE), in this thread; nothing for anybody else."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    head, rights = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(head, rights) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    effective = rights[0]
    try:
        rights[0] = effective & ~0b110
        if libc.capset(head, rights) != 0:
            raise OSError(ctypes.get_errno(), "capset")
        yield
    finally:
        rights[0] = effective
        libc.capset(head, rights)


@contextmanager
def variables(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def stores(folder: Path) -> AbstractContextManager[None]:
    """A store at an address where nobody answers."""
    return variables(
        AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_MAX_ATTEMPTS="1",
        AWS_EC2_METADATA_DISABLED="true",
    )  # fmt: skip


SURROUNDINGS: dict[str, Callable[[Path], AbstractContextManager[None]]] = {
    "poor": poor,
    "stores": stores,
    "offline": lambda folder: variables(VOXMILL_OFFLINE="1"),
}


def tree(folder: Path) -> dict[str, str]:
    """Every file and folder with its bytes."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink() or path.is_dir():
            found[name] = os.readlink(path) if path.is_symlink() else "folder"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def chosen(words: Iterable[str]) -> list[Case]:
    return [case for case in cases() if all(word in f"{case.words} {case.how}" for word in words)]


def main() -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="voxmill-wrong-") as folder:
        result = run(Path(folder), sys.argv[1:])
    for line in result.wrong:
        print(line)
    print(f"{result.cases} cases, {len(result.wrong)} wrong, {time.monotonic() - began:.0f} s")
    sys.exit(1 if result.wrong else 0)


if __name__ == "__main__":
    main()
