#!/usr/bin/env bash
# TorchRL 0.14.1: a ParallelEnv that waits for its workers keeps a core busy.
#
# A good guess: while worker processes step, the process that waits for them sleeps, so two workers on two cores step twice as
# much as one process. With use_buffers=True (the default for environments of one kind) step_and_maybe_reset polls a flag in
# shared memory instead, in a Python loop without a pause. The waiting process takes a core, which the workers then lack where
# there are as many of them as cores. With use_buffers=False it sleeps on a pipe.
#
# The share is the waiting process's own processor time over the time that went by, two workers whose step takes 20 ms.
#
# Run: bash findings/torchrl_parallel_env_polls.sh    (needs the package index; two minutes, 1 GB in a temporary folder)
# Output seen, on two cores:
#     buffers True: the waiting process used 1.00 of a core
#     buffers False: the waiting process used 0.09 of a core
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torch==2.13.0 torchrl==0.14.1 numpy
cd "$folder"
cat > measure.py <<'PYTHON'
import time

import torch
from tensordict import TensorDict
from torchrl.data import Bounded, Composite, Unbounded
from torchrl.envs import EnvBase, ParallelEnv


class Slow(EnvBase):
    def __init__(self):
        super().__init__(batch_size=[])
        self.observation_spec = Composite(observation=Unbounded(shape=(3,)))
        self.action_spec = Bounded(-1.0, 1.0, shape=(1,))
        self.reward_spec = Unbounded(shape=(1,))

    def _reset(self, tensordict=None, **kwargs):
        return TensorDict({"observation": torch.zeros(3)}, [])

    def _step(self, tensordict):
        time.sleep(0.02)
        done = torch.zeros(1, dtype=torch.bool)
        outcome = {"observation": torch.zeros(3), "reward": torch.zeros(1), "done": done, "terminated": done.clone()}
        return TensorDict(outcome, [])

    def _set_seed(self, seed):
        pass


def share(buffers):
    env = ParallelEnv(2, Slow, mp_start_method="spawn", use_buffers=buffers)
    state = env.reset()
    for step in range(110):
        if step == 10:
            began, used = time.perf_counter(), time.process_time()
        _, state = env.step_and_maybe_reset(env.rand_action(state))
    used, took = time.process_time() - used, time.perf_counter() - began
    env.close()
    print(f"buffers {buffers}: the waiting process used {used / took:.2f} of a core", flush=True)
    return used / took


if __name__ == "__main__":
    torch.set_num_threads(1)
    polling, sleeping = share(True), share(False)
    assert sleeping < 0.4 * polling, (polling, sleeping)
PYTHON
"$folder/venv/bin/python" measure.py 2> errors || { cat errors; exit 1; }
