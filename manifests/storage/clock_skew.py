"""A machine whose date is wrong: a store refuses what it signs, and says what time it is; from then on requests are signed with that.

A signature of S3 holds a date, and stores refuse one that is more than some minutes off (`RequestTimeTooSkewed`; to HEAD a bare 403). One machine
of a cluster that lost its time would end the run for all of them. Other SDKs of AWS do the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import botocore.auth
from botocore.auth import SIGV4_TIMESTAMP, S3SigV4Auth

TOLERATED = timedelta(minutes=4)
"""Less than this is not what a signature was refused for."""

_CORRECTED = "voxmill_clock_corrected"
_behind = timedelta()
"""What this machine's clock lacks, as far as a store has told."""


class CorrectedSigner(S3SigV4Auth):  # type: ignore[misc]
    """botocore's signature of S3 with a date that stores accept."""

    def _modify_request_before_signing(self, request: Any) -> None:
        if _behind:
            request.context["timestamp"] = (_signed(request.context) + _behind).strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)


def correct(response: Any, context: dict[str, Any]) -> bool:
    """Whether a request was refused for its date: then the clock is corrected, and it can be sent again, once."""
    global _behind
    if response is None or response[0].status_code not in (400, 403) or context.get(_CORRECTED):
        return False
    told = response[1].get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not told or "timestamp" not in context:
        return False
    off = parsedate_to_datetime(told).astimezone(timezone.utc) - _signed(context)
    if abs(off) < TOLERATED:
        return False
    context[_CORRECTED], _behind = True, _behind + off
    return True


def _signed(context: dict[str, Any]) -> datetime:
    return datetime.strptime(context["timestamp"], SIGV4_TIMESTAMP).replace(tzinfo=timezone.utc)


botocore.auth.AUTH_TYPE_MAPS["s3v4"] = CorrectedSigner
