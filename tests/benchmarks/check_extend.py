"""`make check-extend`: a package outside the repository adds a source, a recogniser, a labeller and a stage, each by one file and one entry.

The package is made here, built and installed into a folder of its own. Then the product's commands are run: `run`, `verify`, `stats`, the
duckdb CLI and the reference pages know all four, whichever way the config names them.

    python tests/benchmarks/check_extend.py
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import yaml

from benchmarks.report import Target, finish, full_form, heading, table
from speech.packaged import TWO_CITIES

ROOT = Path(__file__).resolve().parents[2]

FILES = {
    "source.py": '''
"""A source: the addresses that a file of ours names, one a line."""


class Shelf:
    def __init__(self, shelf: str) -> None:
        self.shelf = shelf

    def __iter__(self):
        with open(self.shelf, encoding="utf-8") as lines:
            yield from (line.strip() for line in lines if line.strip())
''',
    "recogniser.py": '''
"""A recogniser: Moonshine on every span alone, its words in capitals."""

from voxmill.operators.transcribe.moonshine import Moonshine, MoonshineConfig
from dataclasses import replace


class Shouting:
    def __init__(self, model: str = "moonshine-tiny-en") -> None:
        self._inner = Moonshine(MoonshineConfig(kind="moonshine", name="inner", model=model))
        self.model = f"shouting {self._inner.model}"

    def transcribe(self, clips):
        return [[replace(one, text=one.text.upper()) for one in heard] for heard in self._inner.transcribe(clips)]
''',
    "labeller.py": '''
"""A labeller: the quality of a segment, from the level of its sound."""

import numpy as np

from voxmill.manifests.records import Mark
from voxmill.operators.contract.adapters import LabelAnswer


class Level:
    model = "level 1"

    def label(self, scene):
        said = []
        for one in scene.utterances:
            sound = scene.wave(one.segment)
            level = float(20 * np.log10(np.sqrt(np.mean(sound**2)) + 1e-9))
            said.append([LabelAnswer("quality", (Mark("level", score=level),), 1.0)])
        return said
''',
    "stage.py": '''
"""A stage: how many words a minute each segment has; slow ones are not kept."""

from dataclasses import dataclass

from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Rejection


@dataclass(frozen=True)
class Pace:
    segment_id: str
    words_per_minute: float = 0.0
    rejection: Rejection | None = None


class MeasurePace:
    record = Pace
    reasons = {"pace.slow": ("fewer words a minute than asked for", "lower `options.least` of the stage")}

    def __init__(self, least: float = 0.0) -> None:
        self.least = least

    def __call__(self, work):
        words = {row.segment_id: len(row.text.split()) for row in work.consensus}
        rows = []
        for segment in work.segments:
            pace = words[segment.id] / segment.seconds * 60
            slow = reject("pace.slow", f"{pace:.0f}") if pace < self.least else None
            rows.append(Pace(segment.id, round(pace, 1), slow))
        return rows
''',
}

ENTRY_POINTS = {
    "voxmill.sources": ("shelf", "voxmill_more.source:Shelf"),
    "voxmill.transcribers": ("shouting", "voxmill_more.recogniser:Shouting"),
    "voxmill.labellers": ("level", "voxmill_more.labeller:Level"),
    "voxmill.stages": ("pace", "voxmill_more.stage:MeasurePace"),
}


def install(folder: Path) -> Path:
    """The package, built and installed as any other would be, into a folder for PYTHONPATH."""
    project, target = folder / "project", folder / "installed"
    package = project / "voxmill_more"
    package.mkdir(parents=True)
    for name, text in {"__init__.py": "", **FILES}.items():
        (package / name).write_text(text.lstrip(), encoding="utf-8")
    points = "".join(f'[project.entry-points."{group}"]\n{name} = "{call}"\n' for group, (name, call) in ENTRY_POINTS.items())
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "voxmill-more"\nversion = "1.0"\n{points}[tool.setuptools]\npackages = ["voxmill_more"]\n',
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(project)], check=True, capture_output=True)
    return target


def config(folder: Path, *, named: bool, version: str = "1", least: float = 0.0) -> Path:
    """The four by the names of their entry points, or by `kind: python` and `call`."""
    shelf = folder / "shelf.txt"
    shelf.write_text(f"{TWO_CITIES.path}\n", encoding="utf-8")

    def entry(group: str, **more: Any) -> dict[str, Any]:
        name, call = ENTRY_POINTS[f"voxmill.{group}"]
        return {"kind": name, **more} if named else {"kind": "python", "call": call, **more}

    settings = {
        "sources": [entry("sources", name="shelf", language="en", licence="cc0-1.0", options={"shelf": str(shelf)})],
        "transcribe": [
            {"kind": "moonshine", "name": "plain", "model": "moonshine-tiny-en"},
            entry("transcribers", name="shouting"),
        ],
        "label": [entry("labellers", name="level", labels=["quality"])],
        "stages": [entry("stages", name="pace", reads=["reconcile"], filters=True, version=version, options={"least": least})],
        "executor": {"kind": "local", "workers": 1},
    }
    path = folder / f"{'named' if named else 'called'}-{version}-{least:.0f}.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


class Commands:
    """The product's command line with the package on its path."""

    def __init__(self, installed: Path) -> None:
        paths = [str(installed), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "voxmill.pipeline.console_script", *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)

    def sql(self, run: Path, query: str) -> list[dict[str, Any]]:
        """The rows of one SELECT, as `voxmill stats` gives them to machines."""
        rows: list[dict[str, Any]] = json.loads(self("stats", str(run), "--json", "--sql", query).stdout)
        return rows


