"""Scripts that ran, a place to call them in, and how a command line is called or refused."""

import shutil

import matplotlib
import pytest

from rlopt.imitation import save_demonstrations

from .shared import BC, COLLECT, COMPARE, EXPERT, FRAMES, IPMD, SCRIPTS, SMALL, replace_training, run, run_here
from .shared_errors import demonstrations, files

SHORT = ("--episodes", 3, "--env", "Pendulum-v1", "--max-episode-steps", 50)


@pytest.fixture(scope="session")
def chain(tmp_path_factory):
    """01 and 02 from the root of a folder with the scripts in it, 03 from `scripts/`, with W&B on and nobody logged in."""
    root = tmp_path_factory.mktemp("project")
    (root / "scripts").mkdir()
    for script in (COLLECT, IPMD, BC):
        shutil.copy(SCRIPTS / script, root / "scripts")
    finished = {
        "sac": run(f"scripts/{COLLECT}", *SMALL, "--frames", FRAMES, *SHORT, "--no-wandb", cwd=root),
        "ipmd": run(
            *(f"scripts/{IPMD}", EXPERT, *SMALL, "--frames", FRAMES, "--demos", 2, "--expert-batch-size", 32),
            *("--device", "cpu", "--no-wandb"),
            cwd=root,
        ),
        "bc": run(
            *(BC, f"../{EXPERT}", "--epochs", 2, "--num-seeds", 2, "--device", "cpu"),
            cwd=root / "scripts",
            HOME=str(tmp_path_factory.mktemp("home")),
            MPLCONFIGDIR=matplotlib.get_cachedir(),  # else a new home means a new font cache
        ),
    }
    return root, finished


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder to work in, with good demonstrations of Pendulum-v1 in `data/`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    save_demonstrations(demonstrations("Pendulum-v1"), tmp_path / "data")
    return tmp_path


@pytest.fixture
def call(monkeypatch, capsys):
    """Runs a command line; returns exit code, stdout and stderr."""

    def run(script, *flags):
        capsys.readouterr()
        code = run_here(monkeypatch, script, *flags)
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


@pytest.fixture
def refused(call, monkeypatch):
    """Asserts that a command line is refused before anything is trained or written; returns the sentence."""

    def train(*args, **kwargs):
        pytest.fail("training began")

    def run(script, *flags):
        before = files()
        with monkeypatch.context() as patch:
            replace_training(patch, train)
            code, out, err = call(script, "--device", "cpu", *flags)
        assert code == 2
        assert out == ""
        (line,) = err.splitlines()  # a traceback has more
        assert files() == before
        assert line.startswith("error: ")
        assert line.endswith((".", "?"))
        return line.removeprefix("error: ")

    return run


@pytest.fixture
def tensorboard(monkeypatch):
    """Whether or not it is installed, `--tensorboard` is not refused."""
    monkeypatch.setattr("rlopt.config.find_spec", lambda name: name)


QUICK = "--num-seeds 2 --num-envs 2 --warmup-frames 64 --updates-per-frame 0.1 --batch-size 8 --hidden-size 8"


@pytest.fixture
def quick(counter_env):
    """A command line of the test environment, for a run of a second."""
    save_demonstrations(demonstrations(counter_env), "counter")
    own = {
        COLLECT: f"{QUICK} --frames 192 --episodes 2 --checkpoint-points 2",
        IPMD: f"{QUICK} --frames 192 --checkpoint-points 2",
        BC: "--num-seeds 2 --epochs 3 --hidden-size 8 --batch-size 8 --min-steps-per-epoch 5",
        COMPARE: f"{QUICK} --expert-frames 192 --ipmd-frames 192 --bc-epochs 1 --demos 2",
    }

    def build(script, *flags):
        first = ["counter/expert_buffer.pt"] if script in (IPMD, BC) else ["--env", counter_env]
        return [script, *first, *own[script].split(), "--device", "cpu", "--no-progress", *flags]

    return build
