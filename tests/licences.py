"""The licence of every package that an extra installs, from the packages' own metadata; `python tests/licences.py` prints them.

Which packages: the requirements of the extra in pyproject.toml, and theirs, as far as they are installed and hold on this machine.
Which licence: what KNOWN says, with the words of the licence file that show it; else the metadata's expression, classifiers or text.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]

Kind = Literal["permissive", "weak copyleft", "redistributable", "copyleft", "restricted", "unknown"]
"""`redistributable`: proprietary, and may be passed on with an application that uses it."""

MAY_BE_PASSED_ON: tuple[Kind, ...] = ("permissive", "weak copyleft", "redistributable")
ORDER: tuple[Kind, ...] = (*MAY_BE_PASSED_ON, "copyleft", "restricted", "unknown")

_CUDA = ("LicenseRef-NVIDIA-CUDA-EULA", "License.txt", "Attachment A")
KNOWN: dict[str, tuple[str, str, str]] = {
    "kaldiio": ("LicenseRef-NTT-evaluation-only", "LICENSE", "SOFTWARE LICENSE AGREEMENT FOR EVALUATION"),
    "torchcodec": ("BSD-3-Clause", "LICENSE", "BSD 3-Clause License"),
    "nvidia-cudnn-cu12": ("LicenseRef-NVIDIA-cuDNN", "License.txt", "The following portions of the SDK are distributable"),
    "nvidia-cusparselt-cu12": ("LicenseRef-NVIDIA-cuSPARSELt", "LICENSE.txt", "distribut"),
    "nvidia-nccl-cu12": ("BSD-3-Clause", "License.txt", "Redistribution and use in source and binary forms"),
    "nvidia-nvtx-cu12": ("Apache-2.0", "License.txt", "Apache License"),
    **{f"pyannote-{part}": ("MIT", "LICENSE", "Permission is hereby granted") for part in
       ("audio", "core", "database", "metrics", "pipeline")},
    "promql-parser": ("MIT", "LICENSE", "Permission is hereby granted"),
    "pyannoteai-sdk": ("MIT", "LICENSE", "Permission is hereby granted"),
    **{f"nvidia-{part}-cu12": _CUDA for part in
       ("cublas", "cuda-cupti", "cuda-nvrtc", "cuda-runtime", "cufft", "cufile", "curand", "cusolver", "cusparse", "nvjitlink")},
}  # fmt: skip
"""Package -> licence, a file of the package that states it, and words in that file: metadata alone says it wrongly or not at all."""

REDISTRIBUTABLE = ("licenseref-nvidia-cuda-eula", "licenseref-nvidia-cudnn", "licenseref-nvidia-cusparselt")
_KINDS: tuple[tuple[Kind, str], ...] = (
    ("restricted", r"evaluation|non-?commercial|proprietary|-nc-|cc-by-nc"),
    ("weak copyleft", r"lgpl|lesser general public|mpl|mozilla|cc-by-sa"),
    ("copyleft", r"gpl|general public license|sspl"),
    ("permissive", r"\bmit\b|bsd|apache|\bisc\b|psf|python software foundation|unlicense|zlib|cc0|public.domain|hpnd|cnri"),
)  # fmt: skip

CARRIED = re.compile(r"lib(x264|x265|readline|fftw3|gsl|rubberband|xvidcore|vidstab|postproc|espeak-ng)\b")
"""Libraries under the GPL, as wheels carry them beside their own code."""


@dataclass(frozen=True, slots=True)
class Licensed:
    """An installed package, its licence, and what it carries of others'."""

    name: str
    version: str
    licence: str
    kind: Kind
    carries: tuple[str, ...] = ()


