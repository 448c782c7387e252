"""rlopt's updates without collection: beside the matrix products that they cannot do without, and over sizes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import torch
from rlopt.devices import set_up_cpu
from rlopt.updates import sample_experts, update_all

from rlopt.agents import BC, IPMD, SAC
from rlopt.config import BCConfig, IPMDConfig, SACConfig
from rlopt.imitation import ExpertReplayBuffer
from rlopt.transition import Transition

from .settings import Effort

OBSERVATION_SIZE, ACTION_SIZE = 17, 6  # HalfCheetah-v5's
BLOCK = 8
"""Updates in a row, as those of a collector batch are."""


def time_in_turn(steps: Mapping[Any, Callable[[], object]], effort: Effort) -> dict[Any, list[float]]:
    """Seconds per call of each step, one value a round; rounds are interleaved."""
    times: dict[Any, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        for _ in range(3):
            step()
    for _ in range(effort.rounds):
        for name, step in steps.items():
            calls, started = 0, time.perf_counter()
            while calls == 0 or time.perf_counter() - started < effort.seconds:
                step()
                calls += 1
            times[name].append((time.perf_counter() - started) / calls)
    return times


def make_agents(num_seeds: int, batch_size: int, width: int, precision: str) -> dict[str, SAC | IPMD | BC]:
    """The three agents; IPMD has an expert buffer to sample from."""
    shared: dict[str, Any] = {"hidden_sizes": (width, width), "batch_size": batch_size}
    online = shared | {"matmul_precision": precision}
    sizes = (OBSERVATION_SIZE, ACTION_SIZE)
    ipmd = IPMD(IPMDConfig(**online, expert_batch_size=batch_size), *sizes, num_seeds=num_seeds)
    observation, action = torch.randn(5_000, OBSERVATION_SIZE), torch.rand(5_000, ACTION_SIZE) * 2 - 1
    demonstrations = {"observation": observation, "action": action, "next_observation": observation.roll(-1, 0)}
    ipmd.set_expert_buffer(ExpertReplayBuffer(demonstrations))
    return {
        "sac": SAC(SACConfig(**online), *sizes, num_seeds=num_seeds),
        "ipmd": ipmd,
        "bc": BC(BCConfig(**shared), *sizes, num_seeds=num_seeds),
    }


def updates(agent: SAC | IPMD | BC, batch_size: int, compiled: bool) -> Callable[[], object]:
    """A function that does `BLOCK` updates with random batches, packed as the replay buffer's; BC is never compiled."""
    packed = torch.randn(BLOCK, agent.num_seeds, batch_size, 2 * OBSERVATION_SIZE + ACTION_SIZE + 2).clamp_(-1, 1)
    packed[..., -1] = 0  # terminated
    if isinstance(agent, BC):
        batches = [Transition.unpack(batch, OBSERVATION_SIZE, ACTION_SIZE) for batch in packed]
        return lambda: [agent.update(batch) for batch in batches]
    update = torch.compile(agent.update) if compiled else agent.update
    return lambda: update_all(agent, packed, sample_experts(agent, BLOCK), update)


def measure_sweep(precision: str, effort: Effort) -> Iterator[dict[str, Any]]:
    """Seconds per update of SAC, IPMD and BC for each width, batch size and S; the three take turns."""
    for width, batch_size, num_seeds in itertools.product(effort.sweep_sizes, effort.sweep_sizes, effort.sweep_seeds):
        set_up_cpu(num_seeds, batch_size, width)
        torch.compiler.reset()  # the code of the sizes before is not wanted any more
        agents = make_agents(num_seeds, batch_size, width, precision)
        steps = {name: updates(agent, batch_size, effort.compiled) for name, agent in agents.items()}
        times = time_in_turn(steps, effort)
        size = {"width": width, "batch_size": batch_size, "num_seeds": num_seeds, "precision": precision}
        seconds = {f"{name}_seconds": [value / BLOCK for value in values] for name, values in times.items()}
        yield size | {"threads": torch.get_num_threads()} | seconds


