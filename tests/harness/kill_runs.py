#!/usr/bin/env python3
"""Runs that are killed at random moments and resumed: do they end as the undisturbed run does, bit for bit?

    python tests/harness/kill_runs.py --kills 200

Every run is a script of `scripts/` with a tiny budget, in a process forked from this one, which has imported everything.
A random signal (KILL, INT, TERM, HUP) ends it after a random time; `--resume FOLDER` goes on, and may be killed again.
Weights, metrics.csv (but for the clock), demonstrations and results are compared with those of the undisturbed run.
"""

import argparse
import contextlib
import csv
import json
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
SIGNALS = [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
ENV = "InvertedPendulum-v5"
DATA = f"data/{ENV}/expert_buffer.pt"
QUIET = ["--device", "cpu", "--no-wandb", "--no-progress", "--num-seeds", "2", "--eval-episodes", "2"]
SMALL = [*QUIET, "--num-envs", "2", "--warmup-frames", "200", "--batch-size", "16", "--hidden-size", "16"]
SMALL += ["--updates-per-frame", "0.5", "--eval-points", "4", "--checkpoint-points", "6"]
IPMD = ["02_train_ipmd.py", DATA, *SMALL, "--frames", "2000", "--expert-batch-size", "16", "--expert-ratio", "0.25"]
IPMD += ["--reward-inputs", "sas"]  # next observations count, also where an episode terminates
LIMIT = ["--env", "Pendulum-v1", "--max-episode-steps", "24"]  # often reached with the last step before a checkpoint
ALL = [*SMALL, "--expert-batch-size", "16", "--bc-epochs", "20"]
COMMANDS: dict[str, list[str]] = {
    "sac": ["01_collect_expert_data.py", "--env", ENV, *SMALL, "--frames", "2000", "--episodes", "3"],
    "limit": ["01_collect_expert_data.py", *LIMIT, *SMALL, "--frames", "2000", "--episodes", "3"],
    "ipmd": [*IPMD, "--recent-ratio", "0.5", "--lr-decay", "0.5"],
    "ring": [*IPMD, "--buffer-size", "500"],
    "workers": [*IPMD, "--env-workers", "2"],
    "compiled": [*IPMD, "--compile"],
    "bc": ["03_train_bc.py", DATA, *QUIET, "--epochs", "60", "--hidden-size", "16", "--batch-size", "16"],
    "comparison": ["04_compare_methods.py", "--env", ENV, *ALL, "--expert-frames", "1500", "--ipmd-frames", "1500"],
    "study": ["study_demonstrations.py", DATA, *ALL, "--frames", "1500", "--counts", "1", "2"],
    "ablations": ["study_ablations.py", DATA, *SMALL, "--frames", "1500", "--names", "default", "reward r(s)"],
}
"""By kind. The last three go on when the same command is started again."""
DEFAULT = [kind for kind in COMMANDS if kind not in ("workers", "compiled")]
CLOCK = ("wall_seconds", "frames_per_second", "epochs_per_second", "directory", "expert")


def start(folder: Path, arguments: list[str]) -> int:
    """Fork, and run a script in `folder`; returns the process number."""
    process = os.fork()
    if process:
        return process
    os.chdir(folder)
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.argv = arguments
    code = 0
    try:
        runpy.run_path(str(SCRIPTS / arguments[0]), run_name="__main__")
    except SystemExit as end:
        code = int(end.code or 0)
    except KeyboardInterrupt:  # before the script was ready for one
        code = 130
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(process: int) -> int:
    """The exit code; of a signal, minus its number."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def outcome(folder: Path) -> dict[str, Any]:
    """What a run left behind, without clocks: tensors by file and name, rows, numbers."""
    import torch

    found: dict[str, Any] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                if key not in CLOCK:
                    add(f"{name}/{key}", item)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                add(f"{name}/{index}", item)
        else:
            found[name] = value

    for path in sorted(folder.rglob("*")):
        name = path.name if "logs" in path.parts else str(path.relative_to(folder))
        if "/data/" in str(path):
            continue
        kind = next((part for part in path.parts if part in ("sac", "ipmd", "bc")), "")
        if path.suffix == ".pt" and path.name not in (
            "checkpoint.pt",
            "stages.pt",
            "demonstrations.pt",
            "ablations.pt",
        ):
            if "replay" not in path.parts:
                add(f"{kind} {name}", torch.load(path, weights_only=True))
        elif path.name == "metrics.csv":
            rows = [[*row.items()] for row in csv.DictReader(path.open())]
            number = sum(key.startswith(f"{kind} metrics") for key in {key.rsplit("#")[0] for key in found})
            add(f"{kind} metrics{number}#", [str([cell for cell in row if cell[0] not in CLOCK]) for row in rows])
        elif path.suffix == ".json" and path.name != "config.json":
            add(name, json.loads(path.read_text()))
    return found


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The names of what differs."""
    import torch

    def same(a: Any, b: Any) -> bool:
        return torch.equal(a, b) if isinstance(a, torch.Tensor) else bool(a == b)

    ignored = ("versions", "wandb_group", 'expert"')
    names = [name for name in one.keys() | other.keys() if not any(word in name for word in ignored)]
    return sorted(name for name in names if name not in one or name not in other or not same(one[name], other[name]))


def resumed(kind: str, folder: Path) -> list[str]:
    """The command that goes on: of steps 1 to 4 nothing but the folder, or the start where there is none yet."""
    command = COMMANDS[kind]
    if kind == "comparison":
        results = [path.parent.relative_to(folder) for path in folder.rglob("stages.pt")]
        return [command[0], "--resume", str(results[0]), "--device", "cpu", "--no-wandb"] if results else command
    if kind in ("study", "ablations"):
        return command
    runs = sorted(folder.glob("logs/*/*/*/config.json"))
    if not runs:
        return command
    return [
        command[0],
        "--resume",
        str(runs[-1].parent.relative_to(folder)),
        "--device",
        "cpu",
        "--no-wandb",
        "--no-progress",
    ]


def attempt(kind: str, folder: Path, seconds: float, chance: random.Random) -> Counter[str]:
    """Kill a run, once or more often, until it has ended by itself; returns what happened."""
    counts: Counter[str] = Counter()
    command = COMMANDS[kind]
    while True:
        began = time.monotonic()
        process = start(folder, command)
        kill = counts["kills"] == 0 or chance.random() < 0.3
        until, number = began + chance.uniform(0, 1.02 * seconds), chance.choice(SIGNALS)
        while kill and time.monotonic() < until:
            if os.waitpid(process, os.WNOHANG)[0]:
                counts["ended before"] += 1
                return counts
            time.sleep(0.002)
        if kill:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
            counts["kills"] += 1
            counts[signal.Signals(number).name] += 1
        code = wait(process)
        if code == 0:
            return counts
        if not kill or code not in (-number, 130):
            counts[f"exit {code}"] += 1
            return counts
        command = resumed(kind, folder)


def main() -> int:
    """Parse, run, count; the exit code is 1 if any run ended differently."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="kills in all (default: 200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", default=DEFAULT, choices=list(COMMANDS))
    parser.add_argument("--trials", type=int, default=2, help="undisturbed runs of each kind (default: 2)")
    parser.add_argument("--frames", type=int, help="of every training (default: 2000, in steps after another 1500)")
    parser.add_argument("--keep", action="store_true", help="keep the folders of runs that differ")
    args = parser.parse_args()
    if args.frames:
        for kind, words in COMMANDS.items():
            COMMANDS[kind] = [str(args.frames) if word in ("1500", "2000") else word for word in words]
    os.environ |= {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
    sys.path.insert(0, str(ROOT))
    import torch

    torch.set_num_threads(1)
    import rlopt.experiments.ablations
    import rlopt.experiments.comparison
    import rlopt.experiments.studies  # noqa: F401

    chance, base = random.Random(args.seed), Path(tempfile.mkdtemp(prefix="rlopt-kills-"))
    data = base / "source"
    data.mkdir()
    first = [*COMMANDS["sac"], "--save-dir", "data"]
    if wait(start(data, first)):
        print((data / "output.txt").read_text())
        return 1

    def place(name: str) -> Path:
        folder = base / name
        folder.mkdir()
        shutil.copytree(data / "data", folder / "data")
        return folder

    expected: dict[str, tuple[float, dict[str, Any]]] = {}
    for kind in args.kinds:
        for trial in range(args.trials):  # two undisturbed runs must agree; the quicker one tells the time
            folder = place(f"{kind}-undisturbed-{trial}")
            began = time.monotonic()
            code = wait(start(folder, COMMANDS[kind]))
            seconds, found = time.monotonic() - began, outcome(folder)
            before = expected.get(kind, (seconds, found))
            if code or differences(before[1], found):
                print(kind, "does not run alike:", (folder / "output.txt").read_text()[-2000:])
                return 1
            expected[kind] = min(seconds, before[0]), found
        seconds = expected[kind][0]
        print(f"{kind}: {seconds:.1f} s undisturbed, {len(expected[kind][1])} numbers and tensors", flush=True)
    total: Counter[str] = Counter()
    by_kind: dict[str, Counter[str]] = {kind: Counter() for kind in args.kinds}
    number = 0
    report: Callable[[str], None] = lambda text: print(text, flush=True)  # noqa: E731
    while total["kills"] < args.kills:
        kind = args.kinds[number % len(args.kinds)]
        folder, number = place(f"{kind}-{number}"), number + 1
        counts = attempt(kind, folder, expected[kind][0], chance)
        wrong = [name for name in counts if name.startswith("exit")]
        differ = [] if wrong else differences(expected[kind][1], outcome(folder))
        counts["different" if differ else "failed" if wrong else "equal"] += 1
        if differ or wrong:
            report(f"{folder}: {wrong or differ[:5]} {len(differ)}\n{(folder / 'output.txt').read_text()[-600:]}")
        if not ((differ or wrong) and args.keep):
            shutil.rmtree(folder)
        total += counts
        by_kind[kind] += counts
    for kind, counts in by_kind.items():
        report(f"{kind}: {dict(counts)}")
    report(f"all: {dict(total)}")
    return 1 if total["different"] or total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
