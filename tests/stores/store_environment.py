"""What a process needs in its environment to reach a store of this folder, as a user would set it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def s3_environment(url: str) -> dict[str, str]:
    """The variables with which botocore, s3fs and `voxmill` find an S3 server at `url`; any key is accepted there."""
    return {
        "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "voxmill", "AWS_SECRET_ACCESS_KEY": "voxmill-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip


def gcs_environment(url: str) -> dict[str, str]:
    """The same for a GCS server: gcsfs asks nobody for credentials where an emulator is named."""
    return {"STORAGE_EMULATOR_HOST": url, "GOOGLE_CLOUD_PROJECT": "voxmill"}


@contextmanager
def reaching(environment: dict[str, str]) -> Iterator[None]:
    """This process, and those that it starts, reach that store while the block runs."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
