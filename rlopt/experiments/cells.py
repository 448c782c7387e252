"""The work of a command as cells (environment x method x group of seeds), and the one path that runs them in turn."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlopt.agents.methods import Method
from rlopt.config import LoopConfig, RunOptions, TrainingConfig
from rlopt.envs.spec import EnvSpec
from rlopt.errors import UserError
from rlopt.training.memory import parts
from rlopt.training.seed_groups import group_sizes

_PROCESS = 600_000_000
"""Bytes of a process that has loaded torch and has trained nothing yet."""


@dataclass(frozen=True)
class Resources:
    """What a cell needs of a machine."""

    cpus: int = 1
    """Cores that it can use."""
    memory: int = _PROCESS
    """Bytes, at the least."""
    gpus: float = 0.0
    """A share of one GPU, or some whole ones."""


@dataclass(frozen=True)
class Work:
    """What a cell has to do, once those that it needs are finished."""

    call: Callable[..., dict[str, Any]]
    """Trains, and returns the result in primitives; gets `options`, and `expert_data` and `save_dir` where they are not None.
    It goes to other machines by pickle."""
    options: RunOptions
    folder: str
    """Where its run folder lies below `options.log_dir`."""
    keep: Callable[[dict[str, Any]], None]
    """Takes the result, where the command runs."""
    config: Any
    """What it learns: an interrupted run with another one is not its own."""
    spec: EnvSpec
    """The environment."""
    expert_data: Any = None
    """The demonstrations: their path, their name, or an object."""
    save_dir: Path | None = None
    """Where it writes demonstrations, to `save_dir/ENV`."""
    beside: Callable[[], AbstractContextManager[None]] = nullcontext
    """Entered while it runs in turn."""

    def arguments(self) -> dict[str, Any]:
        """Those of `call`."""
        given = {"options": self.options, "expert_data": self.expert_data, "save_dir": self.save_dir}
        return {name: value for name, value in given.items() if value is not None}

    def run(self) -> dict[str, Any]:
        """The result."""
        with self.beside():
            return self.call(**self.arguments())


@dataclass(frozen=True)
class Cell:
    """One training of a command."""

    name: str
    """`ENV/METHOD`, and what else tells it from others: letters, digits and `._=-/`."""
    prepare: Callable[[], Work | None]
    """What it has to do; None: it is finished. Raises UserError if a cell that it needs is not."""
    needs: tuple[str, ...] = ()
    """Names of cells that must be finished before."""
    resources: Callable[[], Resources] = Resources


@dataclass(frozen=True)
class Plan:
    """Cells whose results are put together: of one environment."""

    cells: Sequence[Cell]
    """In the order in which they can run."""
    opened: Callable[[str | None], AbstractContextManager[None]]
    """Holds the folder of the results while cells run; of a cell's name, for that cell alone, beside others."""
    collect: Callable[[], dict[str, Any]]
    """Writes the results, once all cells are finished, and returns them."""


def run_in_turn(plan: Plan) -> dict[str, Any]:
    """Run what is not finished, one cell after the other, and collect."""
    with plan.opened(None):
        for cell in plan.cells:
            run_cell(cell)
        return plan.collect()


def run_cell(cell: Cell) -> None:
    """Run a cell here, unless it is finished."""
    work = cell.prepare()
    if work is not None:
        work.keep(work.run())


def run_alone(plans: Sequence[Plan], name: str) -> None:
    """Run the cell of this name, beside others in processes of their own. Raises UserError if there is none."""
    for plan in plans:
        for cell in plan.cells:
            if cell.name == name:
                with plan.opened(name):
                    run_cell(cell)
                return
    names = [cell.name for plan in plans for cell in plan.cells]
    raise UserError(f"There is no cell {name!r}: --cells lists them ({', '.join(names)}).")


def listed(cells: Sequence[Cell], asked: Callable[[Resources], Resources] = lambda needed: needed) -> Iterator[str]:
    """Lines of name, cores, memory, GPUs and the cells that are needed, with tabs between; the first one says so.

    `asked`: what is asked for, of what a cell can use.
    """
    yield "\t".join(("cell", "cpus", "memory", "gpus", "needs"))
    for cell in cells:
        needed = asked(cell.resources())
        memory = f"{needed.memory / 1e9:.1f}G"
        yield "\t".join((cell.name, str(needed.cpus), memory, f"{needed.gpus:g}", " ".join(cell.needs) or "-"))


def resources_of(
    config: Any, training: LoopConfig, sizes: tuple[int, int], device: str, episodes: int = 0
) -> Resources:
    """What a training needs: as many cores as its seeds can use at the same time, and the memory of its parts.

    Args:
        config: the agent's.
        training: the loop's.
        sizes: O and A.
        device: where it computes.
        episodes: demonstrations that it records.
    """
    on_gpu = device.startswith("cuda")
    cpus = 1
    if isinstance(training, TrainingConfig):
        seeds = training.num_seeds
        groups = len(group_sizes(seeds, config.batch_size, max(config.hidden_sizes), seeds))
        cpus = training.workers or (max(1, groups) if training.compiles("cpu") and not on_gpu else 1)
    cpus = max(cpus, training.env_workers)
    memory = sum(part.size for place, part in parts(config, training, sizes, episodes) if place == "host" or not on_gpu)
    return Resources(cpus, _PROCESS + memory, 1.0 if on_gpu else 0.0)


def seed_groups_of(method: Method, num_seeds: int, size: int | None) -> list[range]:
    """The seeds of each cell of a method, by number; those of an expert stay together, because the best one demonstrates."""
    if size is None or not method.from_demonstrations:
        return [range(num_seeds)]
    return [range(first, min(first + size, num_seeds)) for first in range(0, num_seeds, size)]
