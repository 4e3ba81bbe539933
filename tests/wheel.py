"""The package as a stranger gets it: built into a wheel, installed in a clean environment, and asked for its help.

Only the core dependencies are there, so this also proves that the command starts without torch, Ray or any engine.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV = Path(sys.executable).with_name("uv")
FOLDERS = ("manifests", "models", "operators", "pipeline", "sharding")


def run(*command: str | Path) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd="/", check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run(UV, "build", "--quiet", "--out-dir", folder, ROOT)  # the sdist, then the wheel from the sdist
        (wheel,) = Path(folder).glob("*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        for package in FOLDERS:
            if f"voxmill/{package}/__init__.py" not in names:
                sys.exit(f"the wheel lacks voxmill.{package}: are the links in src/voxmill whole?")
        if "voxmill/pipeline/view/page/index.html" not in names:
            sys.exit("the wheel lacks the page of `voxmill view`: see package-data in pyproject.toml")
        if tops := {n.split("/")[0] for n in names} - {"voxmill"} - {n.split("/")[0] for n in names if ".dist-info/" in n}:
            sys.exit(f"the wheel puts other names into site-packages: {tops}")
        pins = ROOT / "constraints" / f"py{sys.version_info.major}.{sys.version_info.minor}.txt"
        run(UV, "venv", "--quiet", "--python", sys.executable, f"{folder}/env")
        python = f"{folder}/env/bin/python"
        run(UV, "pip", "install", "--quiet", "--python", python, "--constraints", pins, wheel)
        help_text = run(f"{folder}/env/bin/voxmill", "--help")
        config = run(f"{folder}/env/bin/voxmill", "config", "show", "--config", "demo")
        if "verify" not in help_text or "sources:" not in config:
            sys.exit("the installed command does not work")
        print(f"{wheel.name}: {len(names)} files, installs and starts in a clean environment")


if __name__ == "__main__":
    main()
