"""What more cores would give: Amdahl's law, from the measurements on one core and on two."""

from collections.abc import Iterator
from statistics import median

from rlopt.training.seed_groups import group_sizes

from .tables import Row, Table


def law(one: float, two: float) -> tuple[float, float]:
    """The parts of a time that cores do not share and that they do, from the times on one core and on two.

    T(c) = serial + shared / c   (Amdahl, 1967)
    """
    shared = min(max(0.0, 2 * (one - two)), one)  # two cores may be no faster, and noise may make them twice as fast
    return one - shared, shared


def scaling_table(rows: list[Row]) -> Table:
    """Frames per second by cores for every training that was measured with one worker and with two.

    Seeds are shared out in groups, so that no more cores than groups are of use.
    """
    yield "", "cores", "frames/s", "/ one core", ""
    for one, two in pairs(rows):
        groups = len(group_sizes(one["num_seeds"], one["batch_size"], one["width"], one["num_seeds"]))
        times = [1 / median(row["frames_per_second"]) for row in (one, two)]
        serial, shared = law(*times)
        name = one["contestant"].removesuffix(" workers=1")
        yield name, 1, f"{1 / times[0]:,.0f}", "1.00", "measured"
        yield "", 2, f"{1 / times[1]:,.0f}", f"{times[0] / times[1]:.2f}", "measured"
        for cores in useful_cores(groups):
            time = serial + shared / cores
            yield "", cores, f"{1 / time:,.0f}", f"{times[0] / time:.2f}", f"predicted; {serial / times[0]:.0%} serial"


def pairs(rows: list[Row]) -> Iterator[tuple[Row, Row]]:
    """Each training with one worker, and the same with two."""
    measured = {row["contestant"]: row for row in rows if "missing" not in row}
    for name, row in measured.items():
        other = name.removesuffix("1") + "2"
        if name.endswith(" workers=1") and other in measured:
            yield row, measured[other]


def useful_cores(groups: int) -> list[int]:
    """4, 8, 16, ... and, last, as many as there are groups."""
    cores = [2**power for power in range(2, 10) if 2**power < groups]
    return [*cores, groups] if groups > 2 else cores
