"""The base of every config class: strict, frozen, and each sits beside what it configures."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Unknown keys are errors; values are not coerced across types; an instance never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, validate_default=True)
