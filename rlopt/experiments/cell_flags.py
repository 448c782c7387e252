"""Flags of the commands whose work is a list of cells. Nothing heavy is imported here."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rlopt.checked import require_positive
from rlopt.errors import UserError

if TYPE_CHECKING:
    from rlopt.experiments.cells import Plan, Resources

FLAGS = ("cells", "cell", "ray", "cell_cpus", "cell_memory", "cell_gpus")
"""They say where the work is done, not what is learned."""


def add_cell_flags(parser: argparse.ArgumentParser, *, of_seeds: bool = False) -> None:
    """`--cells`, `--cell`, `--ray`, and what a cell may ask for; `of_seeds`: and `--seeds-per-cell`."""
    group = parser.add_argument_group("Cells: trainings that can run by themselves (docs/cluster.md)")
    where = group.add_mutually_exclusive_group()
    where.add_argument(
        "--cells", action="store_true", help="list the cells: name, cores, memory, GPUs, and cells that they need"
    )
    where.add_argument(
        "--cell", metavar="NAME", help="run this cell alone; afterwards the whole command collects what is there"
    )
    text = "run the cells on the Ray cluster at ADDRESS (auto: the one of this machine; none: one that starts here)"
    where.add_argument("--ray", nargs="?", const="local", metavar="ADDRESS", help=text)
    group.add_argument("--cell-cpus", type=int, metavar="N", help="cores for each cell (default: see --cells)")
    group.add_argument("--cell-memory", type=float, metavar="GB", help="memory for each cell (default: see --cells)")
    group.add_argument("--cell-gpus", type=float, metavar="X", help="GPUs, or a share of one, for each cell on a GPU")
    if of_seeds:
        text = "cut each learner's seeds into cells of N, which draw other random numbers (default: one cell)"
        group.add_argument("--seeds-per-cell", type=int, metavar="N", help=text)


def carry_out(plans: Sequence["Plan"], args: argparse.Namespace) -> list[dict[str, Any]] | None:
    """Do what the flags ask for: list the cells, run one, or run all that are not finished and collect.

    Returns:
        What each plan comes to; None where nothing was collected.
    """
    from rlopt.experiments.cells import listed, run_alone, run_in_turn

    asked = {name: value for name in FLAGS[3:] if (value := getattr(args, name)) is not None}
    require_positive(**asked)
    if asked and not (args.cells or args.ray):
        raise UserError(f"--{next(iter(asked)).replace('_', '-')} has no effect without --ray or --cells.")
    if args.cells:
        print("\n".join(listed([cell for plan in plans for cell in plan.cells], lambda needed: over(needed, args))))
        return None
    if args.cell is not None:
        run_alone(plans, args.cell)
        print(f"{args.cell} is finished. When all cells are, the whole command collects them (step 4: with --resume).")
        return None
    if args.ray is not None:
        return _on_ray(plans, args)
    return [run_in_turn(plan) for plan in plans]


def over(needed: "Resources", args: argparse.Namespace) -> "Resources":
    """What a cell needs, with what the flags say in its place."""
    from dataclasses import replace

    given: dict[str, Any] = {"cpus": args.cell_cpus, "gpus": args.cell_gpus if needed.gpus else None}
    given["memory"] = None if args.cell_memory is None else int(args.cell_memory * 1e9)
    return replace(needed, **{name: value for name, value in given.items() if value is not None})


def _on_ray(plans: Sequence["Plan"], args: argparse.Namespace) -> list[dict[str, Any]]:
    from rlopt.experiments.ray.cluster import Cluster, fitted
    from rlopt.experiments.ray.dispatch import Dispatch

    cluster = Cluster(args.ray)
    try:
        largest = cluster.largest()
        live = args.show_progress is not False
        return Dispatch(cluster, plans, lambda name, needed: fitted(name, over(needed, args), largest), live).run()
    finally:
        cluster.close()
