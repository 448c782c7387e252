"""Noise of updates: of all seeds at once, or of a group of seeds, which gets the same.

An update calls these with a tensor, not with its shape: a shape would be a piece of compiled code by itself.
"""

from collections import deque
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch._dynamo import maybe_mark_dynamic


@torch.compiler.disable  # torch.compile cannot use generators
def standard_normal(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Standard normal noise `[..., S, B, X]` on the generator's device."""
    return _draw(torch.randn, shape, generator)


@torch.compiler.disable
def standard_normal_like(value: Tensor, copies: int, generator: torch.Generator) -> Tensor:
    """Standard normal noise `[copies, S, B, X]` for `value` `[S, B, X]`."""
    return _draw(torch.randn, (copies, *value.shape), generator)


@torch.compiler.disable
def uniform_like(value: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform noise in [0, 1), `[S, B, 1]` for `value` `[S, B]`."""
    return _draw(torch.rand, (*value.shape, 1), generator)


def _draw(kind: Callable[..., Tensor], shape: Sequence[int], generator: "torch.Generator | GeneratorPart") -> Tensor:
    if isinstance(generator, GeneratorPart):
        return generator.draw(kind, shape)
    return kind(*shape, device=generator.device, generator=generator)


class SharedGenerator:
    """A generator for groups of seeds: each gets its seeds' part of what is drawn for all of them.

    So a seed's noise is the same in any company. Every update draws the same shapes; the first one of the first group shows
    which. From then on `prepare` draws for all groups before they begin.

    Args:
        generator: of all seeds.
        num_seeds: S.
    """

    def __init__(self, generator: torch.Generator, num_seeds: int):
        self.generator, self.num_seeds = generator, num_seeds
        self.parts: list[GeneratorPart] = []
        self.draws: list[tuple[Callable[..., Tensor], tuple[int, ...]]] = []
        """What an update draws for all seeds: kind and shape `[..., S, B, X]`."""

    def part(self, first: int, last: int) -> "GeneratorPart":
        """Of a group that has the seeds from `first` to before `last`; groups are made in the order of their seeds."""
        self.parts.append(GeneratorPart(self, first, last))
        return self.parts[-1]

    def prepare(self, num_updates: int) -> None:
        """Draw what the next updates of all groups need."""
        for _ in range(num_updates):
            for kind, shape in self.draws:
                self.hand_out(_draw(kind, shape, self.generator))

    def first_draw(self, kind: Callable[..., Tensor], shape: Sequence[int]) -> Tensor:
        """Draw now, for the first group, and keep the others' parts for them."""
        whole = (*shape[:-3], self.num_seeds, *shape[-2:])
        self.draws.append((kind, whole))
        self.hand_out(_draw(kind, whole, self.generator))
        return self.parts[0].ready.popleft()

    def hand_out(self, whole: Tensor) -> None:
        """Give each group its part of a draw."""
        for part in self.parts:
            mine = whole.narrow(-3, part.first, part.last - part.first).contiguous()
            if part.last - part.first > 1:  # compiled code serves any number of seeds
                maybe_mark_dynamic(mine, mine.ndim - 3)
            part.ready.append(mine)


class GeneratorPart:
    """What a group of seeds has in place of a generator."""

    def __init__(self, shared: SharedGenerator, first: int, last: int):
        self.shared, self.first, self.last = shared, first, last
        self.ready: deque[Tensor] = deque()

    def draw(self, kind: Callable[..., Tensor], shape: Sequence[int]) -> Tensor:
        """This group's part of the next draw."""
        return self.ready.popleft() if self.ready else self.shared.first_draw(kind, shape)
