"""What Docker would send to its builder for `deploy/Dockerfile`, by the rules of Docker's own Python client."""

from __future__ import annotations

from pathlib import Path

from docker.utils.build import exclude_paths

ROOT = Path(__file__).resolve().parents[2]
LIMIT_MB = 20.0


def context(root: Path = ROOT) -> dict[str, int]:
    """Path -> bytes of every file of the build context; links count as themselves, as they are sent."""
    patterns = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    ignored = [line.strip() for line in patterns if line.strip() and not line.startswith("#")]
    found = sorted(exclude_paths(str(root), ignored, dockerfile="deploy/Dockerfile"))
    return {path: (root / path).lstat().st_size for path in found if (root / path).is_symlink() or (root / path).is_file()}


def megabytes(root: Path = ROOT) -> float:
    """Size of the context (MB)."""
    return sum(context(root).values()) / 1e6
