"""Budgets: which part of an elastic model a call uses, and which budgets training visits.

A budget is passed with each call; layers keep none. Everything is a prefix: the first experts, and the first hidden units of
each. So the tensors of a smaller model are leading slices of the larger one's, and `copy_leading` is all that extracting a
model takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeVar

from torch import nn

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import UserError
from voxmill.models.common.seeds import Generator, choice


class BudgetError(UserError, ValueError):
    """A budget that cannot be read, or that is larger than the model."""


@dataclass(frozen=True, slots=True, order=True)
class Budget:
    """The first `experts` routed experts, `top_k` of them for each frame, and the first `width` hidden units of every expert.

    >>> Budget.parse("6", full=Budget(15, 3, 512)), str(Budget(6, 2, 256))
    (Budget(experts=6, top_k=3, width=512), '6:2:256')
    """

    experts: int
    top_k: int
    width: int

    def __post_init__(self) -> None:
        if min(self.experts, self.top_k, self.width) < 1:
            raise BudgetError(f"a budget needs at least 1 expert, top-1 and width 1, not {self}")

    def __str__(self) -> str:
        return f"{self.experts}:{self.top_k}:{self.width}"

    @classmethod
    def parse(cls, text: str, full: Budget) -> Budget:
        """Reads `EXPERTS[:TOP_K[:WIDTH]]`; what is missing is as in `full`. Raises BudgetError."""
        try:
            given = [int(part) for part in text.split(":")]
            budget = cls(*given, *(full.experts, full.top_k, full.width)[len(given) :])
        except (ValueError, TypeError):
            raise BudgetError(f"{text!r} is no budget: write EXPERTS[:TOP_K[:WIDTH]], for example 6 or 6:2:256") from None
        return budget.within(full)

    def fits(self, full: Budget) -> bool:
        """Whether no part of it is larger than that of `full`."""
        return self.experts <= full.experts and self.top_k <= full.top_k and self.width <= full.width

    def within(self, full: Budget) -> Budget:
        """This budget with `top_k` at most `experts`. Raises BudgetError if it is larger than `full`."""
        if not self.fits(full):
            raise BudgetError(f"budget {self} is larger than the model, which has {full} (experts:top-k:width)")
        return Budget(self.experts, min(self.top_k, self.experts), self.width)


_Value = TypeVar("_Value")


class BudgetSchedule(Settings):
    """Which budgets training visits. Each optimiser step draws one, the same for all layers and ranks."""

    experts: tuple[int, ...] = (3, 6, 9, 12, 15)
    """Numbers of experts, smallest first."""
    top_k: tuple[int, ...] = (3,)
    """Numbers of experts that process a frame."""
    width: tuple[int, ...] = (512,)
    """Hidden units of an expert."""
    favour: float = 1.0
    """The i-th value of each list is drawn with a probability proportional to i to this power: 0 is uniform, 1 favours larger
    ones (as TouchASP does by a second-hand source; the exponent is ours)."""
    only: tuple[str, ...] = ()
    """Visit these budgets only, smallest first, written as `EXPERTS:TOP_K:WIDTH`, instead of every combination of the lists."""
    passes: Literal["one", "sandwich", "every"] = "one"
    """Budgets of one step. `one`: the drawn one. `sandwich`: the drawn one and the largest (after universally slimmable
    networks, arXiv 1903.05134). `every`: all of them, so that each gets as many steps as a model trained for it alone. A step
    of several budgets averages their gradients, and costs a pass for each."""

    @property
    def largest(self) -> Budget:
        """The largest of the lists' combinations."""
        n, k, width = self.experts[-1], self.top_k[-1], self.width[-1]
        return Budget(n, min(k, n), width)

    def budgets(self) -> Iterator[Budget]:
        """Every budget that training visits, once, smallest first."""
        values = product(self.experts, self.top_k, self.width)
        drawn = set(self._listed()) if self.only else {Budget(n, min(k, n), width) for n, k, width in values}
        yield from sorted(drawn if self.passes == "one" else drawn | {self.largest})

    def sample(self, generator: Generator) -> Budget:
        """Draws one budget."""
        if self.only:
            return self._draw(self._listed(), generator)
        n, k, width = (self._draw(values, generator) for values in (self.experts, self.top_k, self.width))
        return Budget(n, min(k, n), width)

    def of_step(self, generator: Generator) -> tuple[Budget, ...]:
        """The budgets of one step, the largest first."""
        if self.passes == "every":
            return tuple(self.budgets())[::-1]
        drawn = self.sample(generator)
        return (self.largest, drawn) if self.passes == "sandwich" and drawn != self.largest else (drawn,)

    def cut(self, full: Budget) -> BudgetSchedule:
        """The schedule of a smaller model: without the budgets that do not fit it."""
        left: dict[str, tuple[int | str, ...]] = {
            "experts": tuple(n for n in self.experts if n <= full.experts) or (full.experts,),
            "top_k": tuple(k for k in self.top_k if k <= full.top_k) or (full.top_k,),
            "width": tuple(w for w in self.width if w <= full.width) or (full.width,),
        }
        if self.only:
            left["only"] = tuple(str(one) for one in self._listed() if one.fits(full)) or (str(full),)
        return self.model_copy(update=left)

    def _listed(self) -> list[Budget]:
        return [Budget.parse(text, self.largest) for text in self.only]

    def _draw(self, values: Sequence[_Value], generator: Generator) -> _Value:
        return values[choice(generator, [(index + 1) ** self.favour for index in range(len(values))])]


def copy_leading(small: nn.Module, large: nn.Module) -> None:
    """Copies into every parameter and buffer of `small` the leading slice of the one of the same name in `large`."""
    source = large.state_dict()
    shapes = {name: tensor.shape for name, tensor in small.state_dict().items()}
    small.load_state_dict({name: source[name][tuple(map(slice, shape))] for name, shape in shapes.items()})
