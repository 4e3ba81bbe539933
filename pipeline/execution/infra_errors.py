"""Whose fault an error is: the machine's, or the data's.

Data errors become outcomes. A full disk, a store that does not answer, a GPU that fails or a missing package would reject
every input that comes next, and the rejections would stay when the machine is mended: so these stop the run.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from voxmill.manifests.errors import Unavailable
from voxmill.manifests.storage import StoreError
from voxmill.operators.transcribe.service_errors import ServiceUnavailable
from voxmill.operators.weights.registry import WeightsMissing
from voxmill.pipeline import extras


class StageError(Unavailable):
    """A stage cannot do its work, whatever it is given: a broken set-up or machine, not bad data. The run stops, nothing is lost."""


_SPEAKING = (StoreError, WeightsMissing, ServiceUnavailable)
"""Errors whose own message names the thing, the cause and the fix."""

_RIGHTS = "no permission: give another place, or yourself the right"
_STORAGE = "the storage fails or does not answer"
_NETWORK = "the storage cannot be reached over the network"
_FIXES: dict[int, str] = {
    errno.ENOSPC: "the disk is full: make room",
    errno.EDQUOT: "the disk quota is used up: make room",
    errno.EFBIG: "the file would be larger than this file system or `ulimit -f` allows",
    errno.EROFS: "the file system is read-only: give another place",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EMFILE: "too many open files: raise `ulimit -n`",
    errno.ENFILE: "too many open files on this machine",
    errno.ENOMEM: "the machine is out of memory: fewer workers, or a larger machine",
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN), _STORAGE),
    **dict.fromkeys(
        (errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT, errno.EHOSTUNREACH,
         errno.ENETUNREACH, errno.ENETDOWN), _NETWORK
    ),
}  # fmt: skip
"""Error numbers that no content of a file can cause. ENOENT is not among them: one file may be gone, and the others be there."""

_STORES = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google")
"""Packages through which only storage is asked (what is crawled comes another way), with exceptions of their own."""

_ANSWERS: dict[str, str | None] = {
    **dict.fromkeys(("NoSuchKey", "404", "416", "InvalidRange"), None),
    **dict.fromkeys(("AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"), _RIGHTS),
    "RequestTimeTooSkewed": "the clock of this machine is wrong: set it, e.g. with NTP",
    "QuotaExceeded": "the quota of the bucket is used up: make room",
}  # fmt: skip
"""Codes of S3 error answers that are about one object, or have a fix of their own."""

_CLUSTER = "a part of the Ray cluster is gone or does not answer"

_GPU = re.compile(r"\b(CUDA|cuDNN|CUDNN_\w+|cuBLAS|CUBLAS_\w+|NCCL)\b|\b(HIP|MPS) (backend|error)")
"""How torch, CTranslate2 and ONNX Runtime word what a device does to them; only the first has exception types for it."""


def machine_fault(error: BaseException, *, web: bool = False) -> str | None:
    """What is wrong with the machine, where that is what an error (or what it states as its cause) says; None for all others.

    With `web` a connection that fails is not the machine's fault: it may be one host's, and the others answer.

    >>> machine_fault(OSError(errno.ENOSPC, "No space left on device"))
    'OSError: [Errno 28] No space left on device; the disk is full: make room'
    >>> machine_fault(ValueError("header says 0 Hz")) is None
    True
    """
    for one in _causes(error):
        said = _fault(one)
        if said and not (web and said == _NETWORK):
            return said if isinstance(one, _SPEAKING) else f"{type(one).__name__}: {one}; {said}"
    return None


@contextmanager
def blamed(what: str, *, web: bool = False) -> Iterator[None]:
    """Turns the machine's errors into a StageError that begins with `what`; those of the data and of this code pass."""
    try:
        yield
    except StageError:
        raise
    except Exception as error:
        if fault := machine_fault(error, web=web):
            raise StageError(f"{what}: {fault}; then run again to continue") from error
        raise


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error


def _answer(error: BaseException) -> str:
    """The code of the error answer of an S3 store that an error, or the error that s3fs made of it, holds."""
    held = [getattr(one, "response", None) for one in (error, error.__cause__)]
    return next((str(one["Error"].get("Code", "")) for one in held if isinstance(one, dict) and "Error" in one), "")


def _fault(error: BaseException) -> str | None:
    family = {kind.__module__.split(".")[0] for kind in type(error).__mro__}
    if "av" in family:  # libav says EIO and EPERM of broken files as well; what it reads, it reads through our file objects
        return None
    if isinstance(error, _SPEAKING):
        return str(error)
    if isinstance(error, ImportError):
        return (
            extras.missing(error)
            or "a package is broken: install the extra that holds it again, e.g. pip install 'voxmill[all]'"
        )
    if (code := _answer(error)) in _ANSWERS:
        return _ANSWERS[code]
    if isinstance(error, OSError) and error.errno in _FIXES:
        return _FIXES[error.errno]
    if isinstance(error, PermissionError):  # stores raise it without a number
        return _FIXES[errno.EACCES]
    if "ray" in family:
        return _CLUSTER
    if family & set(_STORES) and not isinstance(error, FileNotFoundError):
        return _STORAGE
    if isinstance(error, (ConnectionError, TimeoutError)):
        return _NETWORK
    if (isinstance(error, RuntimeError) or "onnxruntime" in family) and _GPU.search(str(error)):
        return "the GPU fails or has no room: see `nvidia-smi`; fewer workers on it, or a smaller batch_size, need less"
    return None
