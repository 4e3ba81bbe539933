"""The combinations of extras that are tested together, what each is for, and which of its packages are missing here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from voxmill.pipeline.extras import extras, parts_of, pip_install


@dataclass(frozen=True, slots=True)
class Install:
    """A set of extras: `pip install 'voxmill[…]'`."""

    extras: tuple[str, ...]
    purpose: str
    gigabytes: float
    """On disk, without weights, as `make check-install FULL=1` measures it on Linux x86-64."""
    makes_shards: bool
    """Whether sources become shards with it."""

    @property
    def command(self) -> str:
        """The pip command for it."""
        return pip_install(self.extras)

    def missing(self) -> list[str]:
        """Names of its packages that are not installed."""
        parts = [part for extra in self.extras for part in parts_of(extra)]
        return [name for name in dict.fromkeys(name for part in parts for name in extras().get(part, ())) if not here(name)]


INSTALLS = (
    Install(("light",), "from sources to shards on a CPU, without torch", 0.9, True),
    Install(("train", "evaluate", "export"), "training from shards, without recognisers", 7.8, False),
    Install(("all",), "everything, on CPUs and NVIDIA GPUs, on one machine or a Ray cluster", 9.6, True),
    Install(("all", "funasr"), "that with Paraformer and SenseVoice; may not be passed on (see NOTICE)", 9.7, True),
)


def here(package: str) -> str | None:
    """The installed version of a package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
