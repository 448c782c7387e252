"""The updates of a collector batch: one after the other, or on CUDA as one captured graph; compiled if asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import deepcopy
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from rlopt.agents.common import Info
from rlopt.agents.ipmd import IPMD
from rlopt.agents.sac import SAC
from rlopt.errors import UserError
from rlopt.transition import Transition

Updates = Callable[[Tensor], Info]
"""Packed batches `[U, S, B, D]` of U updates -> what the last one reported."""


def make_updates(agent: SAC | IPMD, *, cuda_graph: bool = True, compiled: bool = False) -> Updates:
    """The fastest way to update `agent`: on CUDA a captured graph, elsewhere a loop; of compiled updates if asked for."""
    if cuda_graph and agent.device.type == "cuda":
        return GraphedUpdates(agent, compiled=compiled)
    update = compile_update(agent) if compiled else agent.update

    def loop(packed: Tensor) -> Info:
        try:
            return update_all(agent, packed, sample_experts(agent, len(packed)), update)
        except TorchDynamoException as error:
            raise UserError(f"{_first_line(error)} Leave out --compile.") from error

    return loop


def compile_update(agent: SAC | IPMD) -> Callable[..., Info]:
    """`agent.update` with its small operations fused; the first calls compile, which takes up to a minute."""
    torch.compiler.reset()  # an earlier agent's code is not wanted, and there is a limit to how much is kept
    return torch.compile(agent.update)


def sample_experts(agent: SAC | IPMD, num_updates: int) -> Tensor | None:
    """Packed expert batches `[U, S, B, D]` for the coming updates; None for an agent that needs none."""
    return agent.sample_expert(num_updates) if isinstance(agent, IPMD) and agent.needs_expert else None


def update_all(
    agent: SAC | IPMD, packed: Tensor, experts: Tensor | None, update: Callable[..., Info] | None = None
) -> Info:
    """Update once with each batch of `packed` `[U, S, B, D]` and, where the agent needs an expert, of `experts`.

    `update` stands in for `agent.update` where it is given.
    """
    update = update or agent.update
    sides = [packed] if experts is None else [packed, experts]
    info: Info = {}
    for batches in zip(*sides, strict=True):
        info = update(*(Transition.unpack(b, agent.observation_size, agent.action_size) for b in batches))
    return info


class GraphedUpdates:
    """All updates of a collector batch as one CUDA graph: the processor launches once and goes on stepping environments.

    The first call runs the loop, captures the graph and replays it on the same data and noise. What does not agree with the
    loop is not used: neither a graph of compiled updates (then one of plain updates is tried), nor any (then the loop goes
    on). Calls with another number of updates than the captured one run as a loop.

    Args:
        agent: on a CUDA device. Its update may not synchronise, branch on data or move tensors.
        compiled: fuse an update's small operations with `torch.compile`, which takes some seconds.
    """

    TOLERANCE: ClassVar = {"plain": 1e-3, "compiled": 0.3}
    """How far, as a share of what the loop moved a tensor by, the replay may end from it. After 64 updates a graph of plain
    updates was off by nothing, one of compiled TF32 updates by 0.15 (they round differently, and training amplifies that);
    updates that drew other noise would be off by 0.67."""

    def __init__(self, agent: SAC | IPMD, *, compiled: bool = False):
        self.agent = agent
        self.candidates: list[Callable[..., Info]] = [agent.update]
        if compiled:
            self.candidates.insert(0, compile_update(agent))
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, packed: Tensor) -> Info:
        """Update with each of `packed` `[U, S, B, D]`; the report is overwritten by the next call."""
        experts = sample_experts(self.agent, len(packed))
        self.calls += 1
        if self.calls == 1:
            return self._first_call(packed, experts)
        if self.graph is None or packed.shape != self.packed.shape:
            return update_all(self.agent, packed, experts)
        self._replay(packed, experts)
        return self.info

    def _first_call(self, packed: Tensor, experts: Tensor | None) -> Info:
        """Run the loop, whose outcome is the one that stays; then find a graph that does the same."""
        before = deepcopy(self.agent.state_dict())
        info = update_all(self.agent, packed, experts)
        looped = deepcopy(self.agent.state_dict())
        for update in self.candidates:
            name = "plain" if update == self.agent.update else "compiled"
            try:
                self._warm_up(update, packed, experts)
            except TorchDynamoException as error:
                _warn(_first_line(error))
                continue
            self._capture(update, packed, experts)
            self.agent.load_state_dict(before)
            self._replay(packed, experts)
            off = disagreement(before, looped, self.agent.state_dict())
            if off <= self.TOLERANCE[name]:
                break
            self.graph = None
            _warn(f"The CUDA graph of {name} updates and the loop disagree (by {off:.0%}): it is not used.")
        self.agent.load_state_dict(looped)
        return info

    def _warm_up(self, update: Callable[..., Info], packed: Tensor, experts: Tensor | None) -> None:
        # what a graph captures must have run before, on a stream that is not the default one
        stream = torch.cuda.Stream(self.agent.device)
        stream.wait_stream(torch.cuda.current_stream(self.agent.device))
        with torch.cuda.stream(stream):
            update_all(self.agent, packed[:2], None if experts is None else experts[:2], update)
        torch.cuda.current_stream(self.agent.device).wait_stream(stream)

    def _capture(self, update: Callable[..., Info], packed: Tensor, experts: Tensor | None) -> None:
        self.packed = packed.clone()
        self.experts = None if experts is None else experts.clone()
        self.graph = torch.cuda.CUDAGraph()
        for generator in self.agent.generators:
            self.graph.register_generator_state(generator)
        with torch.cuda.graph(self.graph):
            self.info = update_all(self.agent, self.packed, self.experts, update)

    def _replay(self, packed: Tensor, experts: Tensor | None) -> None:
        assert self.graph is not None
        self.packed.copy_(packed)
        if experts is not None and self.experts is not None:
            self.experts.copy_(experts)
        self.graph.replay()


def _first_line(error: TorchDynamoException) -> str:
    return f"torch.compile does not work on this machine: {str(error).strip().splitlines()[0].rstrip('.')}."


def _warn(message: str) -> None:
    logging.getLogger("rlopt").warning(message)


def disagreement(before: Any, expected: Any, actual: Any) -> float:
    """How far two trainings from the same state ended apart: the largest |actual - expected| / |expected - before| of a tensor.

    All three are state dicts. A tensor that should have stayed and moved is infinitely far off.
    """
    shares = []
    for start, right, given in zip(_tensors(before), _tensors(expected), _tensors(actual), strict=True):
        apart, moved = (given - right).norm(), (right - start).norm()
        shares.append(torch.where(apart == 0, 0.0, apart / moved))
    return torch.stack(shares).max().item()  # NaN if there is one


def _tensors(state: Any) -> list[Tensor]:
    """The floating-point tensors of a state dict, in order."""
    if isinstance(state, dict):
        return [t for value in state.values() for t in _tensors(value)]
    if isinstance(state, list):
        return [t for value in state for t in _tensors(value)]
    return [state] if isinstance(state, Tensor) and state.is_floating_point() else []
