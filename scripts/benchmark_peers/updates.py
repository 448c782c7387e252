"""rlopt's updates alone, beside the matrix products that they cannot do without and over sizes; and its collection alone."""

import itertools
import math
import timeit
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import torch

from rlopt.agents import METHODS, SAC
from rlopt.config import SACConfig, TrainingConfig
from rlopt.cores import available_workers
from rlopt.envs import EnvSpec, env_spec
from rlopt.imitation import ExpertReplayBuffer
from rlopt.training.collectors import BehaviorPolicy, make_collector
from rlopt.training.devices import set_up_cpu
from rlopt.training.update_runner import UpdateRunner

from .settings import Effort

OBSERVATION_SIZE, ACTION_SIZE = 17, 6  # HalfCheetah-v5's
BLOCK = 8
"""Updates in a row, as those of a collector batch are."""
BARE_STEPS = 64
"""Of gymnasium alone, in a row."""


def time_in_turn(steps: Mapping[Any, Callable[[], object]], effort: Effort) -> dict[Any, list[float]]:
    """Seconds per call of each step, one value a round; rounds are interleaved."""
    timers = {name: timeit.Timer(step) for name, step in steps.items()}
    # the second of three calls may compile, too
    calls = {name: math.ceil(effort.seconds / timer.repeat(3, 1)[-1]) for name, timer in timers.items()}
    times: dict[Any, list[float]] = {name: [] for name in steps}
    for _, (name, timer) in itertools.product(range(effort.rounds), timers.items()):
        times[name].append(timer.timeit(calls[name]) / calls[name])
    return times


def updates(
    name: str, num_seeds: int, batch_size: int, width: int, precision: str, compiled: bool
) -> Callable[[], object]:
    """A function that does `BLOCK` updates of a method with random batches, the expert's drawn anew; BC is never compiled."""
    method = METHODS[name]
    set_up_cpu()
    settings: dict[str, Any] = {"matmul_precision": precision} if method.online else {}
    if name == "ipmd":
        settings["expert_batch_size"] = batch_size
    config = method.config(hidden_sizes=(width, width), batch_size=batch_size, **settings)
    agent = method.agent(config, OBSERVATION_SIZE, ACTION_SIZE, num_seeds=num_seeds)
    observation, action = torch.randn(5_000, OBSERVATION_SIZE), torch.rand(5_000, ACTION_SIZE) * 2 - 1
    following = observation.roll(-1, 0)
    expert = ExpertReplayBuffer({"observation": observation, "action": action, "next_observation": following})
    packed = torch.randn(BLOCK, num_seeds, batch_size, 2 * OBSERVATION_SIZE + ACTION_SIZE + 2).clamp_(-1, 1)
    packed[..., -1] = 0  # terminated
    run = UpdateRunner(agent, compiled=compiled and method.online, workers=available_workers())
    if name != "ipmd":
        return lambda: run(packed)
    return lambda: run(packed, expert.sample_packed(BLOCK, num_seeds, batch_size))


def measure_sweep(precision: str, effort: Effort) -> Iterator[dict[str, Any]]:
    """Seconds per update of SAC, IPMD and BC for each width, batch size and S; the three take turns."""
    for width, batch_size, num_seeds in itertools.product(effort.sweep_sizes, effort.sweep_sizes, effort.sweep_seeds):
        size: dict[str, Any] = {
            "width": width,
            "batch_size": batch_size,
            "num_seeds": num_seeds,
            "precision": precision,
        }
        steps = {name: updates(name, **size, compiled=effort.compiled) for name in ("sac", "ipmd", "bc")}
        times = time_in_turn(steps, effort)
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
    parts = (
        ("actor at s'", 1, actor, ""),
        ("target critics", num_critics, critic, ""),
        ("critics, forward", num_critics, critic, ""),
        ("critics, gradients", num_critics, critic, "left"),
        ("critics, gradients", num_critics, critic[1:], "right"),
        ("actor at s, forward", 1, actor, ""),
        ("critics at pi(s), forward", num_critics, critic, ""),
        # of the first layer's input only the action has a gradient
        ("critics at pi(s), gradients", num_critics, (ACTION_SIZE, *critic[1:]), "right"),
        ("actor at s, gradients", 1, actor, "left"),
        ("actor at s, gradients", 1, actor[1:], "right"),
    )
    products = []
    for part, copies, sizes, transposed in parts:
        for i, o in itertools.pairwise(sizes):
            shape = {"": (batch_size, i, o), "left": (i, batch_size, o), "right": (batch_size, o, i)}[transposed]
            products.append(Product(part, copies, *shape, transposed))
    return products


