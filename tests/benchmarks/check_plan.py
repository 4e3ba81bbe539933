"""`make check-plan`: a tenth of some real recordings is planned from, then all of them are run: what was predicted, beside what it was.

`voxmill plan` draws the sample and runs it; `voxmill run` runs everything. One sample may be unlucky, so 200 more of the same size are
drawn from the finished run: of the intervals that they give, nine of ten should hold the truth. Two of a hundred recordings here are seven times as
long as most, and many samples miss both.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.report import finish, full_form, heading, table
from benchmarks.runs import MOONSHINE, VOXMILL, config, run_or_exit, write
from speech.joined import joined
from voxmill.manifests.catalog import open_catalog
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.planning.extrapolation import Extrapolation
from voxmill.pipeline.planning.observe import Observed, observe
from voxmill.pipeline.planning.population import Population
from voxmill.pipeline.state.run import Run

SINGLE = {"single_high": 0.6, "single_weak": 0.4, "single_unlabelled": 0.2}
"""Thresholds for the reduced form, which hears with one engine."""
WHISPER: dict[str, Any] = {"kind": "faster-whisper", "name": "whisper", "model": "whisper-base", "languages": ["en"]}
SAMPLES = 200
QUIET = 0.6
"""Share of the cores that a run must have had for its wall time to be judged."""


def recordings(folder: Path, count: int) -> float:
    """Real prompts joined to recordings of very different lengths; their seconds in all."""
    lengths = np.exp(np.random.default_rng(7).normal(2.2, 0.6, count)).clip(4, 60).round()
    total = 0.0
    for number, seconds in enumerate(lengths):
        (one,) = joined("en", 1, float(seconds), seed=1000 + number)
        shutil.copyfile(one.path, folder / f"{number:03d}.wav")
        total += float(seconds)
    return total


def truth(root: Path) -> dict[str, float]:
    """What the finished run has, under the names of the plan's figures and `cpu <stage>` for its stages, in hours and GB."""
    con = open_catalog(str(root))

    def one(sql: str) -> float:
        return float(con.execute(sql).fetchone()[0])

    found = {
        "audio in": one("SELECT sum(num_samples) / 16000 / 3600 FROM recordings WHERE rejection IS NULL"),
        "audio kept": one("SELECT sum(num_samples) / 16000 / 3600 FROM samples"),
        "segments kept": one("SELECT count(*) FROM samples"),
        "units": one("SELECT count(*) FROM units"),
        "originals": one("SELECT sum(num_bytes) / 1e9 FROM recordings"),
        "shards": sum(p.stat().st_size for p in (root / "shards").rglob("*") if p.is_file()) / 1e9,
    }
    spent = con.execute("SELECT stage || coalesce(':' || engine, ''), sum(cpu_s) / 3600 FROM costs GROUP BY 1").fetchall()
    return found | {f"cpu {stage}": float(hours) for stage, hours in spent}


def predicted(plan: dict[str, Any]) -> dict[str, dict[str, float]]:
    named = {one["name"]: one["estimate"] for one in plan["figures"]}
    return named | {f"cpu {one['name']}": one["core_hours"] for one in plan["stages"]}


def coverage(observed: Observed, settings: dict[str, Any], count: int) -> dict[str, float]:
    """Share of samples of the finished run whose interval holds what the whole run has: sizes of the files known, as `plan` has them, and not."""
    sizes = {one.item: one.num_bytes for one in observed.items}
    strata = {"talks": len(observed.items)}
    known = Population(strata, {}, frozenset(), {"talks": sum(sizes.values())}, sizes)
    unknown = Population(strata, {}, frozenset(), {}, {})
    figures = [
        (field, population) for field in ("speech_hours", "kept_hours", "kept_segments") for population in (known, unknown)
    ]
    held = dict.fromkeys(range(len(figures)), 0)
    for seed in range(SAMPLES):
        drawn = np.random.default_rng(seed).choice(len(observed.items), count, replace=False)
        items = [
            replace(observed.items[i], cluster=observed.items[i].item) for i in drawn
        ]  # drawn one by one, whatever unit it shared
        part = Observed(items, [], [], len(items), 1.0, None)
        for number, (field, population) in enumerate(figures):
            whole = Extrapolation(parse_config(settings), part, population, one_per_unit=True, seed=seed)
            found = whole.estimate(whole.items(field))
            assert found.low is not None
            assert found.high is not None
            held[number] += found.low <= sum(getattr(one, field) for one in observed.items) <= found.high
    return {
        f"{field}, sizes {'known' if population is known else 'not known'}": held[number] / SAMPLES
        for number, (field, population) in enumerate(figures)
    }


