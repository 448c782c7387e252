"""Compiles the updates of a later training while an earlier one runs, into the cache that torch's compiler keeps on disk."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from rlopt.agents.methods import get_method
from rlopt.config import TrainingConfig
from rlopt.cores import available_workers
from rlopt.training.devices import arithmetic_for
from rlopt.training.update_runner import UpdateRunner


class Later(NamedTuple):
    """A training that is to come, on the CPU."""

    method: str
    """A name in `METHODS`."""
    config: Any
    """Of its agent, with a precision that is settled."""
    training: TrainingConfig
    sizes: tuple[int, int]
    """O and A."""


@contextmanager
def compiled_ahead(trainings: Sequence[Later]) -> Iterator[None]:
    """Compile these trainings' updates beside a block, in a process that yields to every other one.

    It needs a second core. Whatever goes wrong there goes wrong again where the training begins, and is told of then.
    """
    wanted = [later for later in trainings if later.training.compiles("cpu")]
    if not wanted or available_workers() == 1:
        yield
        return
    command = [sys.executable, "-m", __name__]
    quiet: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, **quiet)
    assert process.stdin is not None
    try:
        with process.stdin as pipe:
            pickle.dump(wanted, pipe)
        yield
    finally:
        process.kill()
        process.wait()


def compile_updates_of(later: Later) -> bool:
    """Compile one training's updates, on random data; whether they can be used."""
    seeds, config = later.training.num_seeds, later.config
    agent = get_method(later.method).agent(config, *later.sizes, num_seeds=seeds)
    runner = UpdateRunner(agent, compiled=True, workers=later.training.workers or available_workers())
    observation_size, action_size = later.sizes

    def batches(size: int) -> torch.Tensor:
        packed = torch.rand(2, seeds, size, 2 * observation_size + action_size + 2)
        packed[..., -1] = 0  # nothing terminates
        return packed

    with arithmetic_for(agent):
        runner(batches(config.batch_size), batches(agent.expert_batch_size) if agent.expert_batch_size else None)
    runner.close()
    return runner.compiled


def main() -> None:
    """Compile what standard input has: a pickled list of `Later`, from the process that started this one."""
    if hasattr(os, "nice"):
        os.nice(10)
    for later in pickle.load(sys.stdin.buffer):
        compile_updates_of(later)


if __name__ == "__main__":
    main()
