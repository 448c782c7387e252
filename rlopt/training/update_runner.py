"""The updates of a collector batch: compiled if asked for, on the CPU by groups of seeds, on CUDA as one captured graph."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from threading import Thread
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.config import patch as dynamo_settings
from torch._dynamo.exc import TorchDynamoException
from torch._inductor.cpu_vec_isa import valid_vec_isa_list

from rlopt.agents.agent import Agent, Metrics
from rlopt.agents.precision import precision_of
from rlopt.errors import warn
from rlopt.training.seed_groups import SeedGroups, group_sizes
from rlopt.transition import Transition

_COMPARED_UPDATES = 4
"""Compiled updates are compared with plain ones so early: rounding differs, and training amplifies that soon."""
_GRAPH_TOLERANCE = 0.01
"""How far off, as a share of the way that the loop moved a tensor, a graph may end. It was off by nothing after 64 updates."""
_COMPILED_TOLERANCE = {"float32": 0.03, "tf32": 0.3, "bfloat16": 0.6}
"""How far off compiled updates may end, by precision. Four were off by 0.0005 (float32) and 0.006 to 0.32 (bfloat16: most after
long training, when Adam's moments hardly move); updates that drew other noise were off by 1 to 1.4."""

_CUDA_OPTIONS: dict[str, Any] = {
    "loop_ordering_after_fusion": False,  # PyTorch 2.11 fails in it: github.com/pytorch/pytorch/issues/176591
    "split_reductions": False,  # sums over a batch are short, and a second kernel for them costs more than it gains
}
"""For `torch.compile` on a GPU."""
_CPU_OPTIONS: dict[str, Any] = {
    "cpp_wrapper": True,  # a whole update is one call that lets go of Python's lock: groups of seeds run at the same time
}
"""For `torch.compile` on the CPU, of groups of seeds. IPMD's code takes five seconds longer to compile so."""
_COMPILER_SETTINGS: dict[str, Any] = {
    "trace_autograd_ops": True,
    # of a parameter, too, the number of seeds is not fixed
    "force_parameter_static_shapes": False,
    "force_nn_module_property_static_shapes": False,
}
"""While compiled updates are compiled and called."""


def compile_updates(agents: Sequence[Agent], *, grouped: bool) -> list[Callable[..., Metrics]]:
    """`update` of each agent with its gradients and Adam's steps in one piece of compiled code; a first call compiles it."""
    torch.compiler.reset()  # an earlier agent's code is not wanted, and there is a limit to how much is kept
    options = _CUDA_OPTIONS if agents[0].device.type == "cuda" else _CPU_OPTIONS if grouped else None
    return [torch.compile(agent.update, options=options) for agent in agents]


@dynamo_settings(**_COMPILER_SETTINGS)
def update_all(
    agent: Agent, packed: Tensor, experts: Tensor | None, update: Callable[..., Metrics] | None = None
) -> Metrics:
    """Update once with each batch of `packed` `[U, S, B, D]` and, for an agent that needs them, of `experts`.

    `update` stands in for `agent.update` where it is given. Returns what the last update reported.
    """
    update = update or agent.update
    sides = [packed] if experts is None else [packed, experts]
    metrics: Metrics = {}
    for batches in zip(*sides, strict=True):
        metrics = update(*(Transition.unpack(b, agent.observation_size) for b in batches))
    return metrics


class UpdateRunner:
    """All updates of a collector batch, in the quickest way that does what the plain loop does.

    The first call looks for it: from the same state, with the same data and noise, compiled updates are compared with
    plain ones, and a captured graph with the loop that it captured. What disagrees, or does not work on this machine, is not
    used, with a warning.

    Args:
        agent: its update may not synchronise, branch on data or move tensors.
        cuda_graph: on CUDA, capture the loop as one graph: the processor launches once and goes on stepping environments.
        compiled: fuse each update's small operations with `torch.compile`, which takes some ten seconds.
        workers: on the CPU, threads that share the seeds' compiled updates; the results are the same with any number.
    """

    def __init__(self, agent: Agent, *, cuda_graph: bool = True, compiled: bool = False, workers: int = 1):
        self.agent = agent
        self.updates: list[Callable[..., Metrics]] = [agent.update]
        self.graph: CapturedLoop | None = None
        self.groups: SeedGroups | None = None
        self.workers = workers
        self.compiled, self.cuda_graph = compiled, cuda_graph and agent.device.type == "cuda"
        self.searching = self.compiled or self.cuda_graph
        if self.compiled and agent.device.type == "cpu":
            _prepare_compiler()

    def __call__(self, packed: Tensor, experts: Tensor | None = None) -> Metrics:
        """Update with each of `packed` `[U, S, B, D]` and of `experts`; a graph's report is overwritten by the next call."""
        if self.searching:
            self.searching = False
            return self._first_call(packed, experts)
        if self.graph is not None and self.graph.takes(packed):
            return self.graph(packed, experts)
        return self._update_all(packed, experts)

    def close(self) -> None:
        """End the threads."""
        if self.groups is not None:
            self.groups.close()

    @dynamo_settings(**_COMPILER_SETTINGS)  # PyTorch 2.11 cannot enter the same settings twice, those of `update_all`
    def _update_all(self, packed: Tensor, experts: Tensor | None) -> Metrics:
        if self.groups is None:
            return update_all(self.agent, packed, experts, self.updates[0])
        return self.groups.update_all(packed, experts, self.updates)

    def _first_call(self, packed: Tensor, experts: Tensor | None) -> Metrics:
        before = deepcopy(self.agent.state_dict())
        if self.compiled:
            self._compile(before, *_first_batches(packed, experts, _COMPARED_UPDATES))
        metrics = self._update_all(packed, experts)
        if self.cuda_graph:
            self._capture(before, packed, experts)
        return metrics

    def _compile(self, before: dict[str, Any], packed: Tensor, experts: Tensor | None) -> None:
        """Take compiled updates, by groups of seeds, if they do what plain ones do; the agent stays as it was."""
        plain, self.groups = self.updates, self._make_groups()
        agents = [self.agent] if self.groups is None else self.groups.agents
        self.updates = compile_updates(agents, grouped=self.groups is not None)
        self.compiled = False
        try:
            with warnings.catch_warnings():
                # --matmul-precision is the user's choice
                warnings.filterwarnings("ignore", "TensorFloat32 tensor cores")
                self._update_all(packed, experts)
            quick = deepcopy(self.agent.state_dict())
            self.agent.load_state_dict(before)
            update_all(self.agent, packed, experts)
            off = disagreement(before, self.agent.state_dict(), quick)
            self.compiled = off <= _COMPILED_TOLERANCE[precision_of(self.agent.config, self.agent.device)]
            if self.compiled and self.groups is not None:
                self.groups.start(self.workers)
            if not self.compiled:
                warn(f"Compiled updates and plain ones disagree (by {off:.0%}): the plain ones are used.")
        except TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0].rstrip(":. ")
            warn(f"torch.compile does not work on this machine: {reason}. Training goes on without it.")
        finally:
            if not self.compiled:
                self.close()
                self.updates, self.groups = plain, None
            self.agent.load_state_dict(before)

    def _make_groups(self) -> SeedGroups | None:
        """Groups of seeds, on the CPU: a single one, too, where its code is that of several."""
        config = self.agent.config
        sizes = group_sizes(self.agent.num_seeds, config.batch_size, max(config.hidden_sizes), self.workers)
        return SeedGroups(self.agent, sizes) if sizes and self.agent.device.type == "cpu" else None

    def _capture(self, before: dict[str, Any], packed: Tensor, experts: Tensor | None) -> None:
        """Take a graph of the loop that just ran if it ends where the loop did; the agent stays there."""
        looped = deepcopy(self.agent.state_dict())
        graph = CapturedLoop(self.agent, packed, experts, self.updates[0])
        self.agent.load_state_dict(before)
        graph(packed, experts)
        off = disagreement(before, looped, self.agent.state_dict())
        if off <= _GRAPH_TOLERANCE:
            self.graph = graph
        else:
            warn(f"The CUDA graph and the loop disagree (by {off:.1%}): the loop is used.")
        self.agent.load_state_dict(looped)


