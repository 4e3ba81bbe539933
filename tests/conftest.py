"""Fixtures that more than one folder of tests needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent

os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 has its workers wait for all tests that run beside them
settings.register_profile("voxmill", deadline=None)  # a busy machine is no bug
settings.load_profile("voxmill")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file run in one process, unless a mark says otherwise: what they import and share is then made once."""
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One Ray on this machine for every test that needs it; its workers can import what tests import."""
    ray = pytest.importorskip("ray")
    from voxmill.pipeline.execution.ray_executor import start_ray

    os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    start_ray(None)
    yield
    ray.shutdown()
