#!/usr/bin/env python3
"""Make the README's results: expert and learners from one demonstration, per environment. Stopped, it goes on."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlopt.checked import require_positive
from rlopt.cli import add_config_flags, make_parser, run
from rlopt.comparison_flags import METHOD_CONFIGS, add_methods_flag, comparison_settings
from rlopt.config import RunOptions, TrainingConfig
from rlopt.errors import UserError
from rlopt.experiments.cell_flags import add_cell_flags, carry_out

if TYPE_CHECKING:
    from rlopt.experiments.cells import Plan
    from rlopt.imitation.demonstrations import Demonstrations


@dataclass(frozen=True)
class Task:
    """What is spent on one environment."""

    expert_frames: int
    """Frames per seed of the SAC expert."""
    ipmd_frames: int
    """Frames per seed of IPMD, and of the other learners beside BC."""
    expert_seeds: int = 1
    """SAC seeds, of which the best one demonstrates."""
    expert: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `SACConfig` of the expert that differ from the preset."""
    ipmd: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `IPMDConfig` that do; the other learners beside BC get those that they have."""


# Half of the general default, as RESULTS.md has it: an update costs half as much.
_BATCH = {"batch_size": 128}
_BATCHES = {**_BATCH, "expert_batch_size": 128}
TASKS = {
    "Pendulum-v1": Task(50_000, 20_000),
    "InvertedPendulum-v5": Task(30_000, 50_000),
    "InvertedDoublePendulum-v5": Task(50_000, 50_000),
    "Reacher-v5": Task(50_000, 50_000),
    # not every seed finds the stroke, or the hop, in time
    "Swimmer-v5": Task(200_000, 50_000, expert_seeds=5),
    "HalfCheetah-v5": Task(100_000, 100_000, ipmd=_BATCHES),
    "Hopper-v5": Task(230_000, 200_000, expert_seeds=5, expert=_BATCH, ipmd=_BATCHES),
    "Walker2d-v5": Task(300_000, 120_000, ipmd=_BATCHES),
    "Ant-v5": Task(600_000, 200_000, expert=_BATCH, ipmd=_BATCHES),
    "Humanoid-v5": Task(600_000, 240_000, expert=_BATCH, ipmd=_BATCHES),
}
# Normalised score of a demonstration that shows what the expert does.
GOOD = 0.9
# IQ-Learn (Garg et al., NeurIPS 2021, Table 3): return after 500,000 steps from one demonstration, of its expert's return.
PUBLISHED = {
    "HalfCheetah-v5": (5077, 5098),
    "Hopper-v5": (3546, 3533),
    "Walker2d-v5": (5134, 5275),
    "Ant-v5": (4363, 4700),
    "Humanoid-v5": (5227, 5313),
}


CONFIGS = (*METHOD_CONFIGS, TrainingConfig)


def main() -> None:
    """Parse, run what is missing, print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("--envs", nargs="+", default=list(TASKS), choices=list(TASKS), help="environments to run")
    add_methods_flag(parser, ("ipmd", "bc"), "learners")
    text = "demonstrations to learn from; several numbers: each of them (default: 1)"
    parser.add_argument("--demos", type=int, nargs="+", default=[1], metavar="N", help=text)
    text = "frames per seed of IPMD, and of the other learners beside BC (default: see TASKS in this file)"
    parser.add_argument("--ipmd-frames", type=int, metavar="N", help=text)
    parser.add_argument(
        "--expert-seeds",
        type=int,
        help="SAC seeds, of which the best one demonstrates (default: 1, for Swimmer and Hopper 5)",
    )
    parser.add_argument("--frames-scale", type=float, default=1.0, help="scale all frames, for a quick look")
    parser.add_argument(
        "--save-dir", default="reproduced_results", help="results go to SAVE_DIR/ENV/, SAVE_DIR/table.md and methods.md"
    )
    parser.add_argument("--table-only", action="store_true", help="train nothing, make the table from what is there")
    add_cell_flags(parser, of_seeds=True)
    add_config_flags(parser, *CONFIGS, RunOptions, skip=("frames", "epochs"), seed=42, num_seeds=5)
    args = parser.parse_args()
    budget = {} if args.ipmd_frames is None else {"ipmd_frames": args.ipmd_frames}
    require_positive(demos=min(args.demos), **budget)  # before an expert is trained for nothing
    args.demos = list(dict.fromkeys(args.demos))

    from rlopt.envs.spec import env_spec
    from rlopt.experiments.budget import check_whole_episode
    from rlopt.experiments.expert_first import results_folder
    from rlopt.logs.files import write_text_atomically
    from rlopt.report.methods_table import methods_tables

    if not args.table_only:
        for env_id in args.envs:
            frames = min(TASKS[env_id].expert_frames, learner_frames(env_id, args))
            check_whole_episode(env_spec(env_id), int(frames * args.frames_scale), "--frames-scale")
    found: dict[tuple[str, int], dict[str, Any]] = {}
    order = list(product(args.envs, args.demos))
    files = {"table.md": table, "methods.md": methods_tables}

    def write() -> None:
        for name, text in files.items():
            content = text([found[key] for key in order if key in found])
            write_text_atomically(Path(args.save_dir) / name, content + "\n")

    def add(env_id: str, demos: int, results: dict[str, Any]) -> None:
        found[env_id, demos] = results
        write()

    if args.table_only:
        for env_id, demos in order:
            kept = results_folder(args.save_dir, demos) / env_id / "results.json"
            if kept.exists():
                found[env_id, demos] = kept_results(kept)
        if found:
            write()
    elif carry_out([reproduction(env_id, args, add) for env_id in args.envs], args) is None:
        return
    if not found:
        print(f"Nothing in {args.save_dir} yet.")
    for name in files if found else ():
        print((Path(args.save_dir) / name).read_text(encoding="utf-8"))