def kind_of(licence: str) -> Kind:
    """Of an SPDX expression or a name: of alternatives the freest, of all that hold together the strictest.

    >>> kind_of("MPL-2.0 AND MIT"), kind_of("GPL-2.0-or-later OR MIT"), kind_of("GPL-3.0"), kind_of("whatever")
    ('weak copyleft', 'permissive', 'copyleft', 'unknown')
    """
    ways = re.split(r"\s+or\s+(?!later)", licence, flags=re.IGNORECASE)
    return min(
        (max(map(_one, re.split(r"\s+and\s+", way, flags=re.IGNORECASE)), key=ORDER.index) for way in ways), key=ORDER.index
    )


def _one(name: str) -> Kind:
    name = name.strip(" ()").lower()
    if name in REDISTRIBUTABLE:
        return "redistributable"
    return next((kind for kind, pattern in _KINDS if re.search(pattern, name)), "unknown")


@cache
def extras() -> dict[str, list[str]]:
    """What pyproject.toml states: extra -> requirements; `` is what is always installed."""
    project: dict[str, Any] = _toml(ROOT / "pyproject.toml")["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def image_extras() -> list[str]:
    """What deploy/Dockerfile installs unless told otherwise."""
    (line,) = re.findall(r"^ARG EXTRAS=(\S+)$", (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    return list(line.split(","))


@cache
def installed_by(extra: str) -> dict[str, Licensed]:
    """Every installed package that the extra brings, by name; with what is always there."""
    return {name: licensed(name) for name in sorted(_closure([*extras()[""], *extras()[extra]]))}


@cache
def licensed(name: str) -> Licensed:
    dist = distribution(name)
    licence = KNOWN[name][0] if name in KNOWN else _stated(dist.metadata)
    files = {match.group(0) for file in dist.files or () if (match := CARRIED.search(file.name))}
    return Licensed(name, dist.version, licence, kind_of(licence), tuple(sorted(files)))


def unproven() -> Iterator[str]:
    """Entries of KNOWN whose licence file does not say what they claim; packages that are not installed are passed over."""
    for name, (licence, file, words) in KNOWN.items():
        try:
            paths = [p for p in distribution(name).files or () if p.name == file]
        except PackageNotFoundError:
            continue
        if not any(words in Path(str(path.locate())).read_text(encoding="utf-8", errors="replace") for path in paths):
            yield f"{name}: no file {file} that says {words!r}, as {licence} was read from"


def _stated(metadata: Any) -> str:
    if expression := metadata.get("License-Expression"):
        return str(expression)
    tags = [c.split(" :: ")[-1] for c in metadata.get_all("Classifier") or () if c.startswith("License ::")]
    tags = [tag for tag in tags if tag not in ("OSI Approved", "DFSG approved")]
    text = (metadata.get("License") or "").strip().splitlines()
    stated = text[0].strip() if text and len(text[0]) < 80 else ""
    if re.fullmatch(r"[A-Za-z0-9.+-]+", stated) and stated != "UNKNOWN":
        return stated
    if tags:
        return " OR ".join(tags) if "dual" in stated.lower() else " AND ".join(tags)
    return stated or "not stated"


def _closure(requirements: list[str]) -> set[str]:
    found = set[str]()
    seen: set[tuple[str, str]] = set()
    pending = [(Requirement(text), "") for text in requirements]
    while pending:
        requirement, extra = pending.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        if name == "voxmill":
            pending += [(Requirement(text), "") for part in requirement.extras for text in extras()[part]]
            continue
        try:
            dist = distribution(name)
        except PackageNotFoundError:
            continue
        found.add(name)
        for part in ("", *requirement.extras):
            if (name, part) not in seen:
                seen.add((name, part))
                pending += [(Requirement(text), part) for text in dist.requires or ()]
    return found


def _toml(path: Path) -> Mapping[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    for extra in extras():
        print(f"\n{extra or 'always'}")
        for one in installed_by(extra).values():
            carries = f"  carries {', '.join(one.carries)}" if one.carries else ""
            print(f"  {one.name:34} {one.version:18} {one.kind:16} {one.licence}{carries}")


if __name__ == "__main__":
    main()
