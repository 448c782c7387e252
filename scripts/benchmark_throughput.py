#!/usr/bin/env python3
"""How fast rlopt is, beside other libraries and beside the matrix products that an update cannot do without.

Tables: `training` (whole training of every contestant, in interleaved rounds), `floor` (an update beside its matrix
products), `sweep` (updates of SAC, IPMD and BC over seeds, batch size and width), `collection` (frames without updates).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import matplotlib
import torch
from benchmark_peers.protocol import Settings
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlopt.agents import BC, IPMD, SAC
from rlopt.checkpoint import atomic_file
from rlopt.cli import run
from rlopt.collectors import make_collector
from rlopt.config import BCConfig, IPMDConfig, SACConfig, TrainingConfig
from rlopt.devices import set_up_cpu
from rlopt.envs import env_spec, make_env
from rlopt.errors import UserError
from rlopt.imitation import ExpertReplayBuffer
from rlopt.plots import save_figure
from rlopt.runlog import library_versions, to_json
from rlopt.transition import Transition

TABLES = ("training", "floor", "sweep", "collection")
PEERS = {"stable-baselines3": "stable_baselines3", "sbx": "sbx", "tianshou": "tianshou", "torchrl": "torchrl"}
LIBRARIES = ("rlopt", *PEERS)
OBSERVATION_SIZE, ACTION_SIZE = 17, 6  # HalfCheetah-v5's, where no environment is stepped
Row = dict[str, Any]


class Size(NamedTuple):
    """Networks and batch of every contestant, and rlopt's numbers of seeds."""

    batch_size: int
    width: int
    num_seeds: tuple[int, ...]


SIZES = {"standard": Size(256, 256, (1, 5, 10)), "small": Size(64, 64, (1, 10))}


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long measurements take."""

    rounds: int
    frames: int
    """Of a contestant's turn, summed over seeds."""
    warmup_frames: int
    seconds: float
    """Of a turn in the other tables."""
    sweep_seeds: tuple[int, ...] = (1, 2, 5, 10, 20)
    sweep_sizes: tuple[int, ...] = (64, 256)
    copies: tuple[int, ...] = (1, 5, 20, 64)


FULL = Effort(rounds=5, frames=512, warmup_frames=2_000, seconds=0.3)
QUICK = Effort(
    rounds=2, frames=64, warmup_frames=64, seconds=0.01, sweep_seeds=(1, 2), sweep_sizes=(64,), copies=(1, 5)
)

# ---------------------------------------------------------------------------------------------------------- training


