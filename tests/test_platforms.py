"""macOS and Windows, as far as can be told from here: rlopt imports and trains where the names that they lack are missing.

A process of its own takes the names away, after other packages were imported: those know their platform.
"""

from pathlib import Path

import pytest

from rlopt.training.devices import choose_device

from . import forked
from .scripts.shared import SMALL, environment

ROOT = Path(__file__).parents[1]
WITHOUT = """
import importlib, os, pkgutil, runpy, signal, sys
import gymnasium, matplotlib.pyplot, mujoco, rich.progress, torch, torchrl.collectors, torchrl.data, torchrl.envs
from multiprocessing import popen_fork, resource_tracker
import torch._dynamo, torch._inductor.compile_fx, multiprocessing.shared_memory, rlopt.training.online  # noqa

# these are of Python on Linux alone: one blocks signals while it starts, the other sends SIGKILL
resource_tracker.ensure_running()
popen_fork.Popen.kill = lambda process, number=signal.SIGKILL: process._send_signal(number)

MACOS = {
    os: "sched_getaffinity sched_setaffinity posix_fadvise memfd_create pipe2 sendfile",
    signal: "sigtimedwait sigwaitinfo SIGRTMIN SIGRTMAX SIGPOLL",
}
WINDOWS = {
    os: MACOS[os] + " fork forkpty nice pwrite pread getuid geteuid getgid setsid killpg chown mkfifo uname sysconf"
    " getloadavg fchmod fdatasync register_at_fork O_NOFOLLOW O_CLOEXEC O_DIRECTORY",
    signal: MACOS[signal] + " SIGHUP SIGKILL SIGUSR1 SIGUSR2 SIGALRM SIGCHLD SIGPIPE SIGQUIT alarm setitimer"
    " pthread_sigmask pthread_kill sigwait siginterrupt SIG_BLOCK SIG_SETMASK SIG_UNBLOCK pause",
}
MODULES = "fcntl resource pwd grp termios tty pty posix syslog".split()


def become(system):  # from here on as there; rlopt is to be imported anew
    for module, names in {"Darwin": MACOS, "Windows": WINDOWS}[system].items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    for name in [name for name in sys.modules if name == "rlopt" or name.startswith("rlopt.")]:
        del sys.modules[name]
    if system == "Windows":
        for name in MODULES:
            sys.modules[name] = None


become(sys.argv[1])
"""
IMPORTS = """
import rlopt
for found in pkgutil.walk_packages(rlopt.__path__, "rlopt."):
    if found.name not in ("rlopt.__main__", "rlopt.training.compile_ahead"):
        try:
            importlib.import_module(found.name)
        except ImportError as error:  # an extra that is not installed
            if (error.name or "").startswith("rlopt") or error.name in MODULES:
                raise
assert not hasattr(os, "sched_getaffinity")
print("imported")
"""
TRAINING = """
for words in {commands}:
    sys.argv = words
    try:
        runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        assert not end.code, (words, end.code)
print("trained")
"""


def run_there(system, action, folder):
    """The end of what a process prints that acts where another system's names are missing."""
    program = folder / "program.py"
    program.write_text(WITHOUT + action)
    done = forked.run([program, system], folder, environment(MPLBACKEND="agg"), timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()[-1]


def test_every_module_can_be_imported_on_macos_and_windows(tmp_path):
    """One after the other: Windows lacks all that macOS lacks."""
    both = (
        IMPORTS + "become('Windows')\n" + IMPORTS + "assert sys.modules['fcntl'] is None and not hasattr(os, 'fork')\n"
    )
    assert run_there("Darwin", both + "print('both')", tmp_path) == "both"


@pytest.mark.slow
def test_every_module_can_be_imported_and_every_step_trains_on_windows(tmp_path):
    """With environments in processes, too, which start by spawn: `fork` is not there."""
    data = "expert_data/Pendulum-v1/expert_buffer.pt"
    small = [*SMALL, "--frames", 640, "--hidden-size", 8, "--device", "cpu", "--no-wandb"]
    steps = {
        "01_collect_expert_data.py": [*small, "--episodes", 2, "--keep-checkpoint", "--env-workers", 2],
        "02_train_ipmd.py": [data, *small, "--expert-batch-size", 16],
        "03_train_bc.py": [data, "--epochs", 2, "--hidden-size", 8, "--num-seeds", 2, "--device", "cpu", "--no-wandb"],
    }
    commands = [[str(ROOT / "scripts" / script), *map(str, flags)] for script, flags in steps.items()]
    assert run_there("Windows", IMPORTS + TRAINING.format(commands=commands), tmp_path) == "trained"
    for method in ("sac", "ipmd", "bc"):
        (metrics,) = (tmp_path / "logs" / method).glob("*/*/metrics.csv")
        size, _ = metrics.with_suffix(".crc32").read_text().split()
        assert int(size) == metrics.stat().st_size > 0


def test_apples_gpus_are_refused_in_a_sentence():
    with pytest.raises(Exception, match=r"--device mps is not supported, as nobody has tried .*: use --device cpu\."):
        choose_device("mps")
