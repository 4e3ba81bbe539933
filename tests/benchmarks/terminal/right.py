"""Every command with right input, as people run it: in a terminal of 80 and of 200 columns, in a pipe, without colours, and in the locales
`C` and Latin-1, on a run whose folder, sources and texts are not ASCII.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import typer

from benchmarks.terminal.result import Result
from speech.packaged import TWO_CITIES
from speech.waves import RATE, write_wave
from terminals import in_terminal

VOXMILL = (sys.executable, "-m", "voxmill.pipeline.console_script")
NAME = "Übung-谢谢"
"""Of the run's folder. Python hands names that a locale cannot say on as bytes."""

CONFIG = """
sources:
- {{name: "[/red] :x: {name}", path: {path}, language: en, licence: cc0-1.0}}
crawl: {{contact: tests@example.org}}
units: {{seconds: 10}}
transcribe:
- {{kind: moonshine, model: moonshine-tiny-en}}
- {{kind: pocketsphinx}}
select: {{high: 0.6, weak: 0.5, unlabelled: 0.4, rate_fence: 100}}
pack: {{buckets: 1, shard_mb: 1}}
"""

CORPUS = """
sources:
- {{name: corpus, path: {path}, kind: librispeech, language: en, licence: cc0-1.0}}
transcribe:
- {{kind: pocketsphinx}}
- {{kind: given}}
pack: {{buckets: 1, shard_mb: 1}}
"""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a command runs: a terminal of so many columns, or a pipe (0)."""

    name: str
    columns: int
    env: tuple[tuple[str, str], ...] = ()
    encoding: str = "utf-8"


def surroundings(folder: Path) -> tuple[Surroundings, ...]:
    return (
        Surroundings("pty 80", 80),
        Surroundings("pty 200", 200),
        Surroundings("pipe", 0),
        Surroundings("NO_COLOR", 80, (("NO_COLOR", "1"),)),
        Surroundings("C", 0, (("LC_ALL", "C"),)),
        Surroundings("Latin-1", 0, latin_1(folder), "latin-1"),
    )


def latin_1(folder: Path) -> tuple[tuple[str, str], ...]:
    """A real Latin-1 locale where one can be compiled; else what Python would make of one."""
    target = folder / "en_US.ISO-8859-1"
    if not target.exists() and shutil.which("localedef"):
        subprocess.run(["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(target)], capture_output=True, check=False)
    if target.exists():
        return (("LC_ALL", "en_US.ISO-8859-1"), ("LOCPATH", str(folder)), ("PYTHONUTF8", "0"))
    return (("PYTHONIOENCODING", "latin-1"), ("PYTHONUTF8", "0"))


@dataclass(frozen=True, slots=True)
class Case:
    """A command line; `{run}`, `{model}`, `{new}` and the like stand for places of this trial."""

    words: tuple[str, ...]
    code: int = 0
    machine: bool = False
    """Whether it prints JSON, one value a line."""
    shows: tuple[str, ...] = ()
    """What a pipe must hold, whole."""


def cases() -> list[Case]:
    """Every command once at least; the last test of this list is that none is missing."""
    run, model, shards = "{run}", "{model}", "{run}/shards"
    found = [
        Case(("--version",)),
        Case(("run", "-c", "{config}", "-o", "{new}/run", "--executor", "local"), shows=("Funnel", "transcribe:pocketsphinx")),
        Case(("run", "-c", "{config}", "-o", "{new}/dry", "--dry-run"), shows=(f"[/red] :x: {NAME}",)),
        Case(("crawl", "-c", "{config}", "-o", "{new}/crawl", "--executor", "local")),
        Case(("plan", "-c", "{config}", "--sample", "1"), shows=("90 % interval",)),
        Case(("stats", run), shows=("Funnel", "What each filter costs", "wall per kept")),
        Case(("stats", run, "--by", "source"), shows=(f"[/red] :x: {NAME}",)),
        Case(("stats", run, "--what-if", "select.agreement=0.9")),
        Case(("stats", run, "--json"), machine=True),
        Case(("stats", run, "--csv")),
        Case(("stats", run, "--sql", "SELECT '[/nope] hi' AS t, ':x: [laughter] [bold]b[/bold]' AS u"),
             shows=("[/nope] hi", ":x: [laughter] [bold]b[/bold]")),
        Case(("stats", run, "--sql", "FROM segments"), shows=("recording_id", "num_samples", "speech")),
        Case(("verify", run), shows=("the proof holds",)),
        Case(("verify", run, "--json"), machine=True),
        Case(("status", run), shows=("nobody works on it", "shards and tables are written")),
        Case(("status", run, "--json"), machine=True),
        Case(("view", run, "-o", "{new}/page"), shows=("index.html",)),
        Case(("view", run, "-o", "{new}/page", "--no-sound", "--json"), machine=True),
        Case(("migrate", "{copy}"), shows=("nothing to migrate",)),
        Case(("revoke", run, "--id", "{recording}", "--dry-run"), shows=("would be revoked",)),
        Case(("duplicates", run, "--by", "text", "--dry-run")),
        Case(("calibrate", "{copy}", "--reference", "{labelled}"), shows=("expected error",)),
        Case(("audit", "{corpus}"), shows=("not calibrated", "suspects.jsonl")),
        Case(("audit", "{corpus}", "--json"), machine=True),
        Case(("retention", run), shows=("factor",)),
        Case(("revote", run, "--set", "select.high=0.6", "--dry-run")),
        Case(("revote", "{copy}", "--set", "select.high=0.6"), shows=("segments before",)),
        Case(("replay", run, "--stage", "segment", "--unit", "{unit}"), machine=True),
        Case(("doctor",)),
        Case(("doctor", "-c", "{config}")),
        Case(("config", "init", "english", "-o", "{new}/mine.yaml")),
        Case(("config", "show", "-c", "{config}"), shows=(NAME,)),
        Case(("config", "check", "-c", "{config}"), shows=("valid",)),
        Case(("config", "schema",)),
        Case(("models", "list"), shows=("moonshine-tiny-en", "whisper-base")),
        Case(("models", "fetch", "moonshine-tiny-en")),
        Case(("models", "verify", "moonshine-tiny-en"), shows=("all hashes match",)),
        Case(("train", "--shards", shards, "-o", "{new}/model", "-c", "taste", "--steps", "2"), shows=("step 2/2",)),
        Case(("train", "--shards", shards, "-o", "{new}/model", "-c", "taste", "--dry-run")),
        Case(("train", "--shards", shards, "-o", "{new}/model", "-c", "whisper", "--dry-run"), shows=("parameters",)),
        Case(("transcribe", "{audio}", "-m", model, "--decode", "greedy"), shows=(NAME,)),
        Case(("transcribe", "{audio}", "-m", model, "--decode", "greedy", "--json"), machine=True),
        Case(("evaluate", "-m", model, "--shards", shards, "--decode", "greedy", "--limit", "2"), shows=("WER %",)),
        Case(("export-data", run, "--to", "jsonl", "-o", "{new}/jsonl"), shows=("holds it whole",)),
        Case(("export-data", run, "--to", "lhotse", "-o", "{new}/shar", "--json"), machine=True),
        Case(("rebuild-data", "{urls}", "--originals", run, "-o", "{new}/flac"), shows=("proven equal",)),
        Case(("report", run, "-o", "{new}/report.html"), shows=("written",)),
        Case(("release", run, "--check"), shows=("may be handed on",)),
        Case(("release", run, "--name", "evening-talks"), shows=("croissant.json",)),
        Case(("release", run, "--check", "--json"), machine=True),
        Case(("export", "-m", model, "--budget", "6", "-o", "{new}/six"), shows=("largest difference",)),
    ]  # fmt: skip
    return found + [Case((*words, "-h")) for words in commands()]


def commands() -> list[tuple[str, ...]]:
    """Every command there is, and the groups."""
    from voxmill.pipeline.cli import app

    def below(group: object, words: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
        for name, child in getattr(group, "commands", {}).items():
            yield (*words, name)
            yield from below(child, (*words, name))

    return list(below(typer.main.get_command(app), ()))


def prepare(folder: Path) -> dict[str, str]:
    """A finished run, a model that trained for two steps, a labelled sample."""
    folder.mkdir(parents=True, exist_ok=True)
    audio = folder / f"{NAME}.wav"
    write_wave(audio, TWO_CITIES.samples()[: 16 * RATE])
    (folder / "config.yaml").write_text(CONFIG.format(name=NAME, path=audio), encoding="utf-8")
    places = {
        "run": str(folder / NAME),
        "config": str(folder / "config.yaml"),
        "audio": str(audio),
        "model": str(folder / "model"),
    }
    _must("run", "-c", places["config"], "-o", places["run"], "--executor", "local", "-q")
    _must("run", "-c", str(_corpus(folder)), "-o", f"{folder}/corpus-run", "--executor", "local", "-q")
    places["corpus"] = f"{folder}/corpus-run"
    _must("train", "--shards", f"{places['run']}/shards", "-o", places["model"], "-c", "taste", "--steps", "2", "-q")
    _must("export-data", places["run"], "--to", "urls", "-o", str(folder / "urls"), "-q")
    places["urls"] = str(min((folder / "urls").rglob("recordings.jsonl")).parent)
    rows = json.loads(_must("stats", places["run"], "--json", "--sql", "SELECT segment_id, text, unit FROM consensus"))
    labelled = folder / "labelled.jsonl"
    sql = "SELECT id AS unit, parts[1].recording_id AS recording FROM units LIMIT 1"
    first: dict[str, str] = json.loads(_must("stats", places["run"], "--json", "--sql", sql))[0]
    truths = (row["text"] if i % 2 else f"quite other {row['text']}" for i, row in enumerate(rows))
    lines = (json.dumps({"segment_id": row["segment_id"], "text": text}) for row, text in zip(rows, truths, strict=True))
    labelled.write_text("\n".join(lines), encoding="utf-8")
    return places | first | {"labelled": str(labelled)}


def _corpus(folder: Path) -> Path:
    """The config of a run over a small corpus, one of whose transcripts is wrong."""
    (folder / "corpus").mkdir()
    for number, text in enumerate(("it was the best of times it was the worst of times", f"[/red] :x: {NAME}")):
        write_wave(
            folder / "corpus" / f"{NAME}-{number}.wav", TWO_CITIES.samples()[number * 5 * RATE : (number + 1) * 5 * RATE]
        )
        with (folder / "corpus" / f"{NAME}.trans.txt").open("a", encoding="utf-8") as lines:
            lines.write(f"{NAME}-{number} {text}\n")
    config = folder / "corpus.yaml"
    config.write_text(CORPUS.format(path=folder / "corpus"), encoding="utf-8")
    return config


def _must(*words: str) -> str:
    done = subprocess.run([*VOXMILL, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"voxmill {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


HELP_IN = ("pty 80", "pipe")
"""Where help pages are tried in the reduced form: every command itself is tried everywhere."""


def num_trials(full: bool) -> int:
    """How many command lines `run` tries."""
    helps = sum(case.words[-1] == "-h" for case in cases())
    return 6 * (len(cases()) - helps) + (6 if full else len(HELP_IN)) * helps


def run(folder: Path, places: dict[str, str], tried: Sequence[Case] | None = None, *, full: bool = False) -> Result:
    """All cases in all surroundings, two at a time."""
    chosen = list(tried or cases())
    trials = [
        (case, where, folder / f"{i}-{j}")
        for i, case in enumerate(chosen)
        for j, where in enumerate(surroundings(folder))
        if full or case.words[-1] != "-h" or where.name in HELP_IN
    ]
    with ThreadPoolExecutor(2) as threads:
        wrong = [problem for found in threads.map(lambda t: trial(t[0], t[1], t[2], places), trials) for problem in found]
    if tried is None:
        run_words = {case.words[: len(words)] for case in chosen for words in commands() if case.words[-1] != "-h"}
        missing = [" ".join(words) for words in commands() if words not in run_words]
        wrong += [f"no case runs `voxmill {name}`" for name in missing]
    return Result("right", len(trials), tuple(wrong))


def trial(case: Case, where: Surroundings, new: Path, places: dict[str, str]) -> list[str]:
    """What is wrong with one command in one place."""
    new.mkdir(parents=True)
    if "{copy}" in " ".join(case.words):
        shutil.copytree(places["run"], new / "copy")
    words = [word.format(**places, new=new, copy=new / "copy") for word in case.words]
    if where.columns:
        seen = in_terminal([*VOXMILL, *words], columns=where.columns, env=dict(where.env))
        code, text = seen.code, seen.text
    else:
        env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LC_ALL", "LANG")} | dict(where.env)
        done = subprocess.run([*VOXMILL, *words], env=env, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        code, text = done.returncode, (done.stdout + done.stderr).decode(where.encoding, errors="replace")
        if case.machine:
            text = done.stdout.decode(where.encoding, errors="replace")
    said = " ".join(case.words)
    found = [f"{where.name}: {said}: {problem}" for problem in _problems(case, where, code, text)]
    shutil.rmtree(new, ignore_errors=True)
    return found


def _problems(case: Case, where: Surroundings, code: int, text: str) -> Iterable[str]:
    if code != case.code:
        yield f"exit code {code}, not {case.code}: {text[-300:]!r}"
    if "Traceback" in text or "Error:" in text:
        yield f"an error of Python's: {text[-300:]!r}"
    if where.name == "NO_COLOR" and re.search(r"\x1b\[(?:\d+;)*(?:3|4|9|10)[0-7]m", text):
        yield "colours"
    if not where.columns and "\x1b[" in text:
        yield "control sequences in a pipe"
    if not where.columns and "-h" not in case.words and re.search(r"\S…", text):
        yield f"a cell that was cut: {re.findall(r'.{0,20}…', text)[0]!r}"
    if case.machine and not where.columns:
        try:
            for line in text.splitlines():
                json.loads(line)
        except ValueError:
            yield f"no JSON: {text[:200]!r}"
    if where.name == "pipe":
        for piece in case.shows:
            if piece not in text:
                yield f"without `{piece}`: {text[-300:]!r}"