class Contestant:
    """A process that trains when it is asked to, and otherwise waits for a line on its standard input.

    Args:
        label: its name in the tables.
        library: one of `LIBRARIES`.
        pythons: interpreters; the first in which it starts is taken.
        settings: what it trains.
    """

    def __init__(self, label: str, library: str, pythons: Sequence[str], settings: Settings):
        self.label, self.library, self.settings = label, library, settings
        self.rates: list[float] = []  # frames per second, one a round
        self.missing: str | None = None
        for python in pythons:
            self._start(python)
            introduction = self._read()
            if introduction is not None:
                self.missing = None
                self.threads, self.versions = introduction["threads"], introduction["versions"]
                self.train(1)  # compiles, and fills caches
                self.rates.clear()
                break

    def _start(self, python: str) -> None:
        here = Path(__file__).resolve().parent
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self.process = subprocess.Popen(
            [python, "-m", f"benchmark_peers.{PEERS.get(self.library, 'rlopt')}_sac", self.settings.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            cwd=tempfile.gettempdir(),  # MuJoCo writes a log wherever it is
            env=os.environ | {"PYTHONPATH": str(here)},
        )

    def _read(self) -> dict[str, Any] | None:
        """Its next answer; None, and the reason in `missing`, if it is no more."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.errors.seek(0)
        self.missing = ([*filter(str.strip, self.errors), "it ended without a word"][-2:][0]).strip()
        return None

    def train(self, frames: int) -> None:
        """Its turn."""
        if self.missing is not None:
            return
        assert self.process.stdin is not None
        print(frames, file=self.process.stdin, flush=True)
        if (answer := self._read()) is not None:
            self.rates.append(answer["frames"] / answer["seconds"])

    def close(self) -> None:
        """End it."""
        self.process.communicate()  # closes its standard input, which ends it

    def row(self) -> Row:
        """Its result."""
        settings = self.settings
        shared = {"contestant": self.label, "library": self.library, "num_seeds": settings.num_seeds}
        if self.missing is not None:
            return shared | {"missing": self.missing}
        return shared | {"threads": self.threads, "versions": self.versions, "frames_per_second": self.rates}


def measure_training(args: argparse.Namespace, effort: Effort, env_id: str, size: Size) -> list[Row]:
    """Frames per second of collection and updates, one update per frame, every contestant in its turn."""
    shared = {"env_id": env_id, "batch_size": size.batch_size, "width": size.width}
    settings = Settings(**shared, warmup_frames=effort.warmup_frames)
    own = Settings(**shared, warmup_frames=effort.warmup_frames, matmul_precision=args.precision)
    field: list[tuple[str, str, Settings]] = []
    for num_seeds in size.num_seeds:
        name = f"rlopt S={num_seeds}" + (" bfloat16" if args.precision == "bfloat16" else "")
        field.append((name, "rlopt", Settings(**vars(own) | {"num_seeds": num_seeds})))
    field += [(library, library, settings) for library in PEERS]
    # its fastest way to one update per frame: a compiled loop of updates
    field.append(("sbx, 64 at once", "sbx", Settings(**vars(settings) | {"block": 64})))
    with ExitStack() as stack:
        contestants = []
        for label, library, chosen in field:
            if library in args.contestants:
                say(f"{env_id}, width {size.width}: starting {label}")
                pythons = [sys.executable] if library in ("rlopt", "torchrl") else args.peer_python
                contestants.append(Contestant(label, library, pythons, chosen))
                stack.callback(contestants[-1].close)
        for number in range(effort.rounds):
            say(f"{env_id}, width {size.width}: round {number + 1} of {effort.rounds}")
            for contestant in contestants:
                contestant.train(effort.frames)
        return [contestant.row() for contestant in contestants]


def training_table(rows: list[Row]) -> list[list[str]]:
    """Medians, spread, and ratios to the two yardsticks."""
    rates = {row["contestant"]: median(row["frames_per_second"]) for row in rows if "missing" not in row}
    own = next((rate for name, rate in rates.items() if name.startswith("rlopt S=1")), None)
    table = [["contestant", "threads", "frames/s", "min - max", "per seed", "x rlopt S=1", "x stable-baselines3"]]
    for row in rows:
        if "missing" in row:
            table.append([row["contestant"], f"missing: {row['missing']}"])
            continue
        rate, all_rates = rates[row["contestant"]], row["frames_per_second"]
        ratios = [f"{rate / other:.2f}" if other else "-" for other in (own, rates.get("stable-baselines3"))]
        spread = f"{min(all_rates):.0f} - {max(all_rates):.0f}"
        per_seed = f"{rate / row['num_seeds']:.0f}"
        table.append([row["contestant"], str(row["threads"]), f"{rate:.0f}", spread, per_seed, *ratios])
    return table


# ------------------------------------------------------------------------------------------- updates and their floor


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


def random_batches(num_seeds: int, batch_size: int) -> Iterable[Transition]:
    """Batches `[S, B]` without end, packed as the replay buffer gives them."""
    packed = torch.randn(8, num_seeds, batch_size, 2 * OBSERVATION_SIZE + ACTION_SIZE + 2).clamp_(-1, 1)
    packed[..., -1] = 0  # terminated
    return itertools.cycle([Transition.unpack(batch, OBSERVATION_SIZE, ACTION_SIZE) for batch in packed])


def agents(num_seeds: int, batch_size: int, width: int, precision: str) -> dict[str, SAC | IPMD | BC]:
    """The three agents on HalfCheetah-sized data; IPMD has an expert buffer to sample from."""
    shared: dict[str, Any] = {"hidden_sizes": (width, width), "batch_size": batch_size}
    online = shared | {"matmul_precision": precision}
    sizes = (OBSERVATION_SIZE, ACTION_SIZE)
    sac = SAC(SACConfig(**online), *sizes, num_seeds=num_seeds)
    ipmd = IPMD(IPMDConfig(**online, expert_batch_size=batch_size), *sizes, num_seeds=num_seeds)
    observation, action = torch.randn(5_000, OBSERVATION_SIZE), torch.rand(5_000, ACTION_SIZE) * 2 - 1
    demonstrations = {"observation": observation, "action": action, "next_observation": observation.roll(-1, 0)}
    ipmd.set_expert_buffer(ExpertReplayBuffer(demonstrations))
    return {"sac": sac, "ipmd": ipmd, "bc": BC(BCConfig(**shared), *sizes, num_seeds=num_seeds)}


class Product(NamedTuple):
    """A batched matrix product of an update: `[copies, m, k] @ [copies, k, n]` for each seed."""

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
    """The matrix products that a SAC update cannot do without."""
    actor = (OBSERVATION_SIZE, width, width, 2 * ACTION_SIZE)
    critic = (OBSERVATION_SIZE + ACTION_SIZE, width, width, 1)

    def forward(part: str, copies: int, sizes: Sequence[int]) -> list[Product]:
        return [Product(part, copies, batch_size, i, o) for i, o in itertools.pairwise(sizes)]

    def weight_gradients(part: str, copies: int, sizes: Sequence[int]) -> list[Product]:
        return [Product(part, copies, i, batch_size, o, "left") for i, o in itertools.pairwise(sizes)]

    def input_gradients(part: str, copies: int, sizes: Sequence[int]) -> list[Product]:
        return [Product(part, copies, batch_size, o, i, "right") for i, o in itertools.pairwise(sizes)]

    # the gradient with respect to the first layer's input is asked for only where that input is the policy's action
    evaluation, improvement = "critics: loss", "critics: policy loss"
    return [
        *forward("actor at s'", 1, actor),
        *forward("target critics", num_critics, critic),
        *forward(evaluation, num_critics, critic),
        *weight_gradients(evaluation, num_critics, critic),
        *input_gradients(evaluation, num_critics, critic[1:]),
        *forward("actor: loss", 1, actor),
        *forward(improvement, num_critics, critic),
        *input_gradients(improvement, num_critics, (ACTION_SIZE, *critic[1:])),
        *weight_gradients("actor: loss", 1, actor),
        *input_gradients("actor: loss", 1, actor[1:]),
    ]


def multiply(products: Sequence[Product], num_seeds: int, dtype: torch.dtype) -> Callable[[], None]:
    """A function that does all of them, of S seeds, into memory that is there already."""
    operands = []
    for product in products:
        copies, (m, k, n) = num_seeds * product.copies, product[2:5]
        left = torch.randn(copies, k, m).mT if product.transposed == "left" else torch.randn(copies, m, k)
        right = torch.randn(copies, n, k).mT if product.transposed == "right" else torch.randn(copies, k, n)
        operands.append((left.to(dtype), right.to(dtype), torch.empty(copies, m, n, dtype=dtype)))

    def do_all() -> None:
        for left, right, out in operands:
            torch.bmm(left, right, out=out)

    return do_all


def measure_floor(precision: str, effort: Effort) -> list[Row]:
    """A SAC update of rlopt beside its matrix products alone, at the standard size."""
    batch_size, width, _ = SIZES["standard"]
    products = sac_products(batch_size, width)
    rows = []
    for num_seeds in (1, 5):
        set_up_cpu(num_seeds, batch_size, width)
        agent, batches = agents(num_seeds, batch_size, width, precision)["sac"], random_batches(num_seeds, batch_size)
        square = torch.randn(1024, 1024, dtype=getattr(torch, precision))
        steps = {
            "floor": multiply(products, num_seeds, square.dtype),
            "update": lambda agent=agent, batches=batches: agent.update(next(batches)),
            "square": lambda square=square: square @ square,
        }
        seconds = {name: median(times) for name, times in time_in_turn(steps, effort).items()}
        gflop = num_seeds * sum(product.flop for product in products) / 1e9
        row = {"num_seeds": num_seeds, "precision": precision, "threads": torch.get_num_threads(), "gflop": gflop}
        row |= {"floor_seconds": seconds["floor"], "update_seconds": seconds["update"]}
        row |= {"share_of_floor": seconds["floor"] / seconds["update"]}
        row |= {"floor_gflop_per_second": gflop / seconds["floor"]}
        row |= {"large_product_gflop_per_second": 2 * 1.024**3 / seconds["square"]}
        rows.append(row | {"products": [product._asdict() for product in products]})
    return rows


def floor_table(rows: list[Row]) -> list[list[str]]:
    """The times, and what the floor is made of."""
    table = [["S", "threads", "GFLOP", "products, ms", "GFLOP/s", "of a large one", "update, ms", "share of floor"]]
    for row in rows:
        rates = [f"{row[f'{name}_gflop_per_second']:.0f}" for name in ("floor", "large_product")]
        times = [f"{1e3 * row[f'{name}_seconds']:.2f}" for name in ("floor", "update")]
        shared = [str(row["num_seeds"]), str(row["threads"]), f"{row['gflop']:.3f}", times[0], *rates, times[1]]
        table.append([*shared, f"{row['share_of_floor']:.0%}"])
    return table


def products_table(rows: list[Row]) -> list[list[str]]:
    """What the floor is made of."""
    table = [["products of one seed's update", "MFLOP", "copies x [m, k] @ [k, n]"]]
    products = [Product(**product) for product in rows[0]["products"]]
    for part in dict.fromkeys(product.part for product in products):
        own = [product for product in products if product.part == part]
        shapes = "  ".join(f"[{p.m},{p.k}]@[{p.k},{p.n}]" for p in own)
        table.append([part, f"{sum(p.flop for p in own) / 1e6:.1f}", f"{own[0].copies} x {shapes}"])
    return table


def measure_sweep(precision: str, effort: Effort) -> list[Row]:
    """Seconds per update of SAC, IPMD and BC over width, batch size and S."""
    rows = []
    for width, batch_size, num_seeds in itertools.product(effort.sweep_sizes, effort.sweep_sizes, effort.sweep_seeds):
        say(f"sweep: width {width}, batch {batch_size}, S={num_seeds}")
        set_up_cpu(num_seeds, batch_size, width)
        batches = random_batches(num_seeds, batch_size)
        steps = {
            name: lambda agent=agent, batches=batches: agent.update(next(batches))
            for name, agent in agents(num_seeds, batch_size, width, precision).items()
        }
        times = time_in_turn(steps, effort)
        row = {"width": width, "batch_size": batch_size, "num_seeds": num_seeds, "threads": torch.get_num_threads()}
        rows.append(row | {f"{name}_seconds": seconds for name, seconds in times.items()})
    return rows


def sweep_table(rows: list[Row]) -> list[list[str]]:
    """Milliseconds an update, and updates a second summed over seeds."""
    names = ("sac", "ipmd", "bc")
    columns = [f"{name.upper()} {what}" for what in ("ms", "seed-updates/s") for name in names]
    table = [["width", "batch", "S", "threads", *columns, "IPMD / SAC"]]
    for row in rows:
        seconds = {name: median(row[f"{name}_seconds"]) for name in names}
        shared = [str(row[name]) for name in ("width", "batch_size", "num_seeds", "threads")]
        times = [f"{1e3 * seconds[name]:.2f}" for name in names]
        rates = [f"{row['num_seeds'] / seconds[name]:.0f}" for name in names]
        table.append([*shared, *times, *rates, f"{seconds['ipmd'] / seconds['sac']:.2f}"])
    return table


# -------------------------------------------------------------------------------------------------------- collection


def bare_steps(env_id: str) -> Callable[[], None]:
    """64 random steps of one gymnasium environment."""
    env = make_env(env_id)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(64)]
    env.reset(seed=0)

    def step() -> None:
        for action in actions:
            *_, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    return step


def measure_collection(env_ids: Sequence[str], effort: Effort) -> list[Row]:
    """Frames per second of the collector with rlopt's policy on one thread, and of gymnasium alone."""
    rows = []
    for env_id in env_ids:
        say(f"collection: {env_id}")
        spec, steps_per_batch = env_spec(env_id), TrainingConfig().steps_per_batch
        agent = SAC(SACConfig(), spec.observation_size, spec.action_size)
        set_up_cpu(1, 1, 1)  # one thread
        shared = {"steps_per_batch": steps_per_batch, "random_frames": 0, "device": agent.device}
        collectors = {
            num_envs: make_collector(env_id, agent.policy, seeds=[0], num_envs=num_envs, **shared)
            for num_envs in effort.copies
        }
        steps: dict[Any, Callable[[], object]] = {"gymnasium": bare_steps(env_id)}
        steps |= {num_envs: iter(collector).__next__ for num_envs, collector in collectors.items()}
        for name, times in time_in_turn(steps, effort).items():
            frames = 64 if name == "gymnasium" else name * steps_per_batch
            rates = [frames / seconds for seconds in times]
            rows.append({"env": env_id, "copies": name, "threads": torch.get_num_threads(), "frames_per_second": rates})
        for collector in collectors.values():
            collector.shutdown()
    return rows


def collection_table(rows: list[Row]) -> list[list[str]]:
    """Frames per second and spread."""
    table = [["environment", "copies", "threads", "frames/s", "min - max"]]
    for row in rows:
        rates, copies = row["frames_per_second"], row["copies"]
        name = "1, gymnasium alone" if copies == "gymnasium" else str(copies)
        spread = f"{min(rates):.0f} - {max(rates):.0f}"
        table.append([row["env"], name, str(row["threads"]), f"{median(rates):.0f}", spread])
    return table
