"""Every file that rlopt reads, damaged in a thousand ways: each is refused in one sentence, or harmless and equal.

    python tests/harness/mutate_files.py --count 1000

Files are made by tiny runs and read as a user's command reads them. `--scripts` of those that were refused are read by the
scripts too, whose exit code must be 2.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from rlopt.agents import METHODS  # noqa: E402
from rlopt.agents.saving import load_agent  # noqa: E402
from rlopt.config import RunOptions  # noqa: E402
from rlopt.errors import UserError  # noqa: E402
from rlopt.experiments.comparison import compare_methods  # noqa: E402
from rlopt.experiments.comparison_cells import check_summary  # noqa: E402
from rlopt.experiments.resuming import checkpoint_count, recorded_settings  # noqa: E402
from rlopt.experiments.stage_cache import StageCache  # noqa: E402
from rlopt.imitation import load_demonstrations  # noqa: E402
from rlopt.imitation.expert_buffer import ExpertReplayBuffer  # noqa: E402
from rlopt.logs.csv_sink import CsvSink  # noqa: E402
from rlopt.logs.run_folder import read_metrics  # noqa: E402
from rlopt.report.run_folders import read_run  # noqa: E402
from rlopt.training import train_offline, train_online  # noqa: E402
from rlopt.training.evaluation import BestPolicies  # noqa: E402
from rlopt.training.monitor import Monitor  # noqa: E402
from tests.harness import mutations  # noqa: E402
from tests.harness.measure import peak_growth, same  # noqa: E402

ENV = "InvertedPendulum-v5"
SLACK = 200_000_000
"""Bytes that reading may take beside twice the file's size."""
TINY = {"hidden_sizes": (8,), "batch_size": 8}
LOOP = {
    "num_envs": 2,
    "steps_per_batch": 5,
    "warmup_frames": 40,
    "eval_points": 4,
    "eval_episodes": 2,
    "updates_per_frame": 0.1,
}
FRAMES = 1000  # an episode may be as long
SCRIPTS = {  # what reads a file, in the folder of the runs
    "expert_buffer.pt": ["03_train_bc.py", "{file}", "--epochs", "1", "--device", "cpu", "--no-wandb"],
    "ipmd_model.pt": ["01_collect_expert_data.py", "--env", ENV, "--reward", "{file}", "--device", "cpu", "--no-wandb"],
    "config.json": ["plot_runs.py", "{folder}"],
    "metrics.csv": ["plot_runs.py", "{folder}"],
    "ipmd checkpoint.pt": ["02_train_ipmd.py", "--resume", "{folder}", "--device", "cpu", "--no-wandb"],
}


@dataclass(frozen=True)
class Target:
    """A file, how it is read, and what may happen to it."""

    name: str
    path: Path
    read: Callable[[], Any]
    kinds: tuple[Callable[..., bytes], ...]
    optional: frozenset[str] = frozenset()