def main() -> None:
    full = full_form(sys.argv)
    count = 240 if full else 160
    with tempfile.TemporaryDirectory(prefix="voxmill-check-plan-") as temporary:
        folder = Path(temporary)
        (folder / "talks").mkdir()
        seconds = recordings(folder / "talks", count)
        heading(
            "check-plan",
            full,
            f"{count} real recordings of 4 to 60 s, {seconds / 60:.0f} min",
            ["onnxruntime", "faster-whisper"],
        )
        source = {"name": "talks", "path": str(folder / "talks"), "language": "en", "licence": "cc-by-sa-3.0"}
        settings = config(
            [source], [MOONSHINE, WHISPER] if full else [MOONSHINE], units={"seconds": 60}, executor={"kind": "local"},
            pack={"buckets": 1}, select={} if full else SINGLE,
        )  # fmt: skip
        path = write(folder / "plan", settings)
        asked = [VOXMILL, "plan", "-c", str(path), "--sample", str(count // 10), "--json", "-q"]
        plan = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
        cost = run_or_exit(folder / "run", settings)
        real, said = truth(folder / "run"), predicted(plan)
        shares = coverage(observe(Run(str(folder / "run"))), settings, count // 10)
    rows, inside = [], {}
    for name, value in real.items():
        if (one := said.get(name)) and one["low"] is not None:
            slack = 0.005 * value  # what is known exactly is rounded all the same
            inside[name] = one["low"] - slack <= value <= one["high"] + slack
            bounds = f"{one['low']:.4g} to {one['high']:.4g}"
            rows.append((name, f"{one['value']:.4g}", bounds, f"{value:.4g}", "yes" if inside[name] else "no"))
    table(("figure (hours, GB)", "predicted", "90 % interval", "truth", "inside"), rows)
    table(
        ("200 samples of a tenth", "intervals that hold the truth"), [(name, f"{share:.3f}") for name, share in shares.items()]
    )
    wall = said["wall clock"]["value"]
    cores = plan["machines"][0]["cores"]
    had = cost.cpu_s / cost.wall_s / cores
    busy = f"; the run had {had:.0%} of {cores} cores" + ("" if had >= QUIET else ", too few for its time to be judged")
    print(f"wall clock: predicted {wall * 3600:.0f} s, was {cost.wall_s:.0f} s{busy}\n")
    targets: dict[str, Any] = {
        "audio in": {
            "value": round(said["audio in"]["value"] / real["audio in"], 4),
            "target": "1 within 1 %: sizes are known",
            "met": abs(said["audio in"]["value"] / real["audio in"] - 1) < 0.01,
        },
        "this sample": {
            "value": f"{sum(inside.values())} of {len(inside)}",
            "target": "three of four intervals hold the truth",
            "met": sum(inside.values()) >= 0.75 * len(inside),
        },
        "200 samples": {
            "value": {name: round(share, 3) for name, share in shares.items()},
            "target": "0.82 to 0.98 hold it",
            "met": all(0.82 <= share <= 0.98 for share in shares.values()),
        },
    }
    if had >= QUIET:
        targets["wall clock"] = {
            "value": round(cost.wall_s / wall / 3600, 2),
            "target": "0.5 to 2 times what was predicted",
            "met": 0.5 <= cost.wall_s / wall / 3600 <= 2,
        }
    figures = {name: {"predicted": said.get(name), "truth": value} for name, value in real.items()}
    finish("check-plan", figures | {"coverage": shares, "wall_s": cost.wall_s, "predicted_wall_s": wall * 3600}, targets, full)


if __name__ == "__main__":
    main()
