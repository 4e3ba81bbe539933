"""`make check-install`: what a stranger installs, how large it is, under which licences, and that the light install does the job.

Builds the wheel, installs its extra `light` by the pins into a clean environment, fetches the weights as `voxmill` itself says, and
runs a folder of real speech to verified shards, in an environment that knows nothing of this one. Then the licences of every extra,
and where else the pins resolve. The full form also installs and measures the other sets of extras that the README names.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import yaml

from benchmarks.report import Target, finish, full_form, heading, table
from licences import ROOT, extras, image_extras, installed_by
from speech.joined import joined
from speech.packaged import TWO_CITIES

UV = str(Path(sys.executable).with_name("uv"))
PINS = ROOT / "constraints" / f"py{sys.version_info.major}.{sys.version_info.minor}.txt"
LARGEST_MB = 1500
"""The light install with its weights, which lie in packages and once more, joined and checked, in the cache."""
SETS = {"light": "light", "train": "train,evaluate,export", "all": "all,s3", "all and FunASR": "all,s3,funasr"}
"""What the README says is for whom; `all` as it is in the image."""
PLATFORMS = {
    "Linux x86-64": ("x86_64-manylinux_2_34", {"light", "train", "all", "all and FunASR"}),
    "Linux arm64": ("aarch64-manylinux_2_34", {"light", "train"}),
    "macOS 15 arm64": ("aarch64-apple-darwin", {"light", "train", "all", "all and FunASR"}),
}
"""For uv, and the sets whose pins docs/how-to/install.md says have packages there: torchcodec 0.7, which whisperX needs, has none for Linux arm64."""
SOURCES_ONLY = ("jieba", "antlr4-python3-runtime", "oss2", "crcmod")
"""Pure Python without a wheel, built where it is installed."""
ABSENT = ("torch", "torchaudio", "whisperx", "funasr", "ray", "silero-vad", "mutagen", "kaldiio")


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that sees nothing of the one that this check runs in."""

    home: Path

    def __call__(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A program of the environment. Raises RuntimeError where it fails, unless `check` is off."""
        clean = {
            "PATH": f"{self.home / 'bin'}:/usr/bin:/bin", "HOME": str(self.home.parent), "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1",
            "VOXMILL_CACHE": str(self.cache), "VOXMILL_OFFLINE": "1",
        }  # fmt: skip
        return _run(self.home / "bin" / command[0], *command[1:], env=clean, cwd=self.home.parent, check=check)

    @property
    def cache(self) -> Path:
        return self.home.parent / "weights"

    def install(self, wheel: Path, parts: str) -> float:
        """Seconds that it took."""
        began = time.monotonic()
        _run(UV, "venv", "--quiet", "--python", sys.executable, self.home)
        self.add("--constraints", PINS, f"voxmill[{parts}] @ {wheel.as_uri()}")
        return time.monotonic() - began

    def add(self, *what: str | Path) -> None:
        _run(UV, "pip", "install", "--quiet", "--compile-bytecode", "--python", self.home / "bin" / "python", *what)

    def packages(self) -> dict[str, str]:
        listed = _run(UV, "pip", "list", "--format", "json", "--python", self.home / "bin" / "python")
        return {row["name"]: row["version"] for row in json.loads(listed.stdout)}


def megabytes(folder: Path) -> float:
    """As on an empty disk: uv's hard links into its own cache count as files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink()) / 1e6


def recordings(folder: Path, count: int) -> float:
    """A folder of real speech; returns its seconds."""
    folder.mkdir()
    shutil.copy(TWO_CITIES.path, folder / "two-cities.wav")
    made = joined("en", count, 30, seed=5)
    for one in made:
        shutil.copy(one.path, folder / f"prompts-{one.path.name}")
    return TWO_CITIES.seconds + sum(one.said[-1][1] / 16_000 for one in made)


def light(work: Path, wheel: Path, count: int, targets: dict[str, Target]) -> dict[str, Any]:
    """Install, weights, run, proof."""
    there = Environment(work / "light")
    figures: dict[str, Any] = {"install_s": there.install(wheel, "light")}
    packages = there.packages()
    unwanted = sorted(set(ABSENT) & packages.keys())
    targets["light: no torch, nothing that needs it"] = {
        "value": ", ".join(unwanted) or "none",
        "target": "none",
        "met": not unwanted,
    }
    figures |= {"packages": len(packages), "packages_mb": megabytes(there.home)}

    seconds = recordings(work / "speech", count)
    config = yaml.safe_load(there("voxmill", "config", "show", "-c", "light").stdout)
    config["sources"] = [{"name": "speech", "path": "speech", "language": "en", "licence": "cc-by-sa-3.0"}]
    config["crawl"]["contact"] = "tests@example.org"
    (work / "mine.yaml").write_text(yaml.safe_dump(config))

    figures["fetched"] = fetch_as_told(there, targets)

    began = time.monotonic()
    there("voxmill", "run", "speech", "-o", "run", "--language", "en", "--licence", "cc-by-sa-3.0", "--quiet")
    figures |= {"run_s": time.monotonic() - began, "speech_s": seconds}
    weights = megabytes(there.home) + megabytes(there.cache)
    figures["with_weights_mb"] = weights
    targets["light: size with weights, MB"] = {
        "value": round(weights),
        "target": f"< {LARGEST_MB}",
        "met": weights < LARGEST_MB,
    }
    proof = there("voxmill", "verify", "run", check=False)
    held = re.search(r"([\d,]+) shards?, ([\d,]+) samples?: the proof holds", proof.stdout)
    figures["samples"] = int(held.group(2)) if held else 0
    config = json.loads((work / "run" / "run.json").read_text())["config"]
    chosen = sorted(engine["kind"] for engine in config["transcribe"])
    targets["light: engines that `run FOLDER` chooses"] = {
        "value": ", ".join(chosen), "target": "faster-whisper, moonshine", "met": chosen == ["faster-whisper", "moonshine"],
    }  # fmt: skip
    targets["light: a folder of speech to verified shards"] = {
        "value": held.group(0) if held else (proof.stdout + proof.stderr)[-60:], "target": "samples, the proof holds",
        "met": proof.returncode == 0 and figures["samples"] > 0,
    }  # fmt: skip
    return figures


def fetch_as_told(there: Environment, targets: dict[str, Target]) -> list[str]:
    """Does what `voxmill config check` says is missing, until it says that nothing is."""
    done = list[str]()
    for _ in range(6):
        said = there("voxmill", "config", "check", "-c", "mine.yaml", check=False)
        text = " ".join((said.stdout + said.stderr).split())
        todo: list[str] = re.findall(r"pip install --no-deps (?:[\w.-]+==[\w.-]+ ?)+|voxmill models fetch [\w.-]+", text)
        if said.returncode == 0 or not todo:
            break
        for fix in dict.fromkeys(one.strip() for one in todo):
            done.append(fix)
            if fix.startswith("pip install"):
                there.add("--no-deps", *fix.split()[3:])
            else:
                there(*fix.split())
    targets["light: weights, as `config check` says"] = {
        "value": f"{len(done)} steps, exit {said.returncode}", "target": "nothing missing, exit 0", "met": said.returncode == 0,
    }  # fmt: skip
    return done


def licences(targets: dict[str, Target]) -> list[tuple[str, ...]]:
    """One row per extra; what may not be passed on is in none of `all` and the image."""
    rows = list[tuple[str, ...]]()
    for extra in extras():
        found = installed_by(extra)
        kinds = Counter(one.kind for one in found.values())
        rest = [f"{one.name} ({one.licence})" for one in found.values() if one.kind not in ("permissive", "redistributable")]
        rows.append(
            (
                extra or "always",
                str(len(found)),
                str(kinds["permissive"]),
                str(kinds["redistributable"]),
                ", ".join(rest),
            )
        )
    always = [f"{one.name} carries {', '.join(one.carries)}" for one in installed_by("").values() if one.carries]
    print(f"  in every install: {'; '.join(always) or 'nothing under the GPL'} (see NOTICE)\n")
    passed = [one for extra in {"all", *image_extras()} for one in installed_by(extra).values()]
    bad = sorted({one.name for one in passed if one.kind in ("copyleft", "restricted", "unknown")})
    targets["`all` and the image may be passed on"] = {"value": ", ".join(bad) or "yes", "target": "yes", "met": not bad}
    return rows


def resolves(platform: str, parts: str) -> str:
    """Empty where every pin of the extras has a package for the platform, else why not."""
    sources = [word for name in SOURCES_ONLY for word in ("--no-binary", name)]
    wanted = [word for part in parts.split(",") for word in ("--extra", part)]
    command = [
        UV, "pip", "compile", "--quiet", "--no-annotate", "--no-header", "--python-platform", platform,
        "--python-version", f"{sys.version_info.major}.{sys.version_info.minor}", "--constraints", str(PINS),
        "--only-binary", ":all:", *sources, *wanted, str(ROOT / "pyproject.toml"),
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", env=_plain() | {"MACOSX_DEPLOYMENT_TARGET": "15.0"}
    )
    return "" if done.returncode == 0 else " ".join(done.stderr.split())[:160]


def platforms(targets: dict[str, Target]) -> list[tuple[str, ...]]:
    rows = list[tuple[str, ...]]()
    for name, (platform, wanted) in PLATFORMS.items():
        faults = {key: resolves(platform, parts) for key, parts in SETS.items()}
        rows.append((name, *("no" if faults[key] else "yes" for key in SETS)))
        differ = [key for key in SETS if (not faults[key]) != (key in wanted)]
        targets[f"{name}: pins resolve as install.md says"] = {
            "value": "; ".join(f"{key}: {faults[key] or 'does'}" for key in differ) or "as said", "target": "as said", "met": not differ,
        }  # fmt: skip
    return rows


def main() -> None:
    full = full_form(sys.argv)
    heading(
        "check-install", full, "Asterisk's prompts joined, a public-domain reading", ["uv", "faster-whisper", "onnxruntime"]
    )
    targets: dict[str, Target] = {}
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="voxmill-install-") as folder:
        work = Path(folder)
        _run(UV, "build", "--quiet", "--wheel", "--out-dir", work / "dist", ROOT)
        (wheel,) = (work / "dist").glob("*.whl")
        figures["light"] = light(work, wheel, 8 if full else 2, targets)
        sizes = [("light", figures["light"]["install_s"], figures["light"]["packages"], figures["light"]["packages_mb"])]
        for name, parts in list(SETS.items())[1:] if full else ():
            there = Environment(work / name.replace(" ", "-"))
            took = there.install(wheel, parts)
            sizes.append((name, took, len(there.packages()), megabytes(there.home)))
            shutil.rmtree(there.home)
    figures["sizes_mb"] = {name: round(size) for name, _, _, size in sizes}
    one = figures["light"]
    print(
        f"  light: {one['speech_s']:.0f} s of speech in {one['run_s']:.0f} s to {one['samples']} samples; weights by {one['fetched']}\n"
    )
    table(("install", "seconds", "packages", "MB"), [(n, f"{s:.0f}", str(p), f"{mb:.0f}") for n, s, p, mb in sizes])
    table(("extra", "packages", "permissive", "passed on with an application", "others"), licences(targets))
    table(("pins resolve", *SETS), platforms(targets))
    finish("check-install", figures, targets, full)


def _plain() -> dict[str, str]:
    """Without what would lead a build to this project's own folders."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _run(*command: str | Path, check: bool = True, **how: Any) -> subprocess.CompletedProcess[str]:
    words: Sequence[str] = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, **({"cwd": "/", "env": _plain()} | how))
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
    return done


if __name__ == "__main__":
    main()
