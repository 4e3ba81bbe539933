"""The executor that a config or a command line asks for."""

from __future__ import annotations

from voxmill.pipeline.execution.executor import COMMIT_SECONDS, Executor


def open_executor(
    kind: str,
    address: str | None = None,
    workers: int | None = None,
    *,
    same_results: bool = False,
    commit_seconds: float = COMMIT_SECONDS,
) -> Executor:
    """`local` or `ray`, which starts Ray on this machine or joins the cluster at `address`, once there is something to do.

    With `same_results`, workers compute the same on every CPU with AVX2, as far as libraries allow (`cpu_type.py`).
    """
    if kind == "ray":
        from voxmill.pipeline.execution.ray_executor import RayExecutor  # loads Ray

        return RayExecutor(address, workers=workers, same_results=same_results, commit_seconds=commit_seconds)
    from voxmill.pipeline.execution.local_executor import LocalExecutor

    return LocalExecutor(workers=workers, same_results=same_results, commit_seconds=commit_seconds)
