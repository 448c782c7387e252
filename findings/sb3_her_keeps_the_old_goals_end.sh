#!/usr/bin/env bash
# stable-baselines3 2.9.2: HerReplayBuffer gives a transition a new goal and a new reward, but leaves it the end of its old goal.
#
# A good guess: with a new goal all that depends on the goal is computed anew: the reward by compute_reward, and for an environment whose
# episodes end at the goal whether the episode is over, by compute_terminated (of gymnasium-robotics' interface of goal environments) or from the
# reward. But `dones` of a virtual transition is what was recorded for the real goal, and compute_terminated is never called. A transition that
# reaches its new goal in the middle of an episode is not the last one, so the critic bootstraps across the goal as if it could be
# reached again. With a reward of 1 at the goal, whose true value is 1, values rise towards that of reaching it for ever. Nothing warns.
# An environment whose episodes go on at the goal until the time limit (the Fetch tasks) is learned as it is.
#
# Run: bash findings/sb3_her_keeps_the_old_goals_end.sh    (needs the package index; some minutes, 1 GB in a temporary folder)
# Output seen: the library's BitFlippingEnv, reward 1 at the goal, which ends the episode; gamma 0.9. The last column is the learned value of
# the action that reaches the goal, 1 in truth; reaching it every second step for ever is worth 5.3.
#     HerReplayBuffer: over at the goal: real 100%, virtual 43%; value 4.7
#     with the new goal's end: over at the goal: real 100%, virtual 100%; value 1.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install stable-baselines3==2.9.2 torch==2.13.0 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import torch
from stable_baselines3 import DQN, HerReplayBuffer
from stable_baselines3.common.envs import BitFlippingEnv

BITS, SAMPLE = 3, 10_000


class Flip(BitFlippingEnv):
    """Flip bits until they are the goal's: 1 and the end there, 0 before."""

    asked = 0

    def compute_reward(self, achieved_goal, desired_goal, info):
        return super().compute_reward(achieved_goal, desired_goal, info) + 1

    def compute_terminated(self, achieved_goal, desired_goal, info):
        Flip.asked += 1
        return self.compute_reward(achieved_goal, desired_goal, info) == 1

    def step(self, action):
        observation, reward, _, truncated, info = super().step(action)
        return observation, reward, reward == 1, truncated, info


class Ended(HerReplayBuffer):
    """The same, with the end of the new goal."""

    def _get_virtual_samples(self, batch_indices, env_indices, env=None):
        rows = super()._get_virtual_samples(batch_indices, env_indices, env)
        return rows._replace(dones=(rows.rewards == 1).float())


def say(name, buffer_class):
    model = DQN(
        "MultiInputPolicy", Flip(n_bits=BITS, max_steps=2 * BITS), replay_buffer_class=buffer_class, gamma=0.9, seed=0,
        learning_starts=100, train_freq=1, target_update_interval=100, exploration_fraction=1.0,
        exploration_final_eps=0.3, learning_rate=1e-3, device="cpu",
    )
    model.learn(4000)
    buffer = model.replay_buffer
    rows = buffer.sample(SAMPLE)
    real = SAMPLE - int(buffer.her_ratio * SAMPLE)  # these come first
    reached, over = (rows.rewards[:, 0] == 1).numpy(), (rows.dones[:, 0] == 1).numpy()
    shares = [over[part][reached[part]].mean() for part in (slice(real), slice(real, None))]
    values = []
    for number in range(2**BITS):
        goal = np.array([number >> bit & 1 for bit in range(BITS)])
        for bit in range(BITS):
            state = goal.copy()
            state[bit] = 1 - state[bit]
            observation = {"observation": state, "achieved_goal": state, "desired_goal": goal}
            with torch.no_grad():
                values.append(model.q_net(model.policy.obs_to_tensor(observation)[0])[0, bit].item())
    value = float(np.mean(values))
    print("{}: over at the goal: real {:.0%}, virtual {:.0%}; value {:.1f}".format(name, *shares, value))
    return *shares, value


torch.set_num_threads(1)
real, virtual, value = say("HerReplayBuffer", HerReplayBuffer)
assert real == 1 and 0.2 < virtual < 0.7 and value > 2, (real, virtual, value)
real, virtual, value = say("with the new goal's end", Ended)
assert real == virtual == 1 and 0.7 < value < 1.3, (real, virtual, value)
assert Flip.asked == 0
PYTHON
