"""What a study costs on machines that it was not run on: arithmetic on measured costs per update and per frame."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rlopt.errors import UserError

LIKE = {"gail": "ipmd", "sqil": "sac", "iqlearn": "sac"}
"""Methods whose update was not measured, and one that does about the same products."""


@dataclass(frozen=True)
class Task:
    """An environment of a study."""

    env: str
    width: int
    batch_size: int
    expert_frames: int
    """Per seed, of SAC; likewise:"""
    learner_frames: int
    updates_per_frame: float
    offline_updates: int = 10_000
    """Of a method without an environment: 100 epochs of 100 updates."""


@dataclass(frozen=True)
class CellCost:
    """A cell: one method on one environment with all its seeds."""

    name: str
    core_seconds: float
    cores: int
    """That it can use at the same time."""
    needs: str = ""
    """A cell that comes before."""

    def seconds(self, cores: int) -> float:
        """On a machine with so many cores."""
        return self.core_seconds / min(self.cores, cores)


class Costs:
    """Seconds of an update and of a frame, of the benchmark's JSON (`throughput.json`: tables sweep and collection).

    Raises UserError if it has no such tables.
    """

    def __init__(self, measured: Mapping[str, Any]):
        self.updates, self.collection = measured.get("sweep", []), measured.get("collection", [])
        if not self.updates or not self.collection:
            raise UserError("The benchmark's JSON needs its tables sweep and collection: --tables sweep,collection.")

    def update(self, method: str, width: int, batch_size: int, num_seeds: int) -> tuple[float, int]:
        """Core-seconds of an update of so many seeds, and how many cores it can use.

        A wide network's seeds each have a core; a small one's are one update on one core. Between the batch sizes and numbers
        of seeds that were measured, the nearest one is scaled.
        """
        key = f"{LIKE.get(method, method)}_seconds"
        rows = [row for row in self.updates if row["width"] == width and key in row]
        if not rows:
            raise UserError(f"The benchmark's JSON has no update of {method} of width {width}.")
        wanted = 1 if width >= 128 else num_seeds
        row = min(rows, key=lambda row: (abs(row["num_seeds"] - wanted), abs(row["batch_size"] - batch_size)))
        per_seed = median(row[key]) / row["num_seeds"] * batch_size / row["batch_size"]
        return per_seed * num_seeds, num_seeds if width >= 128 else 1

    def frame(self, env: str) -> float:
        """Core-seconds of a frame on one core, with the most copies; of an environment that was not measured, the slowest."""
        rows = [row for row in self.collection if row["threads"] == 1 and row["copies"] > 0]
        own = [row for row in rows if row["env"] == env]
        if not own:
            return max(1 / median(row["frames_per_second"]) for row in rows)
        return 1 / median(max(own, key=lambda row: row["copies"])["frames_per_second"])


def cells_of(task: Task, methods: Sequence[str], num_seeds: int, costs: Costs) -> Iterator[CellCost]:
    """The cells of an environment; all other methods need SAC's, which is their expert."""
    for method in methods:
        per_update, cores = costs.update(method, task.width, task.batch_size, num_seeds)
        name, needs = f"{task.env}/{method}", "" if method == "sac" else f"{task.env}/sac"
        if method == "bc":  # plain updates, on one core
            yield CellCost(name, task.offline_updates * per_update, 1, needs)
            continue
        frames = task.expert_frames if method == "sac" else task.learner_frames
        seconds = frames * (task.updates_per_frame * per_update + num_seeds * costs.frame(task.env))
        yield CellCost(name, seconds, cores, needs)


def on_gpu(
    task: Task, methods: Sequence[str], num_seeds: int, updates: Sequence[Mapping[str, Any]], costs: Costs, cores: int
) -> Iterator[CellCost]:
    """The cells of an environment whose updates a GPU makes, in GPU-seconds; `cores` beside it step environments meanwhile.

    Smaller batches take as long as larger ones there, because starting the kernels does.
    """
    rows = {row["width"]: row for row in updates}
    for cell in cells_of(task, methods, num_seeds, costs):
        method = cell.name.rpartition("/")[2]
        per_update = median(rows[task.width][f"{LIKE.get(method, method)}_seconds"])
        if method == "bc":
            seconds = task.offline_updates * per_update
        else:
            frames = task.expert_frames if method == "sac" else task.learner_frames
            stepping = num_seeds * costs.frame(task.env) / cores
            seconds = frames * max(task.updates_per_frame * per_update, stepping)
        yield CellCost(cell.name, seconds, 1, cell.needs)


def on_cores(cells: Sequence[CellCost], cores: int, machines: int = 1) -> float:
    """Seconds until all cells are done, on machines of so many cores each.

    Each cell gets the cores that it can use, or a whole machine; the longest of those that are ready goes first.
    """
    length = {cell.name: cell.seconds(cores) for cell in cells}
    free = [cores] * machines
    done: set[str] = set()
    waiting, running = list(cells), list[tuple[float, int, int, str]]()
    now = 0.0
    while waiting or running:
        ready = sorted(
            (cell for cell in waiting if not cell.needs or cell.needs in done), key=lambda c: -length[c.name]
        )
        for cell in ready:
            wanted = min(cell.cores, cores)
            machine = max(range(machines), key=free.__getitem__)
            if free[machine] >= wanted:
                free[machine] -= wanted
                heapq.heappush(running, (now + length[cell.name], machine, wanted, cell.name))
                waiting.remove(cell)
        now, machine, given, name = heapq.heappop(running)
        free[machine] += given
        done.add(name)
    return now


def longest_chain(cells: Sequence[CellCost], cores: int) -> float:
    """Seconds that no number of machines shortens: an expert, and the longest learner behind it."""
    length = {cell.name: cell.seconds(cores) for cell in cells}
    return max(length[cell.name] + (length[cell.needs] if cell.needs else 0) for cell in cells)
