"""What may be passed on, and what is said of the rest."""

from __future__ import annotations

import doctest
from collections.abc import Iterable

import pytest

import licences
from licences import CARRIED, MAY_BE_PASSED_ON, ROOT, Licensed, extras, image_extras, installed_by, kind_of, unproven
from voxmill.operators.weights.registry import registry

NOTICE = (ROOT / "NOTICE").read_text(encoding="utf-8")
ASKED_FOR = ("funasr",)
"""Extras that say in pyproject.toml and in NOTICE that they bring what may not be passed on."""


def bad(packages: Iterable[Licensed]) -> list[str]:
    return [f"{one.name} {one.version}: {one.licence}" for one in packages if one.kind not in MAY_BE_PASSED_ON]


@pytest.mark.parametrize("extra", sorted(extras().keys() - set(ASKED_FOR)))
def test_what_an_extra_installs_may_be_passed_on(extra: str) -> None:
    packages = installed_by(extra)
    assert len(packages) > 20, "the core alone has more"
    assert bad(packages.values()) == []


def test_the_image_installs_nothing_else() -> None:
    assert image_extras() == ["all", "s3"]
    for extra in image_extras():
        assert not {"mutagen", "kaldiio", "funasr"} & installed_by(extra).keys()


def test_an_extra_of_its_own_asks_for_what_may_not() -> None:
    """And the walk finds such things: it is not blind."""
    if "funasr" not in (packages := installed_by("funasr")):
        pytest.skip("FunASR is not installed")
    assert [line.split()[0] for line in bad(packages.values())] == ["kaldiio"]


@pytest.mark.parametrize("extra", sorted(extras()))
def test_whatever_is_not_permissive_is_named_in_the_notice(extra: str) -> None:
    for one in installed_by(extra).values():
        if one.kind != "permissive" or one.carries:
            assert one.name in NOTICE, f"NOTICE does not name {one.name} ({one.licence}, {one.kind})"
        for library in one.carries:
            assert library in NOTICE, f"NOTICE does not say that {one.name} carries {library}"


def test_weights_that_are_not_permissive_are_named_in_the_notice() -> None:
    for name, weights in registry().items():
        kind = kind_of(weights.licence)
        if kind != "permissive":
            assert name in NOTICE, f"NOTICE does not name {name} ({weights.licence})"
            assert weights.kind == "hub" or kind in MAY_BE_PASSED_ON, f"{name} travels in a package"


def test_what_is_said_of_a_package_is_in_its_own_licence_file() -> None:
    assert list(unproven()) == []


def test_licences_are_told_apart() -> None:
    assert doctest.testmod(licences).failed == 0
    kinds = {
        "MIT": "permissive", "Apache-2.0 WITH LLVM-exception": "permissive", "3-Clause BSD License": "permissive",
        "GNU Lesser General Public License v3 (LGPLv3)": "weak copyleft", "LGPL-2.1-or-later": "weak copyleft",
        "GNU General Public License v2 or later (GPLv2+)": "copyleft", "AGPL-3.0-only": "copyleft", "(MIT AND GPL-2.0)": "copyleft",
        "cc-by-nc-4.0": "restricted", "NVIDIA Proprietary Software": "restricted", "UNKNOWN": "unknown", "not stated": "unknown",
        "free within limits": "unknown",
    }  # fmt: skip
    assert {licence: kind_of(licence) for licence in kinds} == kinds
    assert CARRIED.search("libx264-d6533a8d.so.165")
    assert not CARRIED.search("libgomp-e985bcbb.so.1")
