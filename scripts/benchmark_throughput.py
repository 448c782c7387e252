#!/usr/bin/env python3
"""How fast rlopt is, beside other libraries and beside the matrix products that an update cannot do without.

Tables: `training` (whole training of every contestant), `floor` (an update beside its matrix products), `sweep` (updates
of SAC, IPMD and BC over seeds, batch size and width), `collection` (frames without updates). Rounds are interleaved;
medians and spread are printed, `throughput.json` and `throughput.png` written.
"""

import argparse
import itertools
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmark_peers.contestant import Contestant
from benchmark_peers.end_to_end import BusyProcesses, comparison_table, measure_comparison
from benchmark_peers.picture import draw
from benchmark_peers.scaling import pairs, scaling_table
from benchmark_peers.settings import FULL, QUICK, Effort, Settings
from benchmark_peers.tables import (
    PRECISIONS,
    Row,
    align,
    collection_table,
    floor_table,
    products_table,
    suffix,
    sweep_table,
    training_table,
)
from benchmark_peers.updates import measure_collection, measure_floor, measure_sweep

from rlopt.checked import require_positive
from rlopt.cli import make_parser, run
from rlopt.cores import available_workers
from rlopt.errors import UserError
from rlopt.logs.files import atomic_file
from rlopt.logs.run_folder import library_versions
from rlopt.training.devices import choose_device

LIBRARIES = ("rlopt", "stable-baselines3", "sbx", "tianshou", "torchrl")
OWN_LIBRARIES = ("rlopt", "torchrl")
"""They run in this interpreter; the others in those of `--peer-python`."""
ROOT = Path(__file__).resolve().parents[1]
SIZES = {"standard": 256, "small": 64}
"""Width of two layers, and batch, of every contestant."""

say = partial(print, "...", file=sys.stderr, flush=True)


def main() -> None:
    """Parse, measure, print, draw."""
    args = parse()
    use_cores(args.threads)
    effort = QUICK if args.quick else FULL
    effort = replace(effort, rounds=args.rounds or effort.rounds, turn_seconds=args.seconds or effort.turn_seconds)
    folder, machine = Path(args.out), describe_machine(args.device)
    results: dict[str, Any] = {"machine": machine, "versions": library_versions(), "effort": asdict(effort)}
    for kind, title, rows in measurements(args, effort):
        # a benchmark that is interrupted has its first tables
        results[kind] = results.get(kind, []) + rows
        with atomic_file(folder / "throughput.json") as file:
            file.write(json.dumps(results, indent=1).encode())
        draw(results, folder / "throughput.png")
        versions = {name: version for row in rows for name, version in row.get("versions", {}).items()}
        peers = [f"{name} {version}" for name, version in versions.items() if name not in results["versions"]]
        print(f"\n{title}\n{', '.join([machine, *peers])}\n{align(TABLES[kind](rows))}", flush=True)
        if kind == "floor":
            print(f"\nThe products of one seed\n{align(products_table(rows))}", flush=True)
        if kind == "training" and any(pairs(rows)):
            print(f"\nMore cores, by Amdahl's law\n{align(scaling_table(rows))}", flush=True)
    print(f"\nWritten to {folder}")


def measurements(args: argparse.Namespace, effort: Effort) -> Iterator[tuple[str, str, list[Row]]]:
    """Kind, title and rows of every table that was asked for, measured when its turn comes."""
    if "training" in args.tables:
        for size, env_id in itertools.product([SIZES[name] for name in args.sizes], args.envs):
            title = f"Training, {env_id}: two layers of {size}, batch {size}, one update per frame"
            yield "training", title, measure_training(args, effort, env_id, size)
    if "floor" in args.tables:
        size = SIZES["standard"]
        rows = [row for precision in args.precision for row in measure_floor(precision, effort, size, size)]
        yield "floor", f"A SAC update and its matrix products: two layers of {size}, batch {size}", rows
    if "sweep" in args.tables:
        for precision in args.precision:
            say(f"sweep, {precision}")
            title = f"Updates alone, {precision}: milliseconds, and seed-updates per second"
            yield "sweep", title, list(measure_sweep(precision, effort))
    if "comparison" in args.tables:
        rounds = args.rounds or 1
        rows = measure_comparison([ROOT, *args.against], rounds, quick=args.quick)
        yield "comparison", "Step 4 with its defaults, start-up and compilation included", rows
    if "collection" in args.tables:
        rows = [row for env_id in args.envs for row in measure_collection(env_id, effort)]
        yield "collection", "Collection alone, with a policy of two layers of 256", rows