class Product(NamedTuple):
    """A batched matrix product of an update: `copies` times `[m, k] @ [k, n]` for each seed."""

    part: str
    copies: int
    m: int
    k: int
    n: int
    transposed: str = ""
    """The operand that is a transposed view: "left" for a weight's gradient, "right" for an input's."""

    @property
    def flop(self) -> int:
        """For one seed."""
        return 2 * self.copies * self.m * self.k * self.n


def sac_products(batch_size: int, width: int, num_critics: int = 2) -> list[Product]:
    """The matrix products of a SAC update, none that it could do without."""
    actor = (OBSERVATION_SIZE, width, width, 2 * ACTION_SIZE)
    critic = (OBSERVATION_SIZE + ACTION_SIZE, width, width, 1)

    def forward(part: str, copies: int, sizes: Sequence[int]) -> list[Product]:
        return [Product(part, copies, batch_size, i, o) for i, o in itertools.pairwise(sizes)]

    def weight_gradients(part: str, copies: int, sizes: Sequence[int]) -> list[Product]:
        return [Product(part, copies, i, batch_size, o, "left") for i, o in itertools.pairwise(sizes)]

    def input_gradients(part: str, copies: int, sizes: Sequence[int]) -> list[Product]:
        return [Product(part, copies, batch_size, o, i, "right") for i, o in itertools.pairwise(sizes)]

    return [
        *forward("actor at s'", 1, actor),
        *forward("target critics", num_critics, critic),
        *forward("critics, forward", num_critics, critic),
        *weight_gradients("critics, gradients", num_critics, critic),
        *input_gradients("critics, gradients", num_critics, critic[1:]),
        *forward("actor at s, forward", 1, actor),
        *forward("critics at pi(s), forward", num_critics, critic),
        # of the first layer's input only the action has a gradient
        *input_gradients("critics at pi(s), gradients", num_critics, (ACTION_SIZE, *critic[1:])),
        *weight_gradients("actor at s, gradients", 1, actor),
        *input_gradients("actor at s, gradients", 1, actor[1:]),
    ]


def multiply(products: Sequence[Product], num_seeds: int, dtype: torch.dtype) -> Callable[[], None]:
    """A function that does all of them, of S seeds, into memory that is there already."""
    operands = []
    for part in products:
        copies, m, k, n = num_seeds * part.copies, part.m, part.k, part.n
        left = torch.randn(copies, k, m).mT if part.transposed == "left" else torch.randn(copies, m, k)
        right = torch.randn(copies, n, k).mT if part.transposed == "right" else torch.randn(copies, k, n)
        operands.append((left.to(dtype), right.to(dtype), torch.empty(copies, m, n, dtype=dtype)))

    def do_all() -> None:
        for left, right, out in operands:
            torch.bmm(left, right, out=out)

    return do_all


def measure_floor(precision: str, effort: Effort, batch_size: int, width: int) -> Iterator[dict[str, Any]]:
    """A SAC update, its matrix products alone, and one large product, in turn."""
    products, side = sac_products(batch_size, width), 1024
    for num_seeds in (1, 5):
        set_up_cpu(num_seeds, batch_size, width)
        torch.compiler.reset()
        large = torch.randn(side, side, dtype=torch.bfloat16 if precision == "bfloat16" else torch.float32)
        steps: dict[str, Callable[[], object]] = {
            "update": updates(make_agents(num_seeds, batch_size, width, precision)["sac"], batch_size, effort.compiled),
            "products": multiply(products, num_seeds, large.dtype),
            "large": partial(torch.matmul, large, large),
        }
        seconds = {name: median(times) for name, times in time_in_turn(steps, effort).items()}
        update_seconds = seconds["update"] / BLOCK
        gflop = num_seeds * sum(product.flop for product in products) / 1e9
        yield {
            "num_seeds": num_seeds,
            "precision": precision,
            "threads": torch.get_num_threads(),
            "gflop": gflop,
            "update_seconds": update_seconds,
            "products_seconds": seconds["products"],
            "share_of_floor": seconds["products"] / update_seconds,
            "products_gflop_per_second": gflop / seconds["products"],
            "large_product_gflop_per_second": 2e-9 * side**3 / seconds["large"],
            "products": [product._asdict() for product in products],
        }
