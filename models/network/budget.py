"""How much of an elastic model to use, and which amounts it is trained for.

A budget is a value that travels with each call; no layer remembers one. Everything is a prefix: the first experts, the first
hidden units of each. So the tensors of a smaller model are the leading corners of the larger one's, and `copy_leading` is all
that cutting a model takes.
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
    """A budget that a model does not have."""


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
        """`EXPERTS[:TOP_K[:WIDTH]]`; what is not said is as in `full`. Raises BudgetError."""
        try:
            given = [int(part) for part in text.split(":")]
            budget = cls(*given, *(full.experts, full.top_k, full.width)[len(given) :])
        except (ValueError, TypeError):
            raise BudgetError(f"{text!r} is no budget: write EXPERTS[:TOP_K[:WIDTH]], for example 6 or 6:2:256") from None
        return budget.within(full)

    def fits(self, full: Budget) -> bool:
        return self.experts <= full.experts and self.top_k <= full.top_k and self.width <= full.width

    def within(self, full: Budget) -> Budget:
        """This budget, with no more experts for a frame than there are. Raises BudgetError where it is larger than `full`."""
        if not self.fits(full):
            raise BudgetError(f"budget {self} is larger than the model, which has {full} (experts:top-k:width)")
        return Budget(self.experts, min(self.top_k, self.experts), self.width)


_Value = TypeVar("_Value")


class BudgetSchedule(Settings):
    """Which budgets training visits. One is drawn for each optimiser step, for all layers and all ranks together."""

    experts: tuple[int, ...] = (3, 6, 9, 12, 15)
    """Prefix lengths, smallest first."""
    top_k: tuple[int, ...] = (3,)
    """Numbers of experts that a frame asks, which training visits."""
    width: tuple[int, ...] = (512,)
    """Widths of an expert (hidden units) that training visits."""
    favour: float = 1.0
    """The i-th value of a list is drawn in proportion to i to this power: 0 all alike, 1 larger ones more often (TouchASP's
    'later groups are favoured'; the exponent is ours)."""
    only: tuple[str, ...] = ()
    """These budgets, smallest first, as `Budget.parse` reads them, instead of every combination of the lists: devices ask for few,
    and each is visited more often then."""
    passes: Literal["one", "sandwich", "every"] = "one"
    """What one step learns at: the budget that is drawn; that and the largest, so that the whole model learns in every step (after
    Yu and Huang's slimmable networks); or all budgets instead of a drawn one, so that each has as many steps as a model trained for
    it alone, which suits short lists. A step of several passes takes the mean of their gradients, and costs that many."""

    @property
    def largest(self) -> Budget:
        n, k, width = self.experts[-1], self.top_k[-1], self.width[-1]
        return Budget(n, min(k, n), width)

    def budgets(self) -> Iterator[Budget]:
        """Every budget that can be drawn, once, smallest first."""
        values = product(self.experts, self.top_k, self.width)
        drawn = set(self._listed()) if self.only else {Budget(n, min(k, n), width) for n, k, width in values}
        yield from sorted(drawn if self.passes == "one" else drawn | {self.largest})

    def sample(self, generator: Generator) -> Budget:
        if self.only:
            return self._draw(self._listed(), generator)
        n, k, width = (self._draw(values, generator) for values in (self.experts, self.top_k, self.width))
        return Budget(n, min(k, n), width)

    def of_step(self, generator: Generator) -> tuple[Budget, ...]:
        """What one step learns at, the largest first."""
        if self.passes == "every":
            return tuple(self.budgets())[::-1]
        drawn = self.sample(generator)
        return (self.largest, drawn) if self.passes == "sandwich" and drawn != self.largest else (drawn,)

    def cut(self, full: Budget) -> BudgetSchedule:
        """What is left of it in a model of that size."""
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
    """Gives every parameter and buffer of `small` the leading corner of the one of the same name in `large`."""
    source = large.state_dict()
    shapes = {name: tensor.shape for name, tensor in small.state_dict().items()}
    small.load_state_dict({name: source[name][tuple(map(slice, shape))] for name, shape in shapes.items()})