def multiply(products: Sequence[Product], num_seeds: int, dtype: torch.dtype) -> Callable[[], object]:
    """A function that does all of them, of S seeds, into memory that is there already."""
    operands = []
    for part in products:
        copies, m, k, n = num_seeds * part.copies, part.m, part.k, part.n
        left = torch.randn(copies, k, m).mT if part.transposed == "left" else torch.randn(copies, m, k)
        right = torch.randn(copies, n, k).mT if part.transposed == "right" else torch.randn(copies, k, n)
        operands.append((left.to(dtype), right.to(dtype), torch.empty(copies, m, n, dtype=dtype)))
    return lambda: [torch.bmm(left, right, out=out) for left, right, out in operands]


def measure_floor(precision: str, effort: Effort, batch_size: int, width: int) -> Iterator[dict[str, Any]]:
    """A SAC update, its matrix products alone, and one large product, in turn."""
    products, side = sac_products(batch_size, width), 1024
    for num_seeds in (1, 5):
        large = torch.randn(side, side, dtype=torch.bfloat16 if precision == "bfloat16" else torch.float32)
        steps: dict[str, Callable[[], object]] = {
            "update": updates("sac", num_seeds, batch_size, width, precision, effort.compiled),
            "products": multiply(products, num_seeds, large.dtype),
            "large": partial(torch.matmul, large, large),
        }
        seconds = {name: median(times) for name, times in time_in_turn(steps, effort).items()}
        seconds["update"] /= BLOCK
        gflop = num_seeds * sum(product.flop for product in products) / 1e9
        yield {
            "num_seeds": num_seeds,
            "precision": precision,
            "threads": torch.get_num_threads(),
            "gflop": gflop,
            "update_seconds": seconds["update"],
            "products_seconds": seconds["products"],
            "share_of_floor": seconds["products"] / seconds["update"],
            "products_gflop_per_second": gflop / seconds["products"],
            "large_product_gflop_per_second": 2e-9 * side**3 / seconds["large"],
            "products": [product._asdict() for product in products],
        }


def bare_environment(spec: EnvSpec) -> Callable[[], None]:
    """A function that does `BARE_STEPS` random steps of one gymnasium environment."""
    env = spec.make()
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(BARE_STEPS)]
    env.reset(seed=0)

    def steps() -> None:
        for action in actions:
            if any(env.step(action)[2:4]):  # terminated, truncated
                env.reset()

    return steps


def measure_collection(env_id: str, effort: Effort) -> Iterator[dict[str, Any]]:
    """Frames per second of the collector with rlopt's policy, by threads, and of gymnasium alone (`copies` 0), in turn."""
    spec, steps_per_batch = env_spec(env_id), TrainingConfig().steps_per_batch
    policy = BehaviorPolicy(SAC(SACConfig(), *spec.sizes).actor, num_seeds=1, seed=0)
    set_up_cpu()
    how: dict[str, Any] = {"seeds": [0], "steps_per_batch": steps_per_batch, "random_frames": 0}
    threads = sorted({1, available_workers()})
    collectors = {
        (copies, workers): make_collector(spec, policy, num_envs=copies, workers=workers, **how)
        for copies in effort.copies
        for workers in threads[: 1 if copies == 1 else None]
    }
    steps: dict[tuple[int, int], Callable[[], object]] = {(0, 1): bare_environment(spec)}
    steps |= {key: iter(collector).__next__ for key, collector in collectors.items()}
    for (copies, workers), times in time_in_turn(steps, effort).items():
        rates = [(copies * steps_per_batch or BARE_STEPS) / seconds for seconds in times]
        yield {"env": env_id, "copies": copies, "threads": workers, "frames_per_second": rates}
    for collector in collectors.values():
        collector.shutdown()
