#!/usr/bin/env bash
# AgileRL 2.58.0: two ways in which transitions that never happened get into its replay buffers.
#
# 1. MultiStepReplayBuffer. A good guess: a return of n steps stops at the end of an episode. It does where the end is the second step of the
#    window or a later one. But the flag of the window's first step is not looked at: a final transition goes on with the rewards of the
#    next episode, leads into it, and is not done. So no buffer row says what the final step alone was worth. An end by the time limit
#    is not a flag of this buffer at all, so there every window near the end runs on.
# 2. train_off_policy. A good guess: with one environment (gymnasium.make) each row is a step of it. But it resets in the step after an
#    end, as vector environments do, and stores that, too: an action that was ignored and a reward of 0 lead from the last observation to the
#    next start, and done is 0. Pendulum-v1, whose rewards are negative, has its best reward there.
# Nothing warns. (Its algorithms import peft, which pip does not install with it.)
#
# Run: bash findings/agilerl_replay_joins_episodes.sh    (needs the package index; a quarter of an hour, 3 GB in a temporary folder)
# Output seen. First two episodes of four steps, observed as 0 to 4 and 10 to 14, reward 1, gamma 0.5, n = 3, final states; then Pendulum-v1 with
# episodes of 10 steps, whose angle moves by 0.05 times the new velocity in a step:
#     obs [0.0, 1.0, 2.0, 3.0, 10.0, 11.0]; reward [1.75, 1.75, 1.5, 1.75, 1.75, 1.75]; next_obs [3.0, 4.0, 4.0, 12.0, 13.0, 14.0]; done [0.0, 1.0, 1.0, 0.0, 0.0, 1.0]
#     44 rows; a reward of 0 in [10, 21, 32, 43], a jump in [10, 21, 32, 43]; done: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install agilerl==2.58.0 tensordict==0.13.0 torch==2.13.0 gymnasium==1.4.0 numpy==2.4.6 peft==0.21.0 transformers==5.14.1
cd "$folder"
cat > ask.py <<'PYTHON'
import gymnasium
import torch
from agilerl.algorithms import DDPG
from agilerl.components.replay_buffer import MultiStepReplayBuffer, ReplayBuffer
from agilerl.training.train_off_policy import train_off_policy
from tensordict import TensorDict

steps = MultiStepReplayBuffer(max_size=20, n_step=3, gamma=0.5)
for start in (0, 10):
    for step in range(4):
        row = {"obs": start + step, "action": 0, "reward": 1, "next_obs": start + step + 1, "done": step == 3}
        steps.add(TensorDict({name: torch.tensor([[float(value)]]) for name, value in row.items()}, batch_size=[1]))
rows = steps.storage[: steps.size]
rows = {name: rows[name][:, 0].tolist() for name in ("obs", "reward", "next_obs", "done")}
print("; ".join(f"{name} {values}" for name, values in rows.items()))
assert rows["obs"] == [0, 1, 2, 3, 10, 11]  # the final step is the fourth; in truth its row is 1, 4 and 1
assert (rows["reward"], rows["next_obs"]) == ([1.75, 1.75, 1.5, 1.75, 1.75, 1.75], [3, 4, 4, 12, 13, 14])
assert rows["done"] == [0, 1, 1, 0, 0, 1]

ROWS = 44
env = gymnasium.make("Pendulum-v1", max_episode_steps=10)
memory = ReplayBuffer(max_size=200)
agent = DDPG(env.observation_space, env.action_space, batch_size=1000)
train_off_policy(
    env, "Pendulum-v1", "DDPG", [agent], memory, max_steps=ROWS, evo_steps=ROWS, eval_steps=5, verbose=False
)
rows = memory.storage[: memory.size]
angle, following = (torch.atan2(rows[name][:, 1], rows[name][:, 0]) for name in ("obs", "next_obs"))
moved = following - angle - 0.05 * rows["next_obs"][:, 2]
jumps = (torch.sin(moved / 2).abs() > 1e-3).nonzero().flatten().tolist()
still = (rows["reward"][:, 0] == 0).nonzero().flatten().tolist()
print(f"{memory.size} rows; a reward of 0 in {still}, a jump in {jumps}; done: {int(rows['done'].sum())}")
assert memory.size == ROWS and jumps == still == [10, 21, 32, 43] and not rows["done"].any()
PYTHON
WANDB_MODE=disabled "$folder/venv/bin/python" -W ignore ask.py > out 2> errors || { cat out errors; exit 1; }
grep -E "^obs|rows;" out
