#!/usr/bin/env bash
# skrl 2.1.1: of a gymnasium vector environment its trainer stores resets as transitions, another kind in each autoreset mode.
#
# A good guess: wrap_env(gymnasium.make_vec(...)) and SequentialTrainer store what happened, as with one environment. But neither of them
# looks at the autoreset mode. In NEXT_STEP (gymnasium's default) the step after each end only resets: the row has an action that was
# ignored, a reward of 0, and leads from the last state of an episode to the start of the next. It is not terminated, so the
# critic bootstraps across it. In SAME_STEP the last row of every episode has the next start as its next observation, and the
# true one, in info["final_obs"], is not read: at a time limit the critic bootstraps from a start. Short episodes have most of it: here one
# row of eleven, or of ten. The memory of SAC keeps no `truncated`, so that the rows cannot be found in it by a flag. Nothing warns.
# One environment (gymnasium.make) stores what happened.
#
# Run: bash findings/skrl_learns_from_resets.sh    (needs the package index; two minutes, 1 GB in a temporary folder)
# Output seen: Pendulum-v1 with episodes of 10 steps, whose angle moves by 0.05 times the new velocity in a step:
#     NEXT_STEP: 44 rows, 4 with a reward of 0, of which 4 jump to a start; terminated: 0
#     SAME_STEP: 44 rows, 0 with a reward of 0; next observations at the 4 ends that are the next row's start: 4; terminated: 0
#     one environment: 44 rows, 0 with a reward of 0; next observations at the 4 ends that are the next row's start: 0; terminated: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install skrl==2.1.1 torch==2.13.0 gymnasium==1.4.0 numpy==2.4.6
cd "$folder"
cat > ask.py <<'PYTHON'
import gymnasium
import torch
from gymnasium.vector import AutoresetMode
from skrl.agents.torch.sac import SAC, SAC_CFG
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.trainers.torch import SequentialTrainer, SequentialTrainerCfg

EPISODE, ROWS = 10, 44


class Actor(GaussianMixin, Model):
    def __init__(self, env):
        Model.__init__(self, observation_space=env.observation_space, action_space=env.action_space, device="cpu")
        GaussianMixin.__init__(self, clip_actions=True)
        self.layer = torch.nn.Linear(self.num_observations, self.num_actions)
        self.deviation = torch.nn.Parameter(torch.zeros(self.num_actions))

    def compute(self, inputs, role):
        return self.layer(inputs["observations"]), {"log_std": self.deviation}


class Critic(DeterministicMixin, Model):
    def __init__(self, env):
        Model.__init__(self, observation_space=env.observation_space, action_space=env.action_space, device="cpu")
        DeterministicMixin.__init__(self)
        self.layer = torch.nn.Linear(self.num_observations + self.num_actions, 1)

    def compute(self, inputs, role):
        return self.layer(torch.cat([inputs["observations"], inputs["taken_actions"]], dim=-1)), {}


def stored(env):
    """What SAC's memory holds after random actions, of the first environment."""
    env = wrap_env(env)
    memory = RandomMemory(memory_size=ROWS, num_envs=env.num_envs, device="cpu")
    critics = ("critic_1", "critic_2", "target_critic_1", "target_critic_2")
    settings = SAC_CFG(random_timesteps=ROWS, learning_starts=ROWS)
    settings.experiment.write_interval = settings.experiment.checkpoint_interval = 0
    agent = SAC(
        models={"policy": Actor(env), **{name: Critic(env) for name in critics}}, memory=memory, cfg=settings, device="cpu",
        observation_space=env.observation_space, state_space=None, action_space=env.action_space,
    )
    how = SequentialTrainerCfg(timesteps=ROWS, headless=True, disable_progressbar=True)
    SequentialTrainer(env=env, agents=agent, cfg=how).train()
    assert "truncated" not in memory.get_tensor_names()
    return [memory.get_tensor_by_name(n)[:, 0] for n in ("observations", "next_observations", "rewards", "terminated")]


def angle(observations):
    return torch.atan2(observations[:, 1], observations[:, 0])


def vector(mode):
    return gymnasium.make_vec(
        "Pendulum-v1", 2, vectorization_mode="sync", max_episode_steps=EPISODE, vector_kwargs={"autoreset_mode": mode}
    )


found = []
for name, env in (
    ("NEXT_STEP", vector(AutoresetMode.NEXT_STEP)),
    ("SAME_STEP", vector(AutoresetMode.SAME_STEP)),
    ("one environment", gymnasium.make("Pendulum-v1", max_episode_steps=EPISODE)),
):
    observations, following, rewards, terminated = stored(env)
    still = rewards.flatten() == 0
    line = f"{name}: {ROWS} rows, {int(still.sum())} with a reward of 0"
    if name == "NEXT_STEP":
        moved = angle(following) - angle(observations) - 0.05 * following[:, 2]
        jump = torch.sin(moved / 2).abs() > 1e-3
        assert not jump[~still].any()
        jumps = int(jump[still].sum())
        line += f", of which {jumps} jump to a start"
        found.append((int(still.sum()), jumps))
    else:
        ends = torch.arange(EPISODE - 1, ROWS - 1, EPISODE)
        same = int((following[ends] == observations[ends + 1]).all(1).sum())
        line += f"; next observations at the {len(ends)} ends that are the next row's start: {same}"
        found.append((int(still.sum()), same))
    print(f"{line}; terminated: {int(terminated.sum())}")
    assert not terminated.any()
assert found == [(4, 4), (0, 4), (0, 0)], found
PYTHON
"$folder/venv/bin/python" -W ignore ask.py 2> errors || { cat errors; exit 1; }
