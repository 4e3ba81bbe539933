"""The image's context and its Dockerfile."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from deploy.context import LIMIT_MB, ROOT, context, megabytes

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
FOLDERS = ("manifests", "operators", "pipeline", "sharding", "models")


def test_the_context_is_what_the_package_is_built_from_and_nothing_else() -> None:
    found = context()
    tops = {path.split("/")[0] for path in found} - {".dockerignore"}
    assert tops == {*FOLDERS, "src", "constraints", "deploy", "pyproject.toml", "LICENSE", "NOTICE", "README.md"}
    assert not [path for path in found if "__pycache__" in path]
    assert [path for path in found if path.startswith("deploy/")] == ["deploy/Dockerfile"]
    assert {f"src/voxmill/{name}" for name in FOLDERS} <= found.keys(), "the links that make the import name"
    assert megabytes() < LIMIT_MB


def test_what_lies_around_a_checkout_stays_out(tmp_path: Path) -> None:
    for name in (".dockerignore", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in (".git/objects/x", ".venv/lib/torch.so", "runs/one/shards/a.tar", "deploy/secrets.env", ".env", "models/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 1000)
    assert set(context(tmp_path)) - {".dockerignore"} == {"pyproject.toml", "models/a.py"}


def test_the_last_stage_installs_nothing_that_builds() -> None:
    build, last = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    assert build.splitlines()[0].endswith(" AS build")
    installed = re.findall(r"apt-get install -y --no-install-recommends (.*?) &&", last)
    assert installed == ["wget"]
    assert "pip install" not in last
    assert "USER ray" in last
    assert last.index("USER ray") < last.index("CMD"), "nothing runs as root"
    assert "COPY . ." not in last


def test_every_instruction_of_the_dockerfile_is_one() -> None:
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#")))
    words = {line.split()[0] for line in joined.splitlines() if line.strip()}
    assert words <= {"FROM", "WORKDIR", "COPY", "ARG", "RUN", "USER", "ENV", "CMD"}
