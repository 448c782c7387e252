#!/usr/bin/env bash
# SuperSuit 3.11.0 (PettingZoo 1.27.0, stable-baselines3 2.9.2): a time limit of a parallel environment is a final state to
# stable-baselines3.
#
# A good guess: PettingZoo says `terminated` and `truncated` apart, so that SAC or PPO on concat_vec_envs_v1(..., base_class="stable_baselines3")
# bootstrap from the last observation where the time limit cut an episode off, as they do on the environment of one agent. But the wrapper
# hands out `done` alone and does not set info["TimeLimit.truncated"], by which stable-baselines3 tells the two apart. So `timeouts`
# of the replay buffer is 0 everywhere, and a target at the time limit is the reward alone: a task without final states, with
# rewards below zero, seems to become good by waiting for its end. The last observation itself is right (`terminal_observation`). Nothing
# warns. The vector environment below the wrapper still says `truncated`: setting the info from it helps, as the third line shows.
#
# Run: bash findings/supersuit_time_limit_is_a_final_state.sh    (needs the package index; some minutes, 1 GB in a temporary folder)
# Output seen, of SAC's replay buffer after 30 steps, episodes of 10 that never terminate:
#     gymnasium's environment: 3 ends, 3 timeouts, 0 rows without a bootstrap
#     SuperSuit's: 3 ends, 0 timeouts, 3 rows without a bootstrap
#     SuperSuit's, with the info set: 3 ends, 3 timeouts, 0 rows without a bootstrap
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install supersuit==3.11.0 pettingzoo==1.27.0 mpe2==1.1.1 stable-baselines3==2.9.2 gymnasium==1.4.0 torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium
import numpy as np
import supersuit
from mpe2 import simple_v3
from stable_baselines3 import SAC

EPISODES, STEPS = 3, 10


def parallel():
    """One agent that walks to a landmark; episodes end at the time limit alone."""
    env = simple_v3.parallel_env(continuous_actions=True, max_cycles=STEPS)
    venv = supersuit.pettingzoo_env_to_vec_env_v1(env)
    return supersuit.concat_vec_envs_v1(venv, 1, num_cpus=0, base_class="stable_baselines3")


def with_info(envs):
    """The same, with the info that stable-baselines3 reads."""
    inner = envs.venv
    step_wait = inner.step_wait

    def saying():
        observations, rewards, terminated, truncated, infos = step_wait()
        for info, final, cut in zip(infos, terminated, truncated):
            info["TimeLimit.truncated"] = bool(cut and not final)
        return observations, rewards, terminated, truncated, infos

    inner.step_wait = saying
    return envs


def say(name, envs):
    model = SAC("MlpPolicy", envs, learning_starts=1000, buffer_size=100, device="cpu")
    model.learn(EPISODES * STEPS)
    buffer = model.replay_buffer
    without = buffer._get_samples(np.arange(buffer.pos)).dones
    found = [int(x.sum()) for x in (buffer.dones, buffer.timeouts, without)]
    print("{}: {} ends, {} timeouts, {} rows without a bootstrap".format(name, *found))
    return found


one = gymnasium.make("Pendulum-v1", max_episode_steps=STEPS)
assert say("gymnasium's environment", one) == [EPISODES, EPISODES, 0]
assert say("SuperSuit's", parallel()) == [EPISODES, 0, EPISODES]
assert say("SuperSuit's, with the info set", with_info(parallel())) == [EPISODES, EPISODES, 0]
PYTHON
