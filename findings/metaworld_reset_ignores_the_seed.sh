#!/usr/bin/env bash
# Meta-World 3.1.1: three things that its gymnasium environments do to demonstrations and evaluations.
#
# 1. reset(seed) decides nothing. A good guess: reset(seed=0) gives the same start each time, as gymnasium's documentation has it, and
#    evaluations by the same list of seeds play the same starts. But the goal and the object's place are the next draw of a generator that `seed` of
#    gym.make began; without that, of one that nobody began. And make_vec with a seed gives it to every copy: they play the same episodes,
#    whatever seeds reset() is given. With a deterministic policy, E copies record one demonstration E times. Nothing warns.
#    What works: env.unwrapped.seed(seed) before each reset().
# 2. The observation space says that the goal, the last three numbers, is 0 to 0: it was made before the task was set. No observation lies in it,
#    and one that is clipped to it has lost its goal.
# 3. A good guess: the actions of its scripted policies lie in the action space. They go up to eleven times as far (one to ninety-nine
#    in a hundred of them, by the task). The environment clips them and says nothing, so the episode is that of the clipped actions. But a
#    recording of what the policy gave has targets that no policy with bounds can reach. What works: clip them before they are recorded.
#
# Run: bash findings/metaworld_reset_ignores_the_seed.sh    (needs the package index; two minutes, 1 GB in a temporary folder)
# Output seen:
#     goals of reset(seed=0), three times: 0.085, -0.067, -0.093; with unwrapped.seed(0) before: 0.085, 0.085, 0.085
#     three copies, reset(seed=[0, 1, 2]): 0.085, 0.085, 0.085; again, later: -0.067, -0.067, -0.067
#     goal [0.085, 0.883, 0.292], in a space from [0.0, 0.0, 0.0] to [0.0, 0.0, 0.0]
#     reach-v3: 7 of 500 actions out of the space, up to 1.1; clipped, the same observations: True
#     door-open-v3: 496 of 500 actions out of the space, up to 5.8; clipped, the same observations: True
#     window-open-v3: 398 of 500 actions out of the space, up to 7.9; clipped, the same observations: True
#     button-press-topdown-v3: 67 of 500 actions out of the space, up to 11.1; clipped, the same observations: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install metaworld==3.1.1 gymnasium==1.4.0 mujoco==3.3.0 numpy==2.4.6 packaging==26.4
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium as gym
import metaworld  # registers the environments
import numpy as np
from metaworld.policies import ENV_POLICY_MAP


def made(task="reach-v3"):
    return gym.make("Meta-World/MT1", env_name=task, seed=0)


def goals(observations):
    """The first coordinate of each goal."""
    return [round(float(observation[-3]), 3) for observation in observations]


def said(numbers):
    return ", ".join(map(str, numbers))


def seeded(env, seed):
    env.unwrapped.seed(seed)
    return env.reset()[0]


env = made()
by_reset = goals(env.reset(seed=0)[0] for _ in range(3))
by_seed = goals(seeded(env, 0) for _ in range(3))
print(f"goals of reset(seed=0), three times: {said(by_reset)}; with unwrapped.seed(0) before: {said(by_seed)}")
assert len(set(by_reset)) == 3 and by_seed == [by_reset[0]] * 3

copies = gym.make_vec("Meta-World/MT1", num_envs=3, vectorization_mode="sync", env_name="reach-v3", seed=0)
first, second = (goals(copies.reset(seed=[0, 1, 2])[0]) for _ in range(2))
print(f"three copies, reset(seed=[0, 1, 2]): {said(first)}; again, later: {said(second)}")
assert first == by_reset[:1] * 3 and second == by_reset[1:2] * 3

space, observation = env.observation_space, seeded(env, 0)
goal, low, high = (vector[-3:].round(3).tolist() for vector in (observation, space.low, space.high))
print(f"goal {goal}, in a space from {low} to {high}")
assert all(goal) and not any(low) and not any(high) and not space.contains(observation)


def episode(env, policy, clipped):
    """The policy's actions and the observations of one episode."""
    observations, actions, truncated = [seeded(env, 1)], [], False
    while not truncated:
        actions.append(policy.get_action(observations[-1]))
        observation, _, terminated, truncated, _ = env.step(np.clip(actions[-1], -1, 1) if clipped else actions[-1])
        observations.append(observation)
        assert not terminated
    return np.array(actions), np.array(observations)


for task, count, most in (
    ("reach-v3", 7, 1.1),
    ("door-open-v3", 496, 5.8),
    ("window-open-v3", 398, 7.9),
    ("button-press-topdown-v3", 67, 11.1),
):
    env, policy = made(task), ENV_POLICY_MAP[task]()
    (actions, observations), (_, again) = episode(env, policy, False), episode(env, policy, True)
    assert (env.action_space.low == -1).all() and (env.action_space.high == 1).all()
    out, furthest = int((abs(actions) > 1).any(1).sum()), round(float(abs(actions).max()), 1)
    same = bool((observations == again).all())
    print(f"{task}: {out} of {len(actions)} actions out of the space, up to {furthest}; clipped, the same observations: {same}")
    assert abs(out - count) <= 20 and abs(furthest - most) < 0.5 and same
PYTHON
