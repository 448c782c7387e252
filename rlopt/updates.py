"""The updates of a collector batch: one after the other, or on CUDA as one captured graph."""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from rlopt.agents.common import Info
from rlopt.agents.ipmd import IPMD
from rlopt.agents.sac import SAC
from rlopt.transition import Transition

Updates = Callable[[Tensor], Info]
"""Packed batches `[U, S, B, D]` of U updates -> what the last one reported."""


def make_updates(agent: SAC | IPMD, cuda_graph: bool = True) -> Updates:
    """The fastest way to update `agent`: a captured graph on CUDA, unless `cuda_graph` is False; a loop elsewhere."""
    if cuda_graph and agent.device.type == "cuda":
        return GraphedUpdates(agent)
    return lambda packed: update_all(agent, packed, sample_experts(agent, len(packed)))


def sample_experts(agent: SAC | IPMD, num_updates: int) -> Tensor | None:
    """Packed expert batches `[U, S, B, D]` for the coming updates; None for an agent that needs none."""
    return agent.sample_expert(num_updates) if isinstance(agent, IPMD) and agent.needs_expert else None


def update_all(agent: SAC | IPMD, packed: Tensor, experts: Tensor | None) -> Info:
    """Update once with each batch of `packed` `[U, S, B, D]` and, where the agent needs an expert, of `experts`."""
    sides = [packed] if experts is None else [packed, experts]
    info: Info = {}
    for batches in zip(*sides, strict=True):
        info = agent.update(*(Transition.unpack(b, agent.observation_size, agent.action_size) for b in batches))
    return info


class GraphedUpdates:
    """All updates of a collector batch as one CUDA graph: the processor launches once and goes on stepping environments.

    The first call runs as usual, which lets CUDA's libraries set themselves up. The second captures, checks, on the same
    data and noise, that the graph moves the parameters as the loop does, and keeps the loop if it does not. Calls with
    another number of updates than the captured one run as usual.

    Args:
        agent: on a CUDA device. Its update may not synchronise, branch on data or move tensors.
    """

    TOLERANCE = 1e-3
    """Largest difference of a parameter after one replay that counts as agreement."""

    def __init__(self, agent: SAC | IPMD):
        self.agent = agent
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.usable = True

    def __call__(self, packed: Tensor) -> Info:
        """Update with each of `packed` `[U, S, B, D]`; the report is overwritten by the next call."""
        experts = sample_experts(self.agent, len(packed))
        self.calls += 1
        if self.calls == 1:
            return self._on_side_stream(packed, experts)
        if self.calls == 2:
            self._capture(packed, experts)
            return self._check(packed, experts)
        if not self.usable or packed.shape != self.packed.shape:
            return update_all(self.agent, packed, experts)
        self._replay(packed, experts)
        return self.info

    def _on_side_stream(self, packed: Tensor, experts: Tensor | None) -> Info:
        # what a graph captures must have run before on a stream that is not the default one
        stream = torch.cuda.Stream(self.agent.device)
        stream.wait_stream(torch.cuda.current_stream(self.agent.device))
        with torch.cuda.stream(stream):
            info = update_all(self.agent, packed, experts)
        torch.cuda.current_stream(self.agent.device).wait_stream(stream)
        return info

    def _capture(self, packed: Tensor, experts: Tensor | None) -> None:
        self.packed = packed.clone()
        self.experts = None if experts is None else experts.clone()
        self.graph = torch.cuda.CUDAGraph()
        for generator in self.agent.generators:
            self.graph.register_generator_state(generator)
        with torch.cuda.graph(self.graph):
            self.info = update_all(self.agent, self.packed, self.experts)

    def _replay(self, packed: Tensor, experts: Tensor | None) -> None:
        assert self.graph is not None
        self.packed.copy_(packed)
        if experts is not None and self.experts is not None:
            self.experts.copy_(experts)
        self.graph.replay()

    def _check(self, packed: Tensor, experts: Tensor | None) -> Info:
        """Replay, go back, run the loop, compare; the loop's outcome is the one that stays."""
        before = deepcopy(self.agent.state_dict())
        self._replay(packed, experts)
        replayed = [p.clone() for p in _tensors(self.agent.state_dict())]
        self.agent.load_state_dict(before)
        info = update_all(self.agent, packed, experts)
        pairs = zip(replayed, _tensors(self.agent.state_dict()), strict=True)
        self.usable = all(torch.allclose(a, b, rtol=self.TOLERANCE, atol=self.TOLERANCE) for a, b in pairs)
        if not self.usable:
            logging.getLogger("rlopt").warning("CUDA graph and loop disagree on this machine: going on with the loop.")
        return info


def _tensors(state: Any) -> list[Tensor]:
    """The floating-point tensors of a state dict, in order."""
    if isinstance(state, dict):
        return [t for value in state.values() for t in _tensors(value)]
    if isinstance(state, list):
        return [t for value in state for t in _tensors(value)]
    return [state] if isinstance(state, Tensor) and state.is_floating_point() else []