def make_targets(folder: Path) -> list[Target]:
    """Run an expert, IPMD and BC for a moment, and name what they left in `folder`."""
    with chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare_methods(
            ENV,
            expert_frames=FRAMES,
            ipmd_frames=FRAMES,
            bc_epochs=3,
            num_seeds=2,
            demos=2,
            agent_settings={**TINY, "expert_batch_size": 8, "min_steps_per_epoch": 3},
            training_settings=LOOP,
            options=RunOptions(device="cpu", wandb=False, show_progress=False, keep_checkpoint=True),
        )
    buffer = folder / "expert_data" / ENV / "expert_buffer.pt"
    buffer = buffer if buffer.exists() else next(folder.rglob("expert_buffer.pt"))
    runs = {name: next((folder / "logs" / name / ENV).glob("*/config.json")).parent for name in ("sac", "ipmd", "bc")}
    policy = next((folder / "logs" / "bc").rglob("bc_policy*.pt"))
    stages = next(folder.rglob("stages.pt"))
    data, cache = load_demonstrations(buffer), torch.load(stages, weights_only=True)
    archive = (*mutations.RAW, mutations.restructure, mutations.restructure, mutations.restructure, mutations.compress)
    whole = (*archive, mutations.overstate)
    extra = frozenset({"env_kwargs", "max_episode_steps", "best_seed"})
    returns = frozenset({"expert_return", "random_return", "subsampled"})
    targets = [
        Target("expert_buffer.pt", buffer, lambda: load_demonstrations(buffer).to_dict(), whole, extra | returns),
        Target("stages.pt", stages, lambda: _stages(stages, cache), archive, _FREE),
    ]
    models = {"sac_expert.pt": runs["sac"] / "sac_expert.pt", "ipmd_model.pt": runs["ipmd"] / "ipmd_model.pt"}
    for name, path in {**models, "bc_policy.pt": policy}.items():
        kinds = (*whole, mutations.enlarge)
        targets.append(Target(name, path, lambda path=path: _model(path), kinds, extra))
    for name, run in runs.items():
        # a checkpoint of an earlier version has no "loop", "expert" or success rates
        optional = frozenset({"loop", "expert", "success_rates", "wall_seconds"})
        read = lambda run=run, name=name: _resumed(run, name, data)  # noqa: E731
        targets.append(Target(f"{name} checkpoint.pt", run / "checkpoint.pt", read, whole, optional))
        for part in sorted((run / "replay").glob("*.pt"))[:2]:
            targets.append(Target(f"{name} replay", part, read, whole))
        config = lambda run=run, name=name: recorded_settings(run, METHODS[name])  # noqa: E731
        targets.append(Target("config.json", run / "config.json", config, (*mutations.TEXT, mutations.change_json)))
        metrics = run / "metrics.csv"
        read_csv = lambda run=run: (_curves(run), _resumed_metrics(run))  # noqa: E731
        targets.append(Target("metrics.csv", metrics, read_csv, mutations.TEXT))
        targets.append(Target("metrics.crc32", metrics.with_suffix(".crc32"), read_csv, mutations.TEXT))
    return targets


_FREE = frozenset({"success_rates", "successes", "reward_recovery", "demonstrations", "demonstrations_sha256"})
"""What a stage need not have, or not of one type."""


def _stages(path: Path, cache: dict[str, Any]) -> Any:
    """The results of all stages; one that is missing, or has other settings, is made anew."""
    found = StageCache(path, cache["settings"], check=check_summary)
    whole = cache["stages"]
    return {name: found.find(name, stage["config"]) or stage["result"] for name, stage in whole.items()}


def _model(path: Path) -> Any:
    agent, about = load_agent(path)
    return agent.state_dict(), about


def _curves(run: Path) -> Any:
    read = read_run(run)
    return {**vars(read), "x": read.x.tolist(), "returns": {k: v.tolist() for k, v in read.returns.items()}}


def _resumed_metrics(run: Path) -> Any:
    """The rows of a run that goes on, on a copy."""
    with tempfile.TemporaryDirectory() as copy:
        for file in run.glob("metrics.*"):
            shutil.copy(file, copy)
        CsvSink(Path(copy), resume_at=10**9).close(failed=False)
        return read_metrics(Path(copy) / "metrics.csv")


class _NoEvaluation:
    def play(self, policy: Any) -> Any:
        raise AssertionError("a finished run has nothing to evaluate")


def _resumed(run: Path, name: str, data: Any) -> Any:
    """Everything that a finished run goes on with."""
    method, recorded = METHODS[name], recorded_settings(run, METHODS[name])
    checkpoint_count(run / "checkpoint.pt", method.unit)
    agent = method.agent(
        method.config(**recorded["agent"]), data.observation_size, data.action_size, num_seeds=2, seed=0
    )
    monitors: list[Monitor] = []
    restore = Monitor.restore
    Monitor.restore = lambda self, path: (monitors.append(self), restore(self, path))[1]  # type: ignore[method-assign]
    try:
        checkpoint, expert = run / "checkpoint.pt", ExpertReplayBuffer(data)
        if method.online:
            from rlopt.config import TrainingConfig

            loop = TrainingConfig(**recorded["training"])
            best = BestPolicies(agent.policy, 2) if name == "sac" else None
            source = None if name == "sac" else expert
            how: Any = {"evaluator": _NoEvaluation(), "best": best, "resume": checkpoint}
            history = train_online(agent, ENV, loop, source, **how)
        else:
            history = train_offline(agent, expert, seeds=loop_seeds(recorded), resume=checkpoint)
    finally:
        Monitor.restore = restore  # type: ignore[method-assign]
    parts = {key: part for key, part in monitors[0].parts.items() if key != "replay"}
    state = {key: part.state_dict() for key, part in parts.items()}
    if replay := getattr(monitors[0].parts.get("replay"), "replay", None):
        state["replay"] = (replay.state_dict(), replay.rows[: replay.count], replay.final_of, replay.finals)
    return state, {**vars(history), "wall_seconds": 0.0}, monitors[0].metrics


