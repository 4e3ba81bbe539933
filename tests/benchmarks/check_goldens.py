"""`make check-goldens`: no hash that is in ledgers and shards can change without a unit test that says so.

Each function of `PINNED` is changed in a copy of the checkout, in every way of `mutants`, one at a time: another salt, another number, another hash
function, another slice, a field less. The goldens of its folder (`tests/*/test_goldens.py`) have to fail each time, and to pass where nothing
is changed.
"""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.report import Target, finish, full_form, heading, table
from house import FOLDERS, ROOT

PINNED: dict[str, tuple[str, ...]] = {
    "manifests": (
        "ids.SHORT", "ids.segment_id", "ids.archive_key", "ids.digest", "ids.item_id", "tombstones.mark", "tombstones.pseudonym",
        "secret_patterns.digest_of",
    ),
    "sharding": (
        "layout.bucket_of", "layout.bucket_of_key", "layout.slug", "layout.estimated_bytes", "layout.ShardPlan.name",
        "layout.ShardPlan.digest",
    ),
    "operators": (
        "select.split_of", "candidate.Candidate.item", "channel_mix.ChannelStats.digest", "shingles.part_shingles", "shingles._hash",
        "evaluation_sets.sets_digest", "kinds.digest", "registry._content",
    ),
    "models": ("seeds.seeded", "manifest.seal", "tokenizer.Tokenizer.digest"),
    "pipeline": (
        "units.form_units", "units._unit_id", "listing.source_key", "listing._slug", "stage_builder.StageBuilder.fingerprint", "stage_builder._contents", "stages._duplicates",
        "metadata_overrides.fingerprint", "request._salt", "scrub.Scrub.pseudonym", "failures.pack_stage", "tombstone_store.name_of",
    ),
}  # fmt: skip
"""Functions, methods and constants whose results are written and compared for ever: by folder, as `file.name`."""
ONLY = {"candidate.Candidate.item": ("digest", "item_id"), "failures.pack_stage": ("digest",)}
"""Of these only the calls of these functions are pinned."""
EQUIVALENT = {
    ("ids.archive_key", "no lower()"): "urlsplit gives the host in lower case",
    ("ids.archive_key", "no lower() (2)"): "and the scheme",
    ("ids.archive_key", "no lower() (3)"): "and the scheme",
    ("secret_patterns.digest_of", "'utf-8' -> 'utf-8^'"): "codecs are found whatever stands between and behind their letters",
    ("stage_builder.StageBuilder.fingerprint", "'json' -> 'json^'"): "configs hold plain values only",
    ("units.form_units", "0 -> 1 (3)"): "there is no unit yet that could have room",
}
"""Mutants that change no result, and why."""
QUICK = 3
"""Mutants of each function in the reduced form."""
CAUGHT = (1, 2, -signal.SIGALRM)
"""Exit codes where a test fails, where the module cannot even be imported, and where a loop finds no end."""
SWAPPED = {"sha256": "sha3_256", "blake2b": "blake2s"}
DROPPED = ("lower", "upper", "strip", "rstrip")
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {ast.Mod: ast.FloorDiv, ast.Add: ast.Sub, ast.Div: ast.Mult}
PRELOADED = ("hypothesis", "numpy", "pyarrow.parquet", "pydantic", "duckdb", "yaml", "fsspec", "rich.progress", "regex", "av")
"""Packages that the goldens need, imported once."""
RUNNER = """
import contextlib, importlib, os, signal, sys
import pytest
for name in sys.argv[2:]:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
for line in sys.stdin:
    if not (child := os.fork()):
        signal.alarm(60)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", sys.argv[1]]))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Runs the tests in `argv[1]` once for each line of its input, each time in a fresh process that has the packages already."""


@dataclass(frozen=True)
class Mutant:
    """A file with one change in it."""

    name: str
    """The function."""
    change: str
    source: str