def without(run: Path, stage: str, voxmill: Commands) -> str:
    """What `verify` says of a copy of the run that has lost the table of a stage; empty where it is content."""
    copy = run.with_name("copy")
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "manifests" / stage)
    said = voxmill("verify", str(copy))
    shutil.rmtree(copy)
    return said.stdout if said.returncode == 1 else ""


def main() -> None:
    full = full_form(sys.argv)
    heading("check-extend", full, "44 s of packaged speech; a package of four files made here", ["voxmill", "pip"])
    rows: list[tuple[str, str, bool]] = []
    with tempfile.TemporaryDirectory(prefix="voxmill-extend-") as temporary:
        folder = Path(temporary)
        voxmill, run = Commands(install(folder)), folder / "run"
        checked = voxmill("config", "check", "-c", str(config(folder, named=True)))
        rows.append(
            ("config check knows all four", checked.stdout.strip()[-60:] + checked.stderr[-200:], checked.returncode == 0)
        )
        done = voxmill("run", "-c", str(config(folder, named=True)), "-o", str(run))
        rows.append(("run", f"rc {done.returncode} {done.stderr[-300:]}".strip(), done.returncode == 0))
        proof = voxmill("verify", str(run))
        proved = all(name in proof.stdout for name in ("transcribe:shouting", "label:level", "pace"))
        rows.append(("verify proves recogniser, labeller, stage", proof.stdout.strip()[-60:], proof.returncode == 0 and proved))
        for stage in ("transcribe-shouting", "label-level", "pace"):
            said = without(run, stage, voxmill)
            rows.append(
                (f"verify without {stage}", "fails and names it" if said else "holds", stage.replace("-", ":", 1) in said)
            )
        funnel = {row["stage"]: row for row in json.loads(voxmill("stats", str(run), "--json").stdout)["funnel"]}
        rows.append(("stats: the funnel", ", ".join(funnel), {"pace", "transcribe:shouting"} <= funnel.keys()))
        source = voxmill.sql(run, "SELECT DISTINCT provenance.source AS source FROM recordings")
        rows.append(("stats: the source", str(source), source == [{"source": "shelf"}]))
        paces = voxmill.sql(run, "SELECT count(*) AS n, min(words_per_minute) > 0 AS some FROM pace")
        rows.append(("stats: the stage's own table", str(paces), bool(paces and paces[0]["n"] and paces[0]["some"])))
        coverage = voxmill.sql(run, "SELECT labeller, num_labelled FROM label_coverage")
        rows.append(("stats: the labeller", str(coverage), [row["labeller"] for row in coverage] == ["level"]))
        by = voxmill("stats", str(run), "--by", "language")
        rows.append(("stats --by shows the stage beside ours", by.stderr[-90:], by.returncode == 0 and "pace" in by.stdout))
        kept = funnel.get("pack", {}).get("rows_kept", 0)
        rows.append(("segments in shards", str(kept), kept > 0))
        other = folder / "called"
        voxmill("run", "-c", str(config(folder, named=False)), "-o", str(other))
        tars = [sorted((p.name, p.read_bytes()) for p in (one / "shards").glob("*.tar")) for one in (run, other)]
        rows.append(
            (
                "`kind: python` writes the same shards",
                f"{len(tars[0])} and {len(tars[1])} tars",
                bool(tars[0]) and tars[0] == tars[1],
            )
        )
        dry = voxmill("run", "-c", str(config(folder, named=True, version="2")), "-o", str(run), "--dry-run").stdout
        to_do = sorted(line.split()[0] for line in dry.splitlines() if line.endswith("1") and line.split()[-2:] == ["0", "1"])
        rows.append(("another version of the stage: to do", ", ".join(to_do), to_do == ["pace", "select"]))
        voxmill("run", "-c", str(config(folder, named=True, least=1000.0)), "-o", str(run))
        lost = voxmill.sql(run, "SELECT DISTINCT reason, meaning FROM rejections WHERE reason LIKE 'pace.%'")
        meant = [{"reason": "pace.slow", "meaning": "fewer words a minute than asked for"}]
        rows.append(("what it rejects is not kept, and why", str(lost), lost == meant))
        pages = folder / "reference"
        command = [sys.executable, str(ROOT / "tests" / "docs" / "reference.py"), "--out", str(pages)]
        made = subprocess.run(command, env=voxmill.env, capture_output=True, text=True, check=False)
        text = "".join(page.read_text(encoding="utf-8") for page in sorted(pages.rglob("*.md")))
        known = [name for name, _ in ENTRY_POINTS.values() if f"`{name}`" in text]
        rows.append(("reference pages name all four", ", ".join(known) + made.stderr[-200:], len(known) == 4))
    shown = [
        (what, " ".join(found.replace(temporary, "").split())[-90:], "yes" if right else "NO") for what, found, right in rows
    ]
    table(("what", "found", "right"), shown)
    wrong = sum(not right for _, _, right in rows)
    targets: dict[str, Target] = {"wrong": {"value": wrong, "target": "0", "met": wrong == 0}}
    finish("check-extend", {"checked": len(rows), "files": len(FILES), "entries": len(ENTRY_POINTS)}, targets, full)
    sys.exit(0 if wrong == 0 else 1)


if __name__ == "__main__":
    main()