def loop_seeds(recorded: dict[str, Any]) -> list[int]:
    """The seeds of a run without an environment."""
    return [recorded["training"]["seed"] + i for i in range(recorded["training"]["num_seeds"])]


def mutate(target: Target, data: bytes, rng: random.Random) -> tuple[str, bytes]:
    """A kind, and the file after it; never what it was."""
    while True:
        kind = rng.choice(target.kinds)
        changed = kind(data, rng, target.optional) if kind is mutations.restructure else kind(data, rng)
        if changed != data:
            return kind.__name__, changed


def outcome(target: Target, expected: Any) -> tuple[str, str]:
    """How the file as it is now is read: refused, equal, different or another exception; and the message."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = target.read()
    except UserError as error:
        text = str(error)
        return ("refused", text) if "\n" not in text and len(text) < 1_000 else ("no sentence", text)
    except Exception:  # whatever it is, `run_mutations` makes a complaint of it, with its traceback
        return "another exception", traceback.format_exc(limit=-4)
    return ("equal" if same(expected, found) else "different"), ""


def run_mutations(folder: Path, count: int, seed: int = 0, scripts: int = 0) -> tuple[Counter, Counter, list[str], int]:
    """Outcomes, outcomes by kind and file, complaints, and the largest growth beyond twice a file's size."""
    rng = random.Random(seed)
    targets = make_targets(folder)
    readings = [target.read() for target in targets]
    totals: Counter = Counter()
    table: Counter = Counter()
    complaints: list[str] = []
    most, refused = 0, []
    for number in range(count):
        index = number % len(targets)
        target, original = targets[index], targets[index].path.read_bytes()
        kind, changed = mutate(target, original, rng)
        target.path.write_bytes(changed)
        (result, message), growth = peak_growth(lambda target=target, index=index: outcome(target, readings[index]))
        extra = growth - 2 * len(changed)
        most = max(most, extra)
        if result not in ("refused", "equal") or extra > SLACK:
            complaints.append(f"{number}: {target.name}, {kind}: {result}, {extra / 1e6:.0f} MB; {message}")
        elif result == "refused" and target.name in SCRIPTS:
            refused.append((target, changed))
        totals[result] += 1
        table[target.name, kind, result] += 1
        target.path.write_bytes(original)
    for target, changed in rng.sample(refused, min(scripts, len(refused))):
        complaints += _script(target, changed, folder)
        totals["by a script"] += 1
    return totals, table, complaints, most


def _script(target: Target, changed: bytes, folder: Path) -> list[str]:
    """A complaint, if a script does not refuse the file in one line with exit code 2."""
    original = target.path.read_bytes()
    target.path.write_bytes(changed)
    name, *words = SCRIPTS[target.name]
    words = [word.format(file=target.path, folder=target.path.parent) for word in words]
    command = [sys.executable, str(ROOT / "scripts" / name), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    target.path.write_bytes(original)
    lines = done.stderr.strip().splitlines()
    right = done.returncode == 2 and len(lines) == 1
    return [] if right else [f"{name} {target.name}: exit code {done.returncode}: {done.stderr[-2000:]}"]


def main() -> None:
    """Parse, run, print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="mutations (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default: 0)")
    parser.add_argument(
        "--scripts", type=int, default=20, help="refused files that the scripts read, too (default: 20)"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        totals, table, complaints, most = run_mutations(Path(folder), args.count, args.seed, args.scripts)
    for (name, kind, result), number in sorted(table.items()):
        print(f"{name:20} {kind:15} {result:18} {number}")
    print("\n".join(complaints))
    print(f"{args.count} mutations in {time.perf_counter() - began:.0f} s: {dict(totals)}")
    print(f"Memory beyond twice the file's size: at most {most / 1e6:.0f} MB.")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
