"""Flags of the commands whose work is a list of cells. Nothing heavy is imported here."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlopt.experiments.cells import Plan

FLAGS = ("cells", "cell")
"""They say where the work is done, not what is learned."""


def add_cell_flags(parser: argparse.ArgumentParser, *, of_seeds: bool = False) -> None:
    """`--cells` and `--cell`; `of_seeds`: and `--seeds-per-cell`."""
    group = parser.add_argument_group("Cells: trainings that can run by themselves (docs/cluster.md)")
    where = group.add_mutually_exclusive_group()
    where.add_argument(
        "--cells", action="store_true", help="list the cells: name, cores, memory, GPUs, and cells that they need"
    )
    where.add_argument(
        "--cell", metavar="NAME", help="run this cell alone; afterwards the whole command collects what is there"
    )
    if of_seeds:
        text = "cut each learner's seeds into cells of N, which draw other random numbers (default: one cell)"
        group.add_argument("--seeds-per-cell", type=int, metavar="N", help=text)


def keeps_cells(args: argparse.Namespace) -> bool:
    """Whether the command uses what is finished already, whatever else its flags say."""
    return bool(args.cells or args.cell)


def carry_out(plans: Sequence["Plan"], args: argparse.Namespace) -> list[dict[str, Any]] | None:
    """Do what the flags ask for: list the cells, run one, or run all that are not finished and collect.

    Returns:
        What each plan comes to; None where nothing was collected.
    """
    from rlopt.experiments.cells import listed, run_alone, run_in_turn

    if args.cells:
        print("\n".join(listed([cell for plan in plans for cell in plan.cells])))
        return None
    if args.cell is not None:
        run_alone(plans, args.cell)
        print(f"{args.cell} is finished. When all cells are, the whole command collects them (step 4: with --resume).")
        return None
    return [run_in_turn(plan) for plan in plans]
