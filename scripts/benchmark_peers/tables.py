"""The benchmark's tables: rows of measurements as columns of text."""

import itertools
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, get_args, get_type_hints

from rlopt.config import SACConfig

from .updates import Product

Row = dict[str, Any]
Table = Iterator[Sequence[object]]
PRECISIONS = get_args(get_type_hints(SACConfig)["matmul_precision"])


def suffix(precision: str) -> str:
    """Of a name: the default goes without saying."""
    return "" if precision == PRECISIONS[0] else f" {precision}"


def rates_of(row: Row) -> list[str]:
    """Median, slowest and fastest."""
    rates = row["frames_per_second"]
    return [f"{median(rates):,.0f}", f"{min(rates):,.0f}-{max(rates):,.0f}"]


def training_table(rows: list[Row]) -> Table:
    """Medians, spread, and ratios to the two yardsticks; frames are summed over seeds."""
    rates = {row["contestant"]: median(row["frames_per_second"]) for row in rows if "missing" not in row}
    yardsticks = ("rlopt S=1", "stable-baselines3")
    busy = any(row.get("busy_frames_per_second") for row in rows)
    beside = ("busy", "share") if busy else ()
    yield "", "threads", "frames/s", "min-max", "a seed", *(f"/ {name}" for name in yardsticks), *beside
    for row in rows:
        name = row["contestant"]
        if "missing" in row:
            yield name, f"missing: {row['missing']}"
        else:
            ratios = [f"{rates[name] / rates[other]:.2f}" if other in rates else "-" for other in yardsticks]
            if busy:
                slow = median(row["busy_frames_per_second"])
                ratios += [f"{slow:,.0f}", f"{slow / rates[name]:.2f}"]
            yield name, row["threads"], *rates_of(row), f"{rates[name] / row['num_seeds']:,.0f}", *ratios


def floor_table(rows: list[Row]) -> Table:
    """An update, its products, and what the machine does at its best."""
    yield "", "threads", "GFLOP", "update ms", "products ms", "share", "GFLOP/s", "GFLOP/s of 1024 x 1024"
    for row in rows:
        times = [f"{1e3 * row[f'{name}_seconds']:.2f}" for name in ("update", "products")]
        rates = [f"{row[f'{name}_gflop_per_second']:.0f}" for name in ("products", "large_product")]
        name = f"S={row['num_seeds']}{suffix(row['precision'])}"
        yield name, row["threads"], f"{row['gflop']:.3f}", *times, f"{row['share_of_floor']:.0%}", *rates


def products_table(rows: list[Row]) -> Table:
    """What the floor is made of."""
    yield "", "MFLOP"
    for part, group in itertools.groupby((Product(**row) for row in rows[0]["products"]), lambda product: product.part):
        own = list(group)
        shapes = ", ".join(f"[{p.m},{p.k}]@[{p.k},{p.n}]" for p in own)
        yield f"{part}: {own[0].copies} x {shapes}", f"{sum(p.flop for p in own) / 1e6:.1f}"


def sweep_table(rows: list[Row]) -> Table:
    """Milliseconds an update, and updates a second summed over seeds."""
    columns = [f"{name} {unit}" for unit in ("ms", "/s") for name in ("SAC", "IPMD", "BC")]
    yield "", "batch", "S", "threads", *columns, "IPMD / SAC"
    for row in rows:
        seconds = [median(row[f"{name}_seconds"]) for name in ("sac", "ipmd", "bc")]
        cells = [f"{1e3 * value:.2f}" for value in seconds] + [f"{row['num_seeds'] / value:,.0f}" for value in seconds]
        size = (row["batch_size"], row["num_seeds"], row["threads"])
        yield f"width {row['width']}", *size, *cells, f"{seconds[1] / seconds[0]:.2f}"


def collection_table(rows: list[Row]) -> Table:
    """Frames per second and spread."""
    yield "", "copies", "threads", "frames/s", "min-max"
    for row in rows:
        yield row["env"], row["copies"] or "gymnasium alone", row["threads"], *rates_of(row)


def align(table: Table) -> str:
    """Columns side by side, names at the left; a row that is too short is a remark."""
    rows = [[str(cell) for cell in row] for row in table]
    whole = [row for row in rows if len(row) == len(rows[0])]
    first, *widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    lines = []
    for name, *cells in rows:
        sides = map(str.rjust, cells, widths) if len(cells) == len(widths) else cells
        lines.append("  ".join([name.ljust(first), *sides]))
    return "\n".join(lines)
