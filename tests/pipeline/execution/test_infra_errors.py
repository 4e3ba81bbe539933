"""Whose fault an error is."""

from __future__ import annotations

import errno

import av.error
import pytest

from voxmill.manifests.storage import StoreError
from voxmill.operators.weights.registry import WeightsMissing
from voxmill.pipeline.execution.infra_errors import machine_fault


class Endpoint(Exception):
    """As botocore has it: none of the standard library's."""

    __module__ = "botocore.exceptions"


class Answer(Exception):
    """As botocore has the error answer of a store, of which s3fs makes an OSError with this one as its cause."""

    __module__ = "botocore.exceptions"

    def __init__(self, code: str) -> None:
        super().__init__(f"An error occurred ({code})")
        self.response = {"Error": {"Code": code}}


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        PermissionError(errno.EACCES, "Permission denied"),
        PermissionError("Access Denied"),
        ConnectionResetError("peer"),
        TimeoutError("the read operation timed out"),
        Endpoint("Could not connect to the endpoint URL"),
        ImportError("libcudart.so.12: cannot open shared object file"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA failed with error out of memory"),
        RuntimeError("cuBLAS failed with status CUBLAS_STATUS_NOT_SUPPORTED"),
        WeightsMissing("whisper-base", "not here", "voxmill models fetch whisper-base"),
        caused(RuntimeError("cannot store"), OSError(errno.EROFS, "Read-only file system")),
        StoreError("the store at http://here did not answer for 600 s"),
        caused(OSError(errno.EIO, "We encountered an internal error"), Answer("InternalError")),
    ],
)
def test_faults_of_the_machine(error: Exception) -> None:
    assert machine_fault(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("CUDA is a word of this transcript"),
        RuntimeError("the tensor has no elements"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        IsADirectoryError(errno.EISDIR, "Is a directory"),
        OSError("cannot identify image file"),
        av.error.OSError(errno.EIO, "Input/output error"),
        av.error.InvalidDataError(1094995529, "Invalid data found when processing input"),
        MemoryError(),
        caused(FileNotFoundError("The specified key does not exist."), Answer("NoSuchKey")),
        caused(FileNotFoundError("Not Found"), Answer("404")),
    ],
)
def test_faults_of_the_data_or_of_the_code(error: Exception) -> None:
    assert machine_fault(error) is None


@pytest.mark.parametrize(("code", "fix"), [("RequestTimeTooSkewed", "clock"), ("AccessDenied", "no permission")])
def test_what_a_store_refuses_for_has_its_own_fix(code: str, fix: str) -> None:
    assert fix in str(machine_fault(caused(PermissionError("refused"), Answer(code))))


def test_a_host_of_the_web_that_hangs_up_is_no_fault_of_the_machine() -> None:
    assert machine_fault(ConnectionResetError("peer"), web=True) is None
    assert machine_fault(OSError(errno.ENOSPC, "full"), web=True)
    assert machine_fault(Endpoint("the run's bucket"), web=True)