def parse() -> argparse.Namespace:
    """The command line."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    usual = ",".join(name for name in TABLES if name != "comparison")  # which takes minutes
    add("--tables", type=partial(listed, known=TABLES), default=usual, help=f"what to measure: {','.join(TABLES)}")
    add("--contestants", type=partial(listed, known=LIBRARIES), default=",".join(LIBRARIES), help="who trains")
    add(
        "--sizes",
        type=partial(listed, known=SIZES),
        default=",".join(SIZES),
        help="of networks and batches in training",
    )
    add("--num-seeds", type=listed, default="1,5,10", help="of rlopt in training")
    add("--plain", action="store_true", help="measure rlopt's training with plain updates, too")
    precisions = f"of rlopt's matrix products: {','.join(PRECISIONS)}"
    add("--precision", type=partial(listed, known=PRECISIONS), default=PRECISIONS[0], help=precisions)
    add("--envs", type=listed, default="HalfCheetah-v5,Pendulum-v1", help="gymnasium ids")
    peers = "interpreter that has the other libraries; may be repeated (default: this one)"
    add("--peer-python", action="append", type=find_python, metavar="PATH", help=peers)
    add("--device", default="cpu", help="where contestants train; the other tables are of the CPU")
    add("--env-workers", type=int, default=0, help="processes that step rlopt's environments")
    add(
        "--workers",
        type=listed,
        help="threads that share rlopt's seeds (default: as in training); 1,2: also what more would give",
    )
    add("--busy", type=int, default=0, metavar="N", help="measure training once more, beside N busy processes")
    add("--against", action="append", type=Path, default=[], metavar="FOLDER", help="other checkouts, in comparison")
    add("--threads", type=int, help="cores that each contestant may use (default: all)")
    add("--rounds", type=int, help=f"turns of each contestant (default: {FULL.rounds})")
    add("--seconds", type=int, help=f"of a contestant's turn (default: {FULL.turn_seconds:.0f})")
    add("--quick", action="store_true", help="tiny measurements, to see that all runs")
    add("--out", default="benchmark_results", help="folder of throughput.json and throughput.png")
    args = parser.parse_args()
    counts = {"threads": args.threads, "rounds": args.rounds, "seconds": args.seconds}
    require_positive(**{name: value for name, value in counts.items() if value is not None})
    choose_device(args.device)  # raises for a name that is none
    return args


def listed(value: str, known: Collection[str] = ()) -> list[str]:
    """The parts of a flag's value, separated by commas. Raises UserError for one that is not known."""
    unknown = sorted(set(value.split(",")) - set(known))
    if known and unknown:
        raise UserError(f"There is no {', '.join(unknown)}; there are {', '.join(known)}.")
    return value.split(",")


def find_python(path: str) -> str:
    """Absolute, because contestants start in another folder; not resolved, because a link tells its environment."""
    found = shutil.which(path)
    if found is None:
        raise UserError(f"--peer-python {path} is no program: give the path of a Python interpreter.")
    return str(Path(found).absolute())


def use_cores(threads: int | None) -> None:
    """Leave `threads` (default: OMP_NUM_THREADS) cores to this process and those that it starts, and start it again.

    Libraries count cores when they are loaded, each in its own way; what they may use says the same to all.
    """
    if not hasattr(os, "sched_setaffinity"):  # macOS and Windows cannot leave a process some of the cores
        if threads is not None:
            raise UserError("--threads needs Linux: leave it out.")
        return
    cores = sorted(os.sched_getaffinity(0))
    wanted = threads or min(int(os.environ.get("OMP_NUM_THREADS", len(cores))), len(cores))
    if wanted > len(cores):
        raise UserError(f"--threads {wanted} is more than the {len(cores)} cores that this process may use.")
    if wanted < len(cores) or "OMP_NUM_THREADS" in os.environ:
        os.sched_setaffinity(0, cores[:wanted])
        os.environ.pop("OMP_NUM_THREADS", None)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def describe_machine(device: str) -> str:
    """Processors, cores and versions, for the head of every table."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8")) if info.exists() else None
    cores = f"{available_workers()} of {os.cpu_count()} cores"
    gpu = [] if device == "cpu" else [torch.cuda.get_device_name(device)]
    versions = [f"{name} {version}" for name, version in library_versions().items()]
    return ", ".join([model[1] if model else platform.processor(), cores, *gpu, *versions])


def measure_training(args: argparse.Namespace, effort: Effort, env_id: str, size: int) -> list[Row]:
    """Frames per second of whole training, every contestant in its turn."""
    sizes = {"batch_size": size, "width": size, "warmup_frames": effort.warmup_frames}
    settings = Settings(env_id=env_id, device=args.device, **sizes)
    field = []
    workers = [None] if args.workers is None else list(map(int, args.workers))
    for precision, seeds, threads in itertools.product(args.precision, map(int, args.num_seeds), workers):
        own = replace(
            settings, num_seeds=seeds, matmul_precision=precision, env_workers=args.env_workers, workers=threads
        )
        label = f"rlopt S={seeds}{suffix(precision)}" + ("" if threads is None else f" workers={threads}")
        field.append((label, "rlopt", replace(own, compiled=effort.compiled)))
        if args.plain and effort.compiled:
            field.append((f"{label} plain", "rlopt", replace(own, compiled=False)))
    field += [(library, library, settings) for library in LIBRARIES[1:]]
    # SBX's fastest way to one update per frame: a compiled loop of updates
    field.insert(-2, ("sbx, 64 at once", "sbx", replace(settings, block=64)))
    with ExitStack() as stack:
        contestants = []
        for label, library, chosen in (entry for entry in field if entry[1] in args.contestants):
            say(f"{env_id}, width {size}: {label} starts")
            pythons = [sys.executable] if library in OWN_LIBRARIES else args.peer_python or [sys.executable]
            contestant = Contestant(label, f"{library.replace('-', '_')}_sac", pythons, chosen)
            stack.callback(contestant.close)
            contestant.warm_up(effort.turn_seconds)
            contestants.append(contestant)

        def play_rounds(remark: str = "") -> None:
            for number in range(effort.rounds):
                say(f"{env_id}, width {size}: round {number + 1} of {effort.rounds}{remark}")
                for contestant in contestants:
                    contestant.train(contestant.turn_frames)

        play_rounds()
        rows = [contestant.row() for contestant in contestants]
        if args.busy:
            with BusyProcesses(args.busy):
                play_rounds(f", beside {args.busy} busy processes")
            for row in rows:
                rates = row.get("frames_per_second", [])
                row |= {"frames_per_second": rates[: effort.rounds], "busy_frames_per_second": rates[effort.rounds :]}
        return rows


TABLES = {
    **{"training": training_table, "floor": floor_table, "sweep": sweep_table},
    **{"collection": collection_table, "comparison": comparison_table},
}


if __name__ == "__main__":
    run(main)