class CapturedLoop:
    """A CUDA graph of `update_all` on batches like those given. Capturing leaves the agent changed."""

    def __init__(self, agent: Agent, packed: Tensor, experts: Tensor | None, update: Callable[..., Metrics]):
        self.packed, self.experts = packed.clone(), None if experts is None else experts.clone()
        # what a graph captures must have run before, on a stream that is not the default one
        stream = torch.cuda.Stream(agent.device)
        stream.wait_stream(torch.cuda.current_stream(agent.device))
        with torch.cuda.stream(stream):
            update_all(agent, *_first_batches(packed, experts, 2), update)
        torch.cuda.current_stream(agent.device).wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        for generator in agent.generators:
            self.graph.register_generator_state(generator)
        with torch.cuda.graph(self.graph):
            self.metrics = update_all(agent, self.packed, self.experts, update)

    def takes(self, packed: Tensor) -> bool:
        """Whether these batches are as many and as large as the captured ones."""
        return packed.shape == self.packed.shape

    def __call__(self, packed: Tensor, experts: Tensor | None) -> Metrics:
        """Replay on these batches; returns the last update's report, in tensors that the next call overwrites."""
        self.packed.copy_(packed)
        if self.experts is not None and experts is not None:
            self.experts.copy_(experts)
        self.graph.replay()
        return self.metrics


def _prepare_compiler() -> None:
    """Begin what torch's compiler would do only before it compiles an update's code: ten seconds on a new machine.

    Small programs tell it the vector instructions, and the header of all kernels is compiled, here with an empty kernel.
    Where this fails it does so again there, and is told of.
    """
    # not in the thread, beside which this one imports the rest of the compiler
    from torch._inductor.codecache import CppPythonBindingsCodeCache

    def prepare() -> None:
        with suppress(Exception):
            valid_vec_isa_list()
            empty = '#include <torch/csrc/inductor/cpp_prefix.h>\nextern "C" void kernel(float* unused) {}'
            CppPythonBindingsCodeCache.load_pybinding(["float*"], empty)

    Thread(target=prepare, name="compiler", daemon=True).start()


def _first_batches(packed: Tensor, experts: Tensor | None, count: int) -> tuple[Tensor, Tensor | None]:
    return packed[:count], None if experts is None else experts[:count]


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
