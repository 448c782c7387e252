#!/usr/bin/env python3
"""What a study costs on machines that it was not run on, from the costs that the benchmark measured (docs/scale.md)."""

from pathlib import Path

from rlopt.checked import require_positive
from rlopt.cli import make_parser, run
from rlopt.errors import UserError

METHODS = ("sac", "ipmd", "bc", "gail", "sqil", "iqlearn")


def main() -> None:
    """Parse, calculate, print."""
    parser = make_parser(__doc__, "measured")
    parser.add_argument("measured", help="throughput.json of benchmark_throughput.py, or a file like docs/scale.json")
    study = Path(__file__).parents[1] / "docs" / "scale.json"
    parser.add_argument("--study", default=study, help="file with the environments, their frames and networks")
    parser.add_argument("--seeds", type=int, default=10, help="per method and environment")
    parser.add_argument("--cores", type=int, nargs="+", default=[2, 64], metavar="N", help="cores of a machine")
    parser.add_argument(
        "--machines", type=int, nargs="+", default=[1, 8], metavar="N", help="machines of the most cores"
    )
    args = parser.parse_args()
    require_positive(seeds=args.seeds, cores=min(args.cores), machines=min(args.machines))
    for line in report(Path(args.measured), Path(args.study), args.seeds, args.cores, args.machines):
        print(line)


def report(path: Path, study: Path, seeds: int, cores: list[int], machines: list[int]) -> list[str]:
    """Lines of a table: processors, then a GPU if one was measured."""
    from rlopt.logs.damage import read_json
    from rlopt.logs.files import check_exists
    from rlopt.report.cost import Costs, Task, cells_of, longest_chain, on_cores, on_gpu

    check_exists(path, what="The benchmark's JSON", hint="Make one with scripts/benchmark_throughput.py.")
    measured = read_json(path)
    try:
        tasks = [Task(**task) for task in read_json(study, "study")["study"]]
    except TypeError as error:
        raise UserError(f"{study} describes no study: {error}.") from error
    lines = ["| machines | hours | core-hours, or GPU-hours | longest chain |", "|---|---|---|---|"]
    costs = Costs(measured)
    cells = [cell for task in tasks for cell in cells_of(task, METHODS, seeds, costs)]
    work = sum(cell.core_seconds for cell in cells) / 3600
    most = max(cores)
    for count, each in [(1, each) for each in cores] + [(count, most) for count in machines if count > 1]:
        hours, chain = on_cores(cells, each, count) / 3600, longest_chain(cells, each) / 3600
        lines.append(f"| {count} of {each} cores | {hours:,.1f} | {work:,.0f} | {chain:,.1f} |")
    if "gpu" in measured:
        gpu = measured["gpu"]
        updates = [cell for task in tasks for cell in on_gpu(task, METHODS, seeds, gpu["sweep"], costs, gpu["cores"])]
        hours, chain = sum(cell.core_seconds for cell in updates) / 3600, longest_chain(updates, 1) / 3600
        lines.append(f"| one GPU, {gpu['cores']} cores beside it | {hours:,.1f} | {hours:,.1f} | {chain:,.1f} |")
    return lines


if __name__ == "__main__":
    run(main)