class Copy:
    """A copy of the checkout, in which one file at a time is another."""

    def __init__(self, root: Path) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "src", "tests", "pyproject.toml", *FOLDERS],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for name in filter(None, listed.stdout.splitlines()):
            if (ROOT / name).exists():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, root / name, follow_symlinks=False)
        self.root = root

    def runner(self, folder: str) -> subprocess.Popen[str]:
        """A process that answers each line with the exit code of the folder's goldens."""
        heavy = ("torch",) if folder == "models" else ()
        environment = {**os.environ, "PYTHONPATH": str(self.root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen(
            [sys.executable, "-c", RUNNER, f"tests/{folder}/test_goldens.py", *PRELOADED, *heavy],
            cwd=self.root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip


def definitions(stem: str, tree: ast.Module) -> dict[str, ast.AST]:
    """Functions, methods and constants of a module, as `file.name`."""
    found: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found[f"{stem}.{node.name}"] = node
        elif isinstance(node, ast.ClassDef):
            found |= {f"{stem}.{node.name}.{one.name}": one for one in node.body if isinstance(one, ast.FunctionDef)}
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[f"{stem}.{node.targets[0].id}"] = node
    return found


def mutants(tree: ast.Module, name: str, whole: ast.AST) -> Iterator[Mutant]:
    """Every change of a definition in the tree of its file, one at a time; the tree is as before when all are drawn."""
    parts = [whole]
    if name in ONLY:
        parts = [node for node in ast.walk(whole) if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ONLY[name]]
    seen: Counter[str] = Counter()
    for part in parts:
        for node in _hashed(part):
            for change in _changes(node):
                seen[change] += 1
                yield Mutant(name, change if seen[change] == 1 else f"{change} ({seen[change]})", ast.unparse(tree))


def _hashed(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes within a definition; without docstrings, annotations and the texts of errors."""
    if isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "decorator_list"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _hashed(child)


def _changes(node: ast.AST) -> Iterator[str]:
    """Changes the node, says how, and takes the change back when the next one is asked for."""
    if isinstance(node, ast.Constant) and isinstance(old := node.value, str | bytes | bool | int):
        node.value = _another(old)
        yield f"{old!r} -> {node.value!r}"
        node.value = old
    elif isinstance(node, ast.Attribute) and node.attr in SWAPPED:
        old = node.attr
        node.attr = SWAPPED[old]
        yield f"{old} -> {node.attr}"
        node.attr = old
    elif isinstance(node, ast.Slice):
        for end in ("lower", "upper"):
            if (bound := getattr(node, end)) is not None:
                setattr(node, end, None)
                yield f"no {end} bound {ast.unparse(bound)}"
                setattr(node, end, bound)
    elif isinstance(node, (ast.List, ast.Tuple)) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        whole = node.elts
        for index, left in enumerate(whole):
            node.elts = whole[:index] + whole[index + 1 :]
            yield f"without {ast.unparse(left)}"
        node.elts = whole
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        operator = node.op
        node.op = OPERATORS[type(operator)]()
        yield f"{type(operator).__name__} -> {type(node.op).__name__}"
        node.op = operator
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in DROPPED and not node.args:
        method = node.func
        node.func, node.args = ast.Name("str", ast.Load()), [method.value]
        yield f"no {method.attr}()"
        node.func, node.args = method, []


def _another(value: str | bytes | bool | int) -> str | bytes | bool | int:
    """A value near this one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return value + "^" if isinstance(value, str) else value + b"^"


def tried(folder: str, checkout: Copy, full: bool) -> Iterator[tuple[Mutant | None, int]]:
    """The exit code of a folder's goldens, first without a change (None), then for each mutant."""
    pinned: dict[str, tuple[Path, ast.Module, ast.AST]] = {}
    for path in sorted((checkout.root / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        pinned |= {name: (path, tree, node) for name, node in definitions(path.stem, tree).items() if name in PINNED[folder]}
    if lost := set(PINNED[folder]) - pinned.keys():
        raise SystemExit(f"no {', '.join(sorted(lost))} in {folder}: say in PINNED where it went")
    with checkout.runner(folder) as runner:
        lines, codes = runner.stdin, runner.stdout
        assert lines is not None
        assert codes is not None

        def run() -> int:
            print(file=lines, flush=True)
            return int(codes.readline())

        yield None, run()
        for name, (path, tree, node) in pinned.items():
            original = path.read_text(encoding="utf-8")
            for number, mutant in enumerate(mutants(tree, name, node)):
                if full or number < QUICK:
                    path.write_text(mutant.source, encoding="utf-8")
                    yield mutant, run()
            path.write_text(original, encoding="utf-8")
        lines.close()


def main(arguments: Sequence[str]) -> int:
    full = full_form(arguments)
    pinned = sum(map(len, PINNED.values()))
    heading(
        "check-goldens",
        full,
        f"{pinned} pinned definitions, changed one at a time",
        ("pytest", "hypothesis", "numpy", "pyarrow"),
    )
    made, survivors, broken, wasted = Counter[str](), list[str](), list[str](), list[str]()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        checkout = Copy(Path(temporary))
        for folder in FOLDERS:
            for mutant, code in tried(folder, checkout, full):
                if mutant is None:
                    broken += [folder] if code else []
                    continue
                made[mutant.name] += 1
                said = f"{mutant.name}: {mutant.change}"
                if code not in CAUGHT:
                    (wasted if (mutant.name, mutant.change) in EQUIVALENT else survivors).append(said)
    table(
        ("folder", "pinned", "mutants"),
        ((folder, str(len(names)), str(sum(made[name] for name in names))) for folder, names in PINNED.items()),
    )
    for said in survivors:
        print(f"  not caught: {said}")
    for said in wasted:
        print(f"  changes nothing: {said}")
    targets: dict[str, Target] = {
        "folders whose goldens fail without a change": {"value": len(broken), "target": "0", "met": not broken},
        "definitions that were changed": {"value": len(made), "target": str(pinned), "met": len(made) == pinned},
        "mutants that no golden catches": {"value": len(survivors), "target": "0", "met": not survivors},
    }
    figures = {"mutants": made.total(), "equivalent": len(wasted), "seconds": round(time.monotonic() - start, 1)}
    finish("check-goldens", figures, targets, full)
    return 0 if all(target["met"] for target in targets.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
