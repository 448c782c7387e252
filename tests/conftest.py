"""What the tests share: cores, one thread each, random transitions, and the name of an environment.

It loads torch only in fixtures: the process that shares the tests out among the cores needs none, and the others wait for it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from rlopt.cores import available_workers

if TYPE_CHECKING:
    from rlopt.transition import Transition

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background jobs: tests interrupt themselves
    signal.signal(signal.SIGINT, signal.default_int_handler)


MOST_PROCESSES = 4
"""Each takes about a gigabyte."""


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Folders of tests are shared out among the cores, file by file; `-n 0`, a file, `--pdb` or slow tests are not."""
    cores, option = available_workers(), config.option
    if (
        getattr(option, "numprocesses", 0) is None  # pytest-xdist is there, and nothing was asked of it
        and not hasattr(config, "workerinput")
        and not option.usepdb
        and option.markexpr == "not slow"
        and any(os.path.isdir(argument) for argument in config.args)
        and cores > 1
    ):
        option.numprocesses, option.dist = min(cores, MOST_PROCESSES), "loadfile"


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_arithmetic():
    """Hypothesis, and every other test, need denormal numbers, which benchmarks turn off."""
    import torch

    yield
    torch.set_flush_denormal(False)


@pytest.fixture(autouse=True)
def blank_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only tests that look at pictures draw them: one takes half a second, and whole runs write some two hundred."""

    def save(figure: Any, file: Any, **how: Any) -> None:
        from PIL import Image

        width, height = figure.get_size_inches() * how.get("dpi", 100)
        Image.new("RGB", (round(width), round(height))).save(file, "png")

    if "report" not in request.path.parts and not request.node.get_closest_marker("pictures"):
        monkeypatch.setattr("matplotlib.figure.Figure.savefig", save)


@pytest.fixture
def counter_env() -> str:
    from .envs.counter import COUNTER

    return COUNTER


@pytest.fixture
def make_batch() -> Callable[..., Transition]:
    """A function of (S, B): random transitions `[S, B]`, every fifth of them terminating."""
    import torch

    from rlopt.transition import Transition

    def make(num_seeds: int, batch: int, observation_size: int = 3, action_size: int = 1, seed: int = 0) -> Transition:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(num_seeds, batch, *shape, generator=generator)

        return Transition(
            observation=normal(observation_size),
            action=torch.tanh(normal(action_size)),
            reward=normal(),
            next_observation=normal(observation_size),
            terminated=(torch.arange(batch) % 5 == 1).float().repeat(num_seeds, 1),
        )

    return make


@pytest.fixture
def assert_same_state() -> Callable[..., None]:
    """A function of two state dicts: same keys, same values; bit for bit unless it is given tolerances."""
    import torch

    def check(a: Any, b: Any, where: str = "state", **tolerances: float) -> None:
        if isinstance(a, dict):
            assert a.keys() == b.keys(), where
            for key in a:
                check(a[key], b[key], f"{where}[{key!r}]", **tolerances)
        elif isinstance(a, list):
            assert len(a) == len(b), where
            for index, pair in enumerate(zip(a, b, strict=True)):
                check(*pair, f"{where}[{index}]", **tolerances)
        elif isinstance(a, torch.Tensor) and tolerances:
            torch.testing.assert_close(a, b, **tolerances, msg=lambda text: f"{where}: {text}")
        elif isinstance(a, torch.Tensor):
            assert torch.equal(a, b), f"{where} differs by up to {(a.double() - b.double()).abs().max()}"
        else:
            assert a == b, where

    return check
