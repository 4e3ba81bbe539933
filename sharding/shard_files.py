"""The files of a shard, and where they lie below the folder of the shards:

    NAME.tar                       the samples
    __metadata__/NAME.parquet      one row per sample: the sidecar
    __metadata__/NAME.json         the commit, written last
    __metadata__/index/…           the index of all shards
    __metadata__/attribution/…     whose work is in them
    README.md, and in __metadata__ DATASHEET.md and croissant.json: the cards of a release (`pipeline/release/`)

The tars stand alone, because loaders take whatever they find for data. Names that begin with two underscores are passed over
by Hugging Face's `datasets`, with one also by Arrow and Spark; unlike a name with a dot they are seen by `ls` and copied by `cp *`.

Before packer 3 the sidecars lay beside the tars; such shards are read, verified and removed like others, and packed anew by the
next `voxmill run`.
"""

from __future__ import annotations

from voxmill.manifests.storage import locate, remove
from voxmill.sharding.layout import SHARD_NAME

METADATA = "__metadata__"
CARD, DATASHEET, CROISSANT = "README.md", f"{METADATA}/DATASHEET.md", f"{METADATA}/croissant.json"
CARDS = frozenset({CARD, DATASHEET, CROISSANT})
"""Of a release. Only the first lies beside the tars: `datasets` looks for it there, and takes other files for data."""
SUFFIXES = ("json", "tar", "parquet")
"""In the order in which the files of a shard are removed: without its commit it does not exist."""


def beside(root: str, file: str) -> str:
    """The URI of a file in a folder or bucket prefix, which may end in a slash."""
    return f"{root.rstrip('/')}/{file}"


def tar_of(name: str) -> str:
    """The tar of a shard, below the folder of the shards."""
    return f"{name}.tar"


def sidecar_of(name: str) -> str:
    """The Parquet sidecar of a shard, below the folder of the shards."""
    return f"{METADATA}/{name}.parquet"


def commit_of(name: str) -> str:
    """The JSON commit of a shard, below the folder of the shards."""
    return f"{METADATA}/{name}.json"


def commits_of(name: str) -> tuple[str, str]:
    """Where a shard's commit may lie: today's place, and that of older packers."""
    return commit_of(name), f"{name}.json"


def shard_files(root: str) -> list[tuple[str, str, str]]:
    """(shard name, suffix, file below `root`) of every file that is named like a part of a shard; other files are not ours."""
    found = []
    for folder in (root, beside(root, METADATA)):
        fs, path = locate(folder)
        try:
            listing = fs.ls(path, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in listing:
            file = entry.rstrip("/").rsplit("/", 1)[-1]
            name, _, suffix = file.rpartition(".")
            if suffix in SUFFIXES and SHARD_NAME.fullmatch(name):
                found.append((name, suffix, file if folder == root else f"{METADATA}/{file}"))
    return sorted(found)


def remove_shard(root: str, name: str) -> list[str]:
    """Takes a shard away, its commit first. Returns the files that were there."""
    files = (*commits_of(name), tar_of(name), sidecar_of(name), f"{name}.parquet")
    return [file for file in files if remove(beside(root, file))]