def learner_frames(env_id: str, args: Namespace) -> int:
    """Frames per seed of the learners, before they are scaled."""
    return TASKS[env_id].ipmd_frames if args.ipmd_frames is None else args.ipmd_frames


def reproduction(env_id: str, args: Namespace, add: Callable[[str, int, dict[str, Any]], None]) -> "Plan":
    """One environment's expert, then the learners on its demonstrations; finished parts are kept. `add` gets the results."""
    from rlopt.agents import METHODS, get_method
    from rlopt.experiments.expert_first import ExpertFirst
    from rlopt.experiments.run import field_names, reach
    from rlopt.imitation import load_demonstrations

    task, asked = TASKS[env_id], comparison_settings(args, *CONFIGS)
    for_agents, seeds, options = (asked.pop(name) for name in ("agent_settings", "num_seeds", "options"))
    own = reach(list(METHODS.values()), for_agents, lambda method: method.config)["sac"]
    of_task = {
        f"{method.name}.{name}": value
        for method in map(get_method, args.methods)
        for name, value in task.ipmd.items()
        if method.online and name not in for_agents and name in field_names(method.config)
    }
    return ExpertFirst(
        env_id,
        Path(args.save_dir) / "experts",
        expert={
            "frames": int(task.expert_frames * args.frames_scale),
            "num_seeds": task.expert_seeds if args.expert_seeds is None else args.expert_seeds,
            "episodes": max(50, *args.demos),
            "agent_settings": {**task.expert, **own},
            **asked,
        },
        learners={
            "methods": args.methods,
            "ipmd_frames": int(learner_frames(env_id, args) * args.frames_scale),
            "num_seeds": seeds,
            "seeds_per_cell": args.seeds_per_cell,
            "save_dir": args.save_dir,
            "agent_settings": {**of_task, **for_agents},
            **asked,
        },
        demos=args.demos,
        skip_demos=lambda path, demos: first_good(load_demonstrations(path), demos),
        options=options,
        show=partial(add, env_id),
    ).plan()


def first_good(data: "Demonstrations", demos: int) -> int:
    """How many demonstrations to leave out, so that the first one has a score of 0.9: an expert, too, falls at times.

    It may end the episode with that or, a HalfCheetah, lie on its back for the rest.
    """
    from rlopt.report.statistics import normalized_score

    expert, random = data.expert_return, data.random_return
    if expert is None or random is None or expert <= random:
        return 0
    returns = [float(rewards.sum()) for rewards in data.reward.split(data.episode_lengths.tolist())]
    scores = normalized_score(returns, random_return=random, expert_return=expert)
    return min(int((scores >= GOOD).argmax()), max(0, data.num_episodes - demos))


FIRST, LAST = ("Environment", "Demos", "Random", "Expert"), "IQ-Learn"
"""Headings; between these two stand the methods, and the last one is `PUBLISHED`."""


def kept_results(path: Path) -> dict[str, Any]:
    """One environment's `results.json`. Raises UserError if the tables cannot be made from it."""
    from rlopt.logs.damage import read_json
    from rlopt.report.methods_table import methods_tables

    results = read_json(path, "methods")
    try:
        table([results])
        methods_tables([results])
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"{path} holds no comparison of learners ({error!r}): remove it, or make it anew.") from error
    return results


def table(comparisons: list[dict[str, Any]]) -> str:
    """A row for each environment and number of demonstrations; a cell is empty where a method was not trained."""
    from rlopt.report.methods_table import markdown

    rows = [table_cells(results) for results in comparisons]
    methods = [heading for row in rows for heading in row if heading not in (*FIRST, LAST)]
    headings = [*FIRST, *dict.fromkeys(methods), LAST]
    return markdown(headings, [[row.get(heading, "") for heading in headings] for row in rows])


def table_cells(results: dict[str, Any]) -> dict[str, str]:
    """The cells of a row by their headings: of IPMD also frames and return, then normalised IQM with its interval."""
    from rlopt.agents import METHODS

    numbers = (str(results["demonstrations"]), f"{results['random_return']:.1f}", f"{results['expert_return']:.1f}")
    cells = dict(zip(FIRST, (results["env"], *numbers), strict=True))
    if not results["methods"]:
        raise ValueError("no methods")
    for name in (name for name in METHODS if name in results["methods"]):
        method, title = results["methods"][name], METHODS[name].title
        if name == "ipmd":
            cells |= {f"{title} frames": f"{method['frames']:,}", f"{title} return": f"{method['return_mean']:.1f}"}
        values = (method["normalized_iqm"], *method["normalized_ci95"])
        iqm, low, high = (float("nan") if value is None else value for value in values)  # JSON has no nan
        cells[f"{title} score"] = f"{iqm:.3f} [{low:.3f}, {high:.3f}]"
    published = PUBLISHED.get(results["env"])
    told = "" if published is None else f"{published[0]:,} of {published[1]:,} (500,000 frames)"
    return {**cells, LAST: told}


if __name__ == "__main__":
    run(main)
