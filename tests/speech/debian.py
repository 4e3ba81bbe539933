"""Files out of Debian packages, which are downloaded and unpacked, never installed. apt checks their signatures."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


class PackagesUnavailable(RuntimeError):
    """The packages cannot be had here; the message says what would help."""


def unpack(packages: Sequence[str], work: Path) -> None:
    """The packages' files, below `work` as they would lie below `/`.

    Refreshes apt's lists once where they are missing and we may. Raises PackagesUnavailable where apt cannot deliver.
    """
    command = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *packages]
    try:
        done = subprocess.run(command, cwd=work, check=False, capture_output=True, text=True)
        if done.returncode and os.geteuid() == 0:
            subprocess.run(["apt-get", "update", "-q"], check=False, capture_output=True)
            done = subprocess.run(command, cwd=work, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise PackagesUnavailable(f"no apt-get here: {' '.join(packages)} are Debian packages") from None
    debs = sorted(work.glob("*.deb"))
    if done.returncode or len(debs) != len(packages):
        raise PackagesUnavailable(
            f"apt-get download {' '.join(packages)} failed; run `apt-get update` as root, then again.\n{done.stderr.strip()[-500:]}"
        )
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", str(deb), str(work)], check=True)
        deb.unlink()
