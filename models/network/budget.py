"""How much of an elastic model to use, and which amounts it is trained for.

A budget is a value that travels with each call; no layer remembers one. Everything is a prefix: the first experts, the first
hidden units of each. So the tensors of a smaller model are the leading corners of the larger one's, and `copy_leading` is all
that cutting a model takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from torch import nn

from voxmill.manifests.mistakes import Mistake
from voxmill.manifests.settings import Settings
from voxmill.models.data.seeds import Generator, choice


class BudgetError(Mistake, ValueError):
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

    def within(self, full: Budget) -> Budget:
        """This budget, with no more experts for a frame than there are. Raises BudgetError where it is larger than `full`."""
        if self.experts > full.experts or self.top_k > full.top_k or self.width > full.width:
            raise BudgetError(f"budget {self} is larger than the model, which has {full} (experts:top-k:width)")
        return Budget(self.experts, min(self.top_k, self.experts), self.width)


class BudgetSchedule(Settings):
    """Which budgets training visits. One is drawn for each optimiser step, for all layers and all ranks together."""

    experts: tuple[int, ...] = (3, 6, 9, 12, 15)
    """Prefix lengths, smallest first."""
    top_k: tuple[int, ...] = (3,)
    width: tuple[int, ...] = (512,)
    favour: float = 1.0
    """The i-th value of a list is drawn in proportion to i to this power: 0 all alike, 1 larger ones more often (TouchASP's
    'later groups are favoured'; the exponent is ours)."""

    def budgets(self) -> Iterator[Budget]:
        """Every budget that can be drawn, once, smallest first."""
        values = product(self.experts, self.top_k, self.width)
        yield from sorted({Budget(n, min(k, n), width) for n, k, width in values})

    def sample(self, generator: Generator) -> Budget:
        n, k, width = (self._draw(values, generator) for values in (self.experts, self.top_k, self.width))
        return Budget(n, min(k, n), width)

    def _draw(self, values: tuple[int, ...], generator: Generator) -> int:
        return values[choice(generator, [(index + 1) ** self.favour for index in range(len(values))])]


def copy_leading(small: nn.Module, large: nn.Module) -> None:
    """Gives every parameter and buffer of `small` the leading corner of the one of the same name in `large`."""
    source = large.state_dict()
    shapes = {name: tensor.shape for name, tensor in small.state_dict().items()}
    small.load_state_dict({name: source[name][tuple(map(slice, shape))] for name, shape in shapes.items()})
