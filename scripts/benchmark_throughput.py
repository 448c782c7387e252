#!/usr/bin/env python3
"""How fast rlopt is, beside other libraries and beside the matrix products that an update cannot do without.

Tables: `training` (whole training of every contestant), `floor` (an update beside its matrix products), `sweep` (updates
of SAC, IPMD and BC over seeds, batch size and width), `collection` (frames without updates). Rounds are interleaved;
medians and spread are printed, `throughput.json` and `throughput.png` written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from benchmark_peers.collection import measure_collection
from benchmark_peers.contestant import Contestant
from benchmark_peers.picture import draw
from benchmark_peers.settings import FULL, QUICK, Effort, Settings
from benchmark_peers.updates import Product, measure_floor, measure_sweep
from rlopt.devices import choose_device

from rlopt.cli import run
from rlopt.config import MATMUL_PRECISIONS
from rlopt.errors import UserError
from rlopt.logs.files import atomic_file
from rlopt.logs.run_folder import library_versions

Row = dict[str, Any]
Table = list[list[str]]

TABLES = ("training", "floor", "sweep", "collection")
MODULES = {
    "rlopt": "rlopt_sac",
    "stable-baselines3": "stable_baselines3_sac",
    "sbx": "sbx_sac",
    "tianshou": "tianshou_sac",
    "torchrl": "torchrl_sac",
}
OWN_LIBRARIES = ("rlopt", "torchrl")
"""They run in this interpreter; the others in those of `--peer-python`."""


WARM_UP_TURN = 64
"""Frames, over all seeds."""


class Size(NamedTuple):
    """Networks and batch of every contestant."""

    batch_size: int
    width: int


SIZES = {"standard": Size(256, 256), "small": Size(64, 64)}
SEEDS = (1, 5, 10)
"""rlopt's numbers of seeds."""


def main() -> None:
    """Parse, measure, print, draw."""
    args = parse()
    use_cores(args.threads)
    effort = QUICK if args.quick else FULL
    effort = replace(effort, rounds=args.rounds or effort.rounds, turn_seconds=args.seconds or effort.turn_seconds)
    folder = Path(args.out)
    machine = describe_machine(args.device)
    results: dict[str, Any] = {"machine": machine, "versions": library_versions(), "effort": asdict(effort)}

    def report(kind: str, title: str, rows: list[Row], table: Callable[[list[Row]], Table]) -> None:
        """Print what was measured, and keep it: a benchmark that is interrupted has its first tables."""
        results[kind] = results.get(kind, []) + rows
        with atomic_file(folder / "throughput.json") as file:
            file.write(json.dumps(results, indent=1).encode())
        draw(results, folder / "throughput.png")
        versions = {name: version for row in rows for name, version in row.get("versions", {}).items()}
        peers = [f"{name} {version}" for name, version in versions.items() if name not in results["versions"]]
        print(f"\n{title}\n{', '.join([machine, *peers])}\n{align(table(rows))}", flush=True)

    if "training" in args.tables:
        for size in (SIZES[name] for name in args.sizes):
            for env_id in args.envs:
                title = f"Training, {env_id}: two layers of {size.width}, batch {size.batch_size}, one update per frame"
                report("training", title, measure_training(args, effort, env_id, size), training_table)
    if "floor" in args.tables:
        batch_size, width = SIZES["standard"]
        rows = [row for name in args.precision for row in measure_floor(name, effort, batch_size, width)]
        title = f"A SAC update and its matrix products: two layers of {width}, batch {batch_size}"
        report("floor", title, rows, floor_table)
        print(f"\nThe products of one seed\n{align(products_table(rows))}", flush=True)
    if "sweep" in args.tables:
        for precision in args.precision:
            say(f"sweep, {precision}")
            title = f"Updates alone, {precision}: milliseconds, and seed-updates per second"
            report("sweep", title, list(measure_sweep(precision, effort)), sweep_table)
    if "collection" in args.tables:
        rows = [row for env_id in args.envs for row in measure_collection(env_id, effort)]
        report("collection", "Collection alone, with a policy of two layers of 256", rows, collection_table)
    print(f"\nWritten to {folder}")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def choice(name: str, known: Sequence[str], default: Sequence[str], text: str) -> None:
        def parts(value: str) -> list[str]:
            unknown = sorted(set(value.split(",")) - set(known))
            if unknown:
                raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(known)}")
            return value.split(",")

        shown = "all" if default == known else ",".join(default)
        parser.add_argument(name, type=parts, default=default, help=f"{text}: {','.join(known)} (default: {shown})")

    def positive(value: str) -> int:
        if int(value) < 1:
            raise argparse.ArgumentTypeError(f"must be positive, and is {value}")
        return int(value)

    libraries, sizes = list(MODULES), list(SIZES)
    choice("--tables", TABLES, TABLES, "what to measure")
    choice("--contestants", libraries, libraries, "who trains")
    choice("--sizes", sizes, sizes, "of networks and batches in training")
    parser.add_argument(
        "--num-seeds",
        type=lambda value: [int(number) for number in value.split(",")],
        help="of rlopt in training (default: 1,5,10)",
    )
    parser.add_argument("--plain", action="store_true", help="measure rlopt's training with plain updates, too")
    choice("--precision", MATMUL_PRECISIONS, MATMUL_PRECISIONS[:1], "of rlopt's matrix products")
    parser.add_argument(
        "--envs",
        type=lambda value: value.split(","),
        default=["HalfCheetah-v5", "Pendulum-v1"],
        help="gymnasium ids (default: HalfCheetah-v5,Pendulum-v1)",
    )
    parser.add_argument(
        "--peer-python",
        action="append",
        metavar="PATH",
        help="interpreter that has the other libraries; may be repeated (default: this one)",
    )
    parser.add_argument("--device", default="cpu", help="where contestants train; the other tables are of the CPU")
    parser.add_argument("--env-workers", type=int, default=0, help="processes that step rlopt's environments")
    parser.add_argument("--threads", type=positive, help="cores that each contestant may use (default: all)")
    parser.add_argument("--rounds", type=positive, help=f"turns of each contestant (default: {FULL.rounds})")
    parser.add_argument("--seconds", type=positive, help=f"of a contestant's turn (default: {FULL.turn_seconds:.0f})")
    parser.add_argument("--quick", action="store_true", help="tiny measurements, to see that all runs")
    parser.add_argument("--out", default="benchmark_results", help="folder of throughput.json and throughput.png")
    args = parser.parse_args()
    choose_device(args.device)  # raises for a name that is none
    args.peer_python = [find_python(path) for path in args.peer_python or [sys.executable]]
    return args


