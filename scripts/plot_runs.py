#!/usr/bin/env python3
"""Draw the learning curves of runs that are there, finished or not, in one picture, and say where each one stands."""

import shlex
import sys

from rlopt.cli import make_parser, run


def main() -> None:
    """Parse, draw, print."""
    parser = make_parser(__doc__, "[NAME=]FOLDER ...")
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="[NAME=]FOLDER",
        help="run folders such as logs/ipmd/Pendulum-v1/2026-01-31_09-05-00; those of one name, or else of one method, "
        "have their seeds side by side",
    )
    parser.add_argument("--expert-data", help="expert_buffer.pt to measure them by (default: what they learned from)")
    parser.add_argument("--frames", type=int, help="leave out what came later")
    parser.add_argument("--save", default="runs.png", help="the picture")
    parser.add_argument(
        "--report", metavar="FILE", help="write a page, too: picture, table, settings, versions, in one .html"
    )
    args = parser.parse_args()

    from rlopt.report.run_folders import gather_runs

    runs = gather_runs(args.runs, expert_data=args.expert_data, frames=args.frames)
    runs.draw(args.save)
    for name, now in runs.standing.items():
        low, high = now["normalized_ci95"]
        unit = "frames" if "frames" in now else "epochs"
        print(
            f"{name:8} {now[unit]:>9,} {unit}  return {now['return_mean']:8.1f}  score {now['normalized_iqm']:6.3f} "
            f"[{low:.3f}, {high:.3f}]  worst seed {min(now['normalized_per_seed']):6.3f}"
        )
    print(f"Picture: {args.save}")
    if args.report:
        from rlopt.report.runs_page import runs_page

        runs_page(runs, args.save, shlex.join(["python", "scripts/plot_runs.py", *sys.argv[1:]])).write(args.report)
        print(f"Page: {args.report}")


if __name__ == "__main__":
    run(main)
