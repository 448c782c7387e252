#!/usr/bin/env bash
# OGBench 1.2.2 (gymnasium 1.4.0): three things that its environments do to recorded episodes.
#
# 1. A good guess: `terminated`, the reward and info["success"] of step() are those of the observation that step() returns. In the goal-conditioned
#    environments they are. In those of one task (singletask) they are those of the state before the action: arriving pays as little as
#    failing, the episode goes on for one more action, and that action pays. So the last observation lies beyond the arrival, perhaps outside of
#    the goal again; and who arrives in the last step of the time limit has a failure, truncated. A reward that is computed from next observations
#    (hindsight, a learned reward, a success rate from states) is one step off. The classes have an option success_timing, the registered names set it.
# 2. A good guess: reset(seed=0) gives one start. In the mazes the place, the goal and the task are drawn from numpy's global generator, so the same
#    seed starts up to two metres apart, and of a goal-conditioned environment has another task. np.random.seed before reset() decides them.
# 3. A good guess: the observation after a step into a teleport is that at its exit, for the agent is there. It is the one at the entrance.
#    The jump is seen a step later, mixed with the next action, which was chosen at the entrance and takes effect at the exit.
# Nothing warns.
#
# Run: bash findings/ogbench_ends_a_step_late.sh    (needs the package index; two minutes, 600 MB in a temporary folder)
# Output seen. The agent walks to the goal, which is reached at a distance of 1; then resets with seed 0, and a step into a teleport:
#     pointmaze-medium-v0: within the goal for 1 observation, reward 1, terminated; with one step less: distance 1.11, reward 0, truncated
#     pointmaze-medium-singletask-task3-v0: within the goal for 2 observations, reward 0, terminated; with one step less: distance 0.96, reward -1, truncated
#     starts of one task with seed 0: 10 different ones of 10, up to 2.1 apart; tasks with seed 0: 1, 2, 3, 4, 5
#     into the teleport: observed at x = 18.7, is at x = 24.0; next observation, after an action of 0: x = 24.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install ogbench==1.2.2 gymnasium==1.4.0 mujoco==4.0.0 dm_control==1.0.50 numpy==2.4.6
cd "$folder"
MUJOCO_GL=egl "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import gymnasium
import numpy as np
import ogbench  # registers the environments


def walk(name, limit=1000):
    """Distances from the goal after each step, and reward and flags of the last one."""
    np.random.seed(0)
    env = gymnasium.make(name, max_episode_steps=limit)
    env.reset(seed=0, options={"task_id": 3})
    maze, distances, over = env.unwrapped, [], False
    while not over:
        here, goal = maze.get_xy(), np.array(maze.cur_goal_xy)
        way = (goal if np.linalg.norm(goal - here) < 2.5 else maze.get_oracle_subgoal(here, goal)[0]) - here
        observation, reward, terminated, truncated, _ = env.step(np.float32(way / np.linalg.norm(way)))
        distances.append(np.linalg.norm(observation - goal))
        over = terminated or truncated
    return np.array(distances), reward, terminated


for name, count in (("pointmaze-medium-v0", 1), ("pointmaze-medium-singletask-task3-v0", 2)):
    far, reward, terminated = walk(name)
    short, less, cut = walk(name, len(far) - 1)
    print(f"{name}: within the goal for {sum(far <= 1)} observation{'s' * (count > 1)}, reward {reward:.0f}, {'terminated' if terminated else 'truncated'};",
          f"with one step less: distance {short[-1]:.2f}, reward {less:.0f}, {'terminated' if cut else 'truncated'}")
    assert sum(far <= 1) == count and terminated and not cut and (short[-1] <= 1) == (count == 2) and less == reward - 1

np.random.seed(0)
env = gymnasium.make("pointmaze-medium-singletask-v0")
starts = np.array([env.reset(seed=0)[0] for _ in range(10)])
apart = np.linalg.norm(starts[:, None] - starts, axis=-1).max()
env = gymnasium.make("pointmaze-teleport-v0")
tasks = {env.reset(seed=0) and env.unwrapped.cur_task_id for _ in range(40)}
print(f"starts of one task with seed 0: {len(np.unique(starts, axis=0))} different ones of 10, up to {apart:.1f} apart;",
      "tasks with seed 0:", ", ".join(map(str, sorted(tasks))))
assert apart > 1 and tasks == {1, 2, 3, 4, 5}

env.reset(seed=0)
x, y = env.unwrapped._teleport_info["teleport_in_xys"][0]
env.unwrapped.set_xy(np.array([x - 1.6, y]))  # in front of it
seen, there = env.step(np.array([1, 0], np.float32))[0], env.unwrapped.get_xy()
later = env.step(np.zeros(2, np.float32))[0]
print(f"into the teleport: observed at x = {seen[0]:.1f}, is at x = {there[0]:.1f}; next observation, after an action of 0: x = {later[0]:.1f}")
assert np.linalg.norm(seen - [x, y]) < 2 < np.linalg.norm(there - seen) and np.allclose(later, there)
PYTHON
