"""Warnings of every folder of voxmill reach the user as one line; those of other packages are left alone."""

from __future__ import annotations

import json
import warnings
from types import ModuleType

import pytest

from voxmill.manifests import schema
from voxmill.operators.decode import audio
from voxmill.pipeline import config
from voxmill.pipeline.commands.warning_lines import warn_plainly


@pytest.mark.parametrize(("module", "ours"), [(audio, True), (schema, True), (config, True), (json, False)])
def test_a_warning_is_one_line_if_it_is_ours(module: ModuleType, ours: bool) -> None:
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.showwarning = lambda *_: None
        warn_plainly(said.append)
        warnings.simplefilter("always")
        warnings.warn_explicit("a short file", UserWarning, str(module.__file__), 1)
    assert said == ["a short file"] * ours
