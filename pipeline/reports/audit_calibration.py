"""From what a model says of a transcript's being wrong to how often such ones are wrong, by a sample that somebody has listened to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field, ValidationError

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import UserError, first_mistake
from voxmill.manifests.storage import exists
from voxmill.manifests.user_input import text

LEAST, LEAST_WRONG = 20, 3
"""Fewest transcripts of a sample, and fewest wrong ones among them, from which anything is fitted."""


class AuditCalibration(Settings):
    """A rising curve from the model's probability to the observed share of wrong transcripts."""

    version: Literal[1] = 1
    modelled: tuple[float, ...] = Field(min_length=1)
    """Probabilities by the model, rising."""
    observed: tuple[float, ...]
    """Share of wrong transcripts there."""
    transcripts: int
    """How many were listened to."""
    wrong: int
    """How many of them were wrong."""

    def share(self, modelled: float) -> float:
        """The share of wrong transcripts to expect where the model says so."""
        return float(np.interp(modelled, self.modelled, self.observed))


def fit_audit(modelled: Sequence[float], wrong: Sequence[bool]) -> AuditCalibration:
    """Isotonic regression on the model's probabilities; its ends stay away from 0 and 1 by what so few transcripts can tell.

    Raises UserError where the sample is too small.
    """
    from sklearn.isotonic import IsotonicRegression

    if len(wrong) < LEAST or sum(wrong) < LEAST_WRONG:
        raise UserError(
            f"the sample has {len(wrong)} given transcripts of this run, {sum(wrong)} of them wrong: "
            f"{LEAST} and {LEAST_WRONG} are the least to calibrate with; listen to more of the first suspects"
        )
    scores = np.asarray(modelled)
    fitted = IsotonicRegression(out_of_bounds="clip").fit(scores, np.asarray(wrong, float))
    points = np.unique(fitted.X_thresholds_)
    nearest = 1.0 / (len(wrong) + 2)
    shares = np.clip(fitted.predict(points), nearest, 1.0 - nearest)
    return AuditCalibration(modelled=tuple(points), observed=tuple(shares), transcripts=len(wrong), wrong=int(sum(wrong)))


def load_audit_calibration(path: str) -> AuditCalibration | None:
    """The calibration of a run; None where it has none. Raises UserError where the file is damaged."""
    if not exists(path):
        return None
    fix = "delete it, and calibrate again with `voxmill audit RUN --reference labelled.jsonl`"
    try:
        return AuditCalibration.model_validate_json(text(path, "calibration of an audit", fix))
    except ValidationError as error:
        raise UserError(f"{path} is no calibration of an audit ({first_mistake(error)}): {fix}") from None
