"""A command that is told each thing once: of an option given twice, click would take the last value without a word."""

from __future__ import annotations

from collections import Counter
from typing import Any

from typer.core import TyperCommand


class StrictCommand(TyperCommand):
    """Refuses an option that takes one value and is given several times."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Raises UserError."""
        if not ctx.resilient_parsing:  # of shell completion
            *_, order = self.make_parser(ctx).parse_args(args=list(args))
            for option, times in Counter(order).items():
                if times > 1 and not (getattr(option, "multiple", True) or getattr(option, "is_flag", True)):
                    from voxmill.manifests.errors import UserError

                    raise UserError(f"{option.opts[0]} is given {times} times, and takes one value: give it once")
        found: list[str] = super().parse_args(ctx, args)
        return found
