"""What the tests of the four scripts share: their names, small budgets, and two ways to run them."""

import os
import re
import runpy
import sys
from pathlib import Path

from rlopt.experiments import expert, frozen_reward
from rlopt.experiments import run as stages

from .. import forked

SCRIPTS = Path(__file__).parents[2] / "scripts"
COLLECT, IPMD, BC = "01_collect_expert_data.py", "02_train_ipmd.py", "03_train_bc.py"
COMPARE = "04_compare_methods.py"
EXPERT = "expert_data/Pendulum-v1/expert_buffer.pt"

SMALL = [
    *("--num-seeds", "2", "--num-envs", "4", "--warmup-frames", "160"),
    # an evaluation on Pendulum takes a quarter of a second, more than the training before it
    *("--updates-per-frame", "0.05", "--batch-size", "32", "--eval-points", "4"),
]
FRAMES = 640  # a whole number of collector batches of 4 copies times 8 steps

ONE_WARNING = "warning: No CUDA device found: training on the CPU (say --device cpu to choose it)."
STDERR_LINES = (
    r"(SAC|IPMD|BC) Pendulum-v1: .*(after \d+:\d\d|left).*",
    r"Return -\d+\.\d over 2 seeds\.",
    r"\d+ demonstrations \([\d,]+ transitions\) in .*expert_buffer\.pt: "
    r"expert \(seed \d+ at its best\) -\d+\.\d, random policy -\d+\.\d\.",
    r"(IPMD|BC): return -\d+\.\d over 2 seeds.*\.",
    r"Learned reward against true reward on fresh policy data: Pearson -?\d\.\d\d\.",
    r"warning: The demonstrations' mean return, .*, so that there is no score: raise --frames\.",  # few frames, indeed
)


def environment(**changes):
    """The user's, on a machine without CUDA, and with no word of W&B or of warnings to be hidden."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_") and k != "PYTHONWARNINGS"}
    return kept | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""} | changes


def run(script, *flags, cwd, **changes):
    """The script in a process of its own."""
    return forked.run([script, *flags], cwd, environment(**changes))


def run_here(monkeypatch, script, *flags):
    """The script in this process, which saves the imports; returns its exit code."""
    monkeypatch.setattr(sys, "argv", [script, *map(str, flags)])
    try:
        runpy.run_path(str(SCRIPTS / script), run_name="__main__")
    except SystemExit as end:
        return end.code or 0
    return 0


def help_entries(monkeypatch, capsys, script):
    """Flag to its help text, whose line breaks are undone, and the whole help."""
    monkeypatch.setenv("COLUMNS", "400")
    assert run_here(monkeypatch, script, "--help") == 0
    text = capsys.readouterr().out
    entries = {}
    for entry in re.findall(r"^  (-[^\n]*(?:\n {5,}[^\n]*)*)", text.partition("options:")[2], re.M):
        flags, _, _ = re.sub(r"\s{2,}", "  ", entry).partition("  ")
        entries |= dict.fromkeys(re.findall(r"--[\w-]+", flags), " ".join(entry.split()))
    return entries, text


def replace_training(patch, online, offline=None):
    """Have every stage call these functions (None: the first one) where it would train."""
    for module in (expert, stages, frozen_reward):
        patch.setattr(module, "train_online", online)
    patch.setattr(stages, "train_offline", offline or online)


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def only(paths):
    (path,) = paths
    return path
