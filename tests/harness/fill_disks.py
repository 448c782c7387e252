#!/usr/bin/env python3
"""Fill the disk under running scripts at random moments, and count what they do then. As root, on Linux (it mounts a tmpfs).

    .venv/bin/python tests/harness/fill_disks.py --runs 20

A run is one of the four steps with tiny settings, in a folder on a small disk of its own. It must end with exit code 2 and no
traceback and, after space was made, go on to exit code 0 with all its files; or end with 0 and all its files at once.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
STEPS = {
    1: ["01_collect_expert_data.py", "--frames", "3000", "--episodes", "5"],
    2: ["02_train_ipmd.py", "{data}", "--demos", "2", "--frames", "3000"],
    3: ["03_train_bc.py", "{data}", "--demos", "2", "--epochs", "30"],
    4: [
        "04_compare_methods.py",
        "--expert-frames",
        "1000",
        "--ipmd-frames",
        "1000",
        "--bc-epochs",
        "6",
        "--demos",
        "2",
    ],
}
ONLINE = ["--warmup-frames", "200", "--num-envs", "2", "--no-compile"]
SMALL = ["--num-seeds", "2", "--hidden-size", "16", "--batch-size", "16", "--device", "cpu", "--no-progress"]
LOGS = ("config.json", "metrics.csv", "rlopt.log")


def main() -> int:
    """Parse, run, print the counts; 1 if something must not be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--megabytes", type=int, default=8, help="size of the disk")
    parser.add_argument("--steps", type=int, nargs="+", default=list(STEPS))
    parser.add_argument("--output", action="store_true", help="the output, too, goes to the disk")
    parser.add_argument("--wandb", action="store_true", help="with W&B offline")
    args = parser.parse_args()
    moments, counts = random.Random(args.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        mount = Path(folder)
        command = ["mount", "-t", "tmpfs", "-o", f"size={args.megabytes}m", "tmpfs", folder]
        if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
            print("Skipped: no disk can be mounted here; run it as root.")
            return 0
        subprocess.run(["umount", folder], check=True)
        data = demonstrations(mount / "data")
        lengths = {step: run_to_the_end(step, data, args.wandb) for step in args.steps}
        for number in range(args.runs):
            step = args.steps[number % len(args.steps)]
            disk = mount / "disk"
            disk.mkdir()
            subprocess.run([*command[:-1], str(disk)], check=True)
            try:
                after = moments.uniform(0, lengths[step])
                outcome = one_run(step, data, disk, after, args)
            finally:
                subprocess.run(["umount", "-l", str(disk)], check=True)
                disk.rmdir()
            counts.update(outcome)
            print(f"{number + 1:4} step {step} full after {after:4.1f} s: {', '.join(outcome)}", flush=True)
    print("\n" + "\n".join(f"{count:5}  {what}" for what, count in sorted(counts.items())))
    return int(any(what.startswith("WRONG") for what in counts))


def command_line(step: int, data: Path) -> list[str]:
    """The command of a step."""
    script, *flags = (word.format(data=data) for word in STEPS[step])
    return [sys.executable, str(SCRIPTS / script), *flags, *SMALL, *(ONLINE if step != 3 else [])]


def environment(wandb: bool) -> dict[str, str]:
    """The user's, with one thread."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "WANDB_MODE": "offline" if wandb else "disabled",
        "PYTHONPATH": str(ROOT),
    }


def demonstrations(folder: Path) -> Path:
    """Of a tiny expert."""
    folder.mkdir()
    subprocess.run(command_line(1, folder), cwd=folder, env=environment(False), capture_output=True, check=True)
    return folder / "expert_data" / "Pendulum-v1" / "expert_buffer.pt"


def run_to_the_end(step: int, data: Path, wandb: bool) -> float:
    """Seconds of a step that nothing disturbs."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        subprocess.run(command_line(step, data), cwd=folder, env=environment(wandb), capture_output=True, check=True)
        return time.monotonic() - begun


def one_run(step: int, data: Path, disk: Path, after: float, args: argparse.Namespace) -> list[str]:
    """What came of a step whose disk was full after so many seconds."""
    output = (disk if args.output else disk.parent) / "output.txt"
    with open(output, "w") as file:
        process = subprocess.Popen(
            command_line(step, data), cwd=disk, env=environment(args.wandb), stdout=file, stderr=subprocess.STDOUT
        )
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            fill(disk / "fill")
        try:
            code = process.wait(300)
        except subprocess.TimeoutExpired:
            process.kill()
            return ["WRONG: hangs"]
    text = output.read_text()
    (disk / "fill").unlink(missing_ok=True)
    (disk / "fill.last").unlink(missing_ok=True)
    outcome = [f"exit {code}"]
    missing = [name for name in expected(step) if not list(disk.glob(name))]
    if code == 0:
        return [*outcome, f"WRONG: exit 0 without {missing}" if missing else "with all its files"]
    if "Traceback" in text:
        print(text[-3000:])
        outcome.append("WRONG: a traceback")
    if code != 2:
        print(text[-3000:])
        outcome.append("WRONG: not exit 2")
    elif not args.output and not text.strip().splitlines()[-1].startswith("error: "):
        print(text[-3000:])
        outcome.append("WRONG: no sentence")
    return [*outcome, go_on(step, data, disk, text, args)]


def fill(path: Path) -> None:
    """Take all space that is left, to the last byte."""
    for name, size in ((path, 1 << 16), (path.with_suffix(".last"), 1)):
        with open(name, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                pass


def go_on(step: int, data: Path, disk: Path, text: str, args: argparse.Namespace) -> str:
    """What comes of going on, as the sentence says, after space was made."""
    checkpoints = [path.parent for path in disk.glob("logs/*/*/*/checkpoint.pt")]
    flags = ["--resume"] if step == 4 else ["--resume", str(checkpoints[0])] if checkpoints else []
    if not args.output and step != 4 and checkpoints and f"--resume {checkpoints[0].relative_to(disk)}" not in text:
        print(text[-3000:])
        return "WRONG: does not say how to go on"
    again = subprocess.run(
        [*command_line(step, data), *flags], cwd=disk, env=environment(args.wandb), capture_output=True, text=True
    )
    missing = [name for name in expected(step) if not list(disk.glob(name))]
    left = [path.name for path in disk.rglob("*.tmp") if path.parent in checkpoints]
    if again.returncode or missing or left:
        print(again.stderr[-3000:])
        return f"WRONG: cannot go on (exit {again.returncode}, without {missing}, left {left})"
    return f"goes on {'with --resume' if flags else 'from the start'}"


def expected(step: int) -> list[str]:
    """Patterns of what a step promises."""
    methods = {1: ["sac"], 2: ["ipmd"], 3: ["bc"], 4: ["sac", "ipmd", "bc"]}[step]
    files = [f"logs/{method}/Pendulum-v1/*/{name}" for method in methods for name in LOGS]
    files += ["logs/bc/Pendulum-v1/bc_policy_seed44.pt"] if step == 3 else []
    files += ["logs/ipmd/Pendulum-v1/*/ipmd_model.pt"] if step in (2, 4) else []
    if step in (1, 4):
        names = ("expert_buffer.pt", "metadata.pt", "README.txt")
        files += ["logs/sac/Pendulum-v1/*/sac_expert.pt", *(f"expert_data/Pendulum-v1/{name}" for name in names)]
    if step == 4:
        names = ("results.json", "results.txt", "comparison.png", "learning_curves.png")
        files += [f"comparison_results/Pendulum-v1/{name}" for name in names]
    return files


if __name__ == "__main__":
    sys.exit(main())