def find_python(path: str) -> str:
    """Absolute, because contestants start in another folder; not resolved, because a link tells its environment."""
    found = shutil.which(path)
    if found is None:
        raise UserError(f"--peer-python {path} is no program: give the path of a Python interpreter.")
    return str(Path(found).absolute())


def use_cores(threads: int | None) -> None:
    """Leave `threads` cores to this process and those that it starts, and start it again.

    Libraries count their cores when they are loaded, each in its own way; what they may use says the same to all.
    OMP_NUM_THREADS would speak to some of them only; where `threads` is not given, it counts as that.
    """
    cores = sorted(os.sched_getaffinity(0))
    wanted = threads or min(int(os.environ.get("OMP_NUM_THREADS", len(cores))), len(cores))
    if wanted > len(cores):
        raise UserError(f"--threads {wanted} is more than the {len(cores)} cores that this process may use.")
    if wanted == len(cores) and "OMP_NUM_THREADS" not in os.environ:
        return
    os.sched_setaffinity(0, cores[:wanted])
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def describe_machine(device: str) -> str:
    """Processors, cores and versions, for the head of every table."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} cores"
    versions = [f"{name} {version}" for name, version in library_versions().items()]
    gpu = [] if device == "cpu" else [torch.cuda.get_device_name(device)]
    return ", ".join([names[0] if names else platform.processor(), cores, *gpu, *versions])


def say(text: str) -> None:
    """What is being done, on the error stream."""
    print(f"... {text}", file=sys.stderr, flush=True)


def suffix(precision: str) -> str:
    """Of a name: float32 goes without saying."""
    return "" if precision == "float32" else f" {precision}"


def measure_training(args: argparse.Namespace, effort: Effort, env_id: str, size: Size) -> list[Row]:
    """Frames per second of whole training, every contestant in its turn."""
    settings = Settings(
        env_id=env_id,
        batch_size=size.batch_size,
        width=size.width,
        warmup_frames=effort.warmup_frames,
        device=args.device,
    )
    own = replace(settings, env_workers=args.env_workers)
    field = [
        (
            f"rlopt S={seeds}{suffix(name)}{'' if compiled == effort.compiled else ' plain'}",
            "rlopt",
            replace(own, num_seeds=seeds, matmul_precision=name, compiled=compiled),
        )
        for name in args.precision
        for seeds in args.num_seeds or SEEDS
        for compiled in ([effort.compiled, False] if args.plain and effort.compiled else [effort.compiled])
    ]
    for library in MODULES:
        if library != "rlopt":
            field.append((library, library, settings))
        if library == "sbx":  # its fastest way to one update per frame: a compiled loop of updates
            field.append(("sbx, 64 at once", library, replace(settings, block=64)))
    with ExitStack() as stack:
        contestants: list[Contestant] = []
        for label, library, chosen in field:
            if library not in args.contestants:
                continue
            say(f"{env_id}, width {size.width}: {label} starts")
            pythons = [sys.executable] if library in OWN_LIBRARIES else args.peer_python
            contestant = Contestant(label, MODULES[library], pythons, chosen)
            stack.callback(contestant.close)
            for _ in range(2):  # fills caches; JAX compiles at the first update, and again at the second
                contestant.train(WARM_UP_TURN)
            contestant.turn_frames = int(effort.turn_seconds * (contestant.rates or [0])[-1])
            contestant.rates.clear()
            contestants.append(contestant)
        for number in range(effort.rounds):
            say(f"{env_id}, width {size.width}: round {number + 1} of {effort.rounds}")
            for contestant in contestants:
                contestant.train(contestant.turn_frames)
        return [contestant.row() for contestant in contestants]


def spread(values: Sequence[float]) -> str:
    """Slowest and fastest."""
    return f"{min(values):,.0f}-{max(values):,.0f}"


def training_table(rows: list[Row]) -> Table:
    """Medians, spread, and ratios to the two yardsticks; frames are summed over seeds."""
    rates = {row["contestant"]: median(row["frames_per_second"]) for row in rows if "missing" not in row}
    yardsticks = ("rlopt S=1", "stable-baselines3")
    table = [["", "threads", "frames/s", "min-max", "a seed", *(f"/ {name}" for name in yardsticks)]]
    for row in rows:
        name = row["contestant"]
        if "missing" in row:
            table.append([name, f"missing: {row['missing']}"])
            continue
        ratios = [f"{rates[name] / rates[other]:.2f}" if other in rates else "-" for other in yardsticks]
        a_seed = f"{rates[name] / row['num_seeds']:,.0f}"
        all_seeds = [f"{rates[name]:,.0f}", spread(row["frames_per_second"])]
        table.append([name, str(row["threads"]), *all_seeds, a_seed, *ratios])
    return table


def floor_table(rows: list[Row]) -> Table:
    """An update, its products, and what the machine does at its best."""
    table = [["", "threads", "GFLOP", "update ms", "products ms", "share", "GFLOP/s", "GFLOP/s of 1024 x 1024"]]
    for row in rows:
        times = [f"{1e3 * row[name]:.2f}" for name in ("update_seconds", "products_seconds")]
        rates = [f"{row[f'{name}_gflop_per_second']:.0f}" for name in ("products", "large_product")]
        share = f"{row['share_of_floor']:.0%}"
        name = f"S={row['num_seeds']}{suffix(row['precision'])}"
        table.append([name, str(row["threads"]), f"{row['gflop']:.3f}", *times, share, *rates])
    return table


def products_table(rows: list[Row]) -> Table:
    """What the floor is made of."""
    products = [Product(**product) for product in rows[0]["products"]]
    table = [["", "MFLOP"]]
    for part in dict.fromkeys(product.part for product in products):
        own = [product for product in products if product.part == part]
        shapes = ", ".join(f"[{p.m},{p.k}]@[{p.k},{p.n}]" for p in own)
        table.append([f"{part}: {own[0].copies} x {shapes}", f"{sum(p.flop for p in own) / 1e6:.1f}"])
    return table


def sweep_table(rows: list[Row]) -> Table:
    """Milliseconds an update, and updates a second summed over seeds."""
    names = ("sac", "ipmd", "bc")
    columns = [f"{name.upper()} {unit}" for unit in ("ms", "/s") for name in names]
    table = [["", "batch", "S", "threads", *columns, "IPMD / SAC"]]
    for row in rows:
        seconds = {name: median(row[f"{name}_seconds"]) for name in names}
        size = [str(row[name]) for name in ("batch_size", "num_seeds", "threads")]
        times = [f"{1e3 * seconds[name]:.2f}" for name in names]
        rates = [f"{row['num_seeds'] / seconds[name]:,.0f}" for name in names]
        table.append([f"width {row['width']}", *size, *times, *rates, f"{seconds['ipmd'] / seconds['sac']:.2f}"])
    return table


def collection_table(rows: list[Row]) -> Table:
    """Frames per second and spread."""
    table = [["", "copies", "threads", "frames/s", "min-max"]]
    for row in rows:
        rates, copies = row["frames_per_second"], str(row["copies"] or "gymnasium alone")
        table.append([row["env"], copies, str(row["threads"]), f"{median(rates):,.0f}", spread(rates)])
    return table


def align(table: Table) -> str:
    """Columns side by side, names at the left; a row that is too short is a remark."""
    whole = [row for row in table if len(row) == len(table[0])]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    lines = []
    for name, *cells in table:
        sides = zip(cells, widths[1:], strict=False) if len(cells) + 1 == len(widths) else [(cell, 0) for cell in cells]
        lines.append("  ".join([name.ljust(widths[0]), *(cell.rjust(width) for cell, width in sides)]))
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
