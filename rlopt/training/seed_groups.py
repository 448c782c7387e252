"""The seeds of an agent in groups that are updated at the same time, each by a thread of its own.

Seeds share nothing, so that groups need not wait for each other. Threads, not processes: all groups work on the agent's own
memory, so that acting, evaluation and checkpoints see one agent. Compiled updates let go of Python's lock.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from copy import deepcopy
from threading import Event
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo import maybe_mark_dynamic

from rlopt.agents.agent import Agent, Metrics
from rlopt.agents.noise import SharedGenerator
from rlopt.training.devices import set_up_thread
from rlopt.transition import Transition

_WIDE = 4_000_000
"""Multiplications of one seed's product in an update, from which on the seed is a group of its own: stacking gains no more."""

_MANY = 8
"""Seeds of a small network from which on workers share them. Code for any number of seeds takes longer to compile (IPMD's: 31
seconds in place of 16), and two threads gained a sixth with five seeds, a half with ten."""
Piece = tuple[int, int, int]
"""A group's updates: its number, the first one, and the one behind the last."""


def group_sizes(num_seeds: int, batch_size: int, width: int, workers: int) -> list[int]:
    """How many seeds each group has; none: one update of all, in code for that number of seeds.

    A large network's seeds are alone. A small one's are stacked, because every operation costs something by itself: as many
    groups as workers, of two seeds or more (torch compiles other code for one seed).
    """
    if num_seeds == 1:
        return []
    if batch_size * width**2 >= _WIDE:
        return [1] * num_seeds
    if num_seeds < _MANY:
        return []
    groups = max(1, min(workers, num_seeds // 2))
    return [len(part) for part in torch.arange(num_seeds).tensor_split(groups)]


def share_out(num_updates: int, sizes: Sequence[int], workers: int) -> list[list[Piece]]:
    """Which updates of which group each worker does, and in which order, so that all end at about the same time.

    Groups stand in a row that is cut into equal shares (McNaughton, 1959). Of a group that is cut, the worker behind the cut
    begins with the first updates, and the one before it ends with the others. There are no more workers than groups, so that
    a group is cut once at most.
    """
    plan: list[list[Piece]] = [[] for _ in range(workers)]
    if num_updates == 0:
        return plan
    costs = [num_updates * (size + 1) for size in sizes]  # an update costs something by itself
    share = sum(costs) / workers
    begun = 0.0
    for group, cost in enumerate(costs):
        worker, last = int(begun / share), min(workers - 1, int((begun + cost - 1e-9) / share))
        mine = round((last * share - begun) / cost * num_updates) if last > worker else num_updates
        if last > worker and mine < num_updates:
            plan[last].append((group, 0, num_updates - mine))
        if mine > 0:
            plan[worker].append((group, num_updates - mine, num_updates))
        begun += cost
    return plan


class SeedGroups:
    """Agents of the seeds of one group each, on slices of the whole agent's tensors.

    Args:
        agent: of S seeds, on the CPU. Its tensors stay in place for as long as the groups are used.
        sizes: seeds of each group, S in all.
    """

    def __init__(self, agent: Agent, sizes: Sequence[int]):
        self.owners: list[Tensor] = []
        """Of all groups' tensors (`_owner`), never read."""
        self.sizes = list(sizes)
        self.bounds = [(sum(sizes[:i]), sum(sizes[: i + 1])) for i in range(len(sizes))]
        self.agents: list[Agent] = []
        self.common: list[list[tuple[Tensor, Tensor]]] = []
        """By group, tensors without a seed dimension: the whole agent's, and the group's own."""
        generators = {id(generator): SharedGenerator(generator, agent.num_seeds) for generator in agent.generators}
        self.generators = list(generators.values())
        self.began = False
        for first, last in self.bounds:
            group, common = _part(agent, first, last, generators)
            self.agents.append(group)
            self.common.append(common)
            self.owners += [_owner(value) for _, value in _contents(group, set()) if isinstance(value, Tensor)]
        self.workers = 1
        self.pool: ThreadPoolExecutor | None = None

    def update_all(self, packed: Tensor, experts: Tensor | None, updates: Sequence[Callable[..., Metrics]]) -> Metrics:
        """Update every group with its part of `[U, S, B, D]`, by its function of `updates`; what the last update reported.

        Whatever can be, is done before: a thread that calls torch from Python often waits for the others' to do so.
        """
        batches = [self._batches(packed, experts, first, last) for first, last in self.bounds]
        for common in self.common:
            for whole, own in common:
                own.copy_(whole)
        reports: list[Metrics] = [{} for _ in self.agents]
        done = 0
        if not self.began:
            self.began, done = True, 1
            for group, size in enumerate(self.sizes):
                for value in itertools.chain.from_iterable(batches[group][0]) if size > 1 else ():
                    maybe_mark_dynamic(value, 0)
            reports = [update(*own[0]) for update, own in zip(updates, batches, strict=True)]
        for generator in self.generators:
            generator.prepare(len(packed) - done)
        halfway = [Event() for _ in self.agents]

        def work(pieces: list[Piece]) -> None:
            for group, begin, end in pieces:
                if begin > 0:  # another worker does the first part of this group's updates
                    halfway[group].wait()
                try:
                    for batch in batches[group][done + begin : done + end]:
                        reports[group] = updates[group](*batch)
                finally:
                    halfway[group].set()

        plan = share_out(len(packed) - done, self.sizes, self.workers)
        if self.pool is None:
            list(map(work, plan))
        else:  # each in the compiler's settings of this thread
            list(
                self.pool.map(lambda pieces, settings: settings.run(work, pieces), plan, [copy_context() for _ in plan])
            )
        for whole, own in self.common[0]:
            whole.copy_(own)
        return {name: torch.cat([report[name] for report in reports]) for name in reports[0]}

    def _batches(self, packed: Tensor, experts: Tensor | None, first: int, last: int) -> list[tuple[Transition, ...]]:
        """A group's batches, by update: the policy's and, if there are any, the expert's."""
        sides = [side[:, first:last] for side in ((packed,) if experts is None else (packed, experts))]
        size = self.agents[0].observation_size
        fields = [[_separate(field) for field in Transition.unpack(side, size)] for side in sides]
        return list(zip(*([Transition(*row) for row in zip(*side, strict=True)] for side in fields), strict=True))

    def start(self, workers: int) -> None:
        """Share the groups among threads from now on; before, one follows the other."""
        self.workers = min(workers, len(self.agents))
        if self.workers > 1:
            self.pool = ThreadPoolExecutor(self.workers, "seeds", initializer=set_up_thread)

    def close(self) -> None:
        """End the threads."""
        if self.pool is not None:
            self.pool.shutdown()


def _separate(packed: Tensor) -> list[Tensor]:
    """The parts `[k, ...]` of `[U, k, ...]`, each a storage of its own: compiled code fixes where in it a tensor begins."""
    return [torch.from_numpy(batch) for batch in packed.contiguous().numpy()]


def _part(
    agent: Agent, first: int, last: int, generators: dict[int, SharedGenerator]
) -> tuple[Agent, list[tuple[Tensor, Tensor]]]:
    """The agent of seeds `first` to before `last`, and what has no seed dimension: the original and the agent's own copy."""
    memo: dict[int, Any] = {key: shared.part(first, last) for key, shared in generators.items()}
    if (buffer := getattr(agent, "expert_buffer", None)) is not None:
        memo[id(buffer)] = buffer
    common = []
    for name, value in _contents(agent, set(memo)):
        if isinstance(value, Tensor):
            if value.ndim == 0 or "standardizer" in name:
                common.append(value)
            else:
                each = len(value) // agent.num_seeds
                memo[id(value)] = _slice(value, first * each, last * each, dynamic=last - first > 1)
    kept = {id(value) for value in memo.values()}
    group = deepcopy(agent, memo)
    for _, owner in _contents(group, kept):
        if hasattr(owner, "__dict__") and vars(owner).get("num_seeds") == agent.num_seeds:
            owner.num_seeds = last - first
    return group, [(value, memo[id(value)]) for value in common]


def _slice(value: Tensor, first: int, last: int, *, dynamic: bool) -> Tensor:
    """A tensor of the same kind on a slice of this one's memory, as a storage of its own (see `_separate`)."""
    part = torch.from_numpy(value.detach().numpy()[first:last])
    part = nn.Parameter(part) if isinstance(value, nn.Parameter) else part
    part.requires_grad_(value.requires_grad)
    if dynamic:  # one compilation serves groups of any size
        maybe_mark_dynamic(part, 0)
    return part


def _owner(value: Tensor) -> Tensor:
    """A tensor without numbers that holds another one, outside Python.

    Compiled code lets go of a tensor that it was given; if Python is then the only one to hold it, torch takes Python's lock
    first. For each of the 200 tensors of an update, that was a third of the time of two small groups.
    """
    owner = torch.empty((), dtype=value.dtype).expand(value.shape)
    owner.grad = value
    return owner


def _contents(value: Any, seen: set[int], name: str = "") -> Iterator[tuple[str, Any]]:
    """An object and all that it holds, itself or through others, each once, with names like `actor.mlp.layers`."""
    if id(value) in seen or isinstance(value, type | FunctionType | MethodType | ModuleType):
        return
    seen.add(id(value))
    yield name, value
    if isinstance(value, Tensor):
        return
    if isinstance(value, Mapping):
        held = value.items()
    elif isinstance(value, list | tuple):
        held = enumerate(value)  # type: ignore[assignment]
    else:
        held = vars(value).items() if hasattr(value, "__dict__") else ()  # type: ignore[assignment]
    for key, item in list(held):
        yield from _contents(item, seen, f"{name}.{key}")
