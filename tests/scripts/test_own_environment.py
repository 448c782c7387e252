"""An environment of one's own, in a module of one's own, with keyword arguments and a time limit, through all four steps."""

import json

import pytest
import torch

from .shared import BC, COLLECT, COMPARE, IPMD, SMALL, only

MODULE = """
import gymnasium as gym
import numpy as np


class Push(gym.Env):
    observation_space = gym.spaces.Dict({"speed": gym.spaces.Box(-9, 9, (1,)), "place": gym.spaces.Box(-9, 9, (1,))})
    action_space = gym.spaces.Box(-2.0, 2.0, (1,))

    def __init__(self, goal=0.0, name="none"):
        self.goal, self.name = goal, name

    def look(self):
        return {"speed": np.float32([self.v]), "place": np.float32([self.x])}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.v = self.np_random.uniform(-1, 1), 0.0
        return self.look(), {}

    def step(self, action):
        self.v = 0.9 * self.v + 0.1 * float(action[0])
        self.x += self.v
        return self.look(), -abs(self.x - self.goal), False, False, {}


gym.register("own/Push-v0", entry_point=Push)
"""
ENV = ["--env", "own_module:own/Push-v0", "--env-kwargs", "goal=0.5", "name=red", "--max-episode-steps", "40"]
NAME = "own/Push-v0_goal=0.5_name=red"
QUIET = ["--device", "cpu", "--no-wandb", "--no-progress"]
FEW = ["--eval-points", 1, "--eval-episodes", 2]


@pytest.fixture
def own(workplace, monkeypatch):
    (workplace / "own_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(workplace))
    return workplace


@pytest.mark.pictures
def test_all_steps_take_it(own, call):
    budget = [*SMALL, "--frames", 320, *FEW, *QUIET]
    code, _, err = call(COLLECT, *ENV, *budget, "--episodes", 3)
    assert code == 0, err
    demonstrations = own / "expert_data" / NAME / "expert_buffer.pt"
    run = only((own / "logs" / "sac" / NAME).iterdir())
    data = torch.load(demonstrations, weights_only=True)
    assert ("no better than that of random actions" in err) == (data["expert_return"] <= data["random_return"])
    config = json.loads((run / "config.json").read_text())["config"]
    assert config["env"] == "own_module:own/Push-v0"
    assert config["env_kwargs"] == {"goal": 0.5, "name": "red"}
    assert config["max_episode_steps"] == 40
    model = torch.load(run / "sac_expert.pt", weights_only=True)
    assert (model["env_kwargs"], model["max_episode_steps"]) == ({"goal": 0.5, "name": "red"}, 40)

    # the demonstrations name their environment, with what it was made with
    for script, flags in (
        (IPMD, [*budget, "--expert-batch-size", 32]),
        (BC, ["--epochs", 2, "--num-seeds", 2, *QUIET]),
    ):
        code, _, err = call(script, demonstrations, *flags, "--demos", 2)
        assert code == 0, err
    config = json.loads((only((own / "logs" / "ipmd" / NAME).iterdir()) / "config.json").read_text())["config"]
    assert (config["env_kwargs"], config["max_episode_steps"]) == ({"goal": 0.5, "name": "red"}, 40)

    code, _, err = call(
        COMPARE,
        *(*ENV, *SMALL, *FEW, *QUIET, "--expert-frames", 320, "--ipmd-frames", 320, "--bc-epochs", 1, "--demos", 2),
    )
    assert code == 0, err
    assert (own / "comparison_results" / NAME / "comparison.png").exists()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--env", "own_module:own/Push-v0"], "has no time limit"),
        (["--env", "own_module:own/Pusch-v0", "--max-episode-steps", 40], "cannot be made"),
        (["--env", "no_module:own/Push-v0", "--max-episode-steps", 40], "the module 'no_module' cannot be imported"),
        ([*ENV[:2], "--max-episode-steps", 40, "--env-kwargs", "goal"], "--env-kwargs takes key=value"),
        ([*ENV[:2], "--max-episode-steps", 40, "--env-kwargs", "gaol=1"], "unexpected keyword argument 'gaol'"),
    ],
)
def test_what_is_wrong_with_it_is_one_sentence(own, refused, flags, sentence):
    assert sentence in refused(COLLECT, *flags)


def test_keyword_arguments_need_their_environment(own, refused):
    assert "need --env" in refused(IPMD, "data/expert_buffer.pt", "--env-kwargs", "goal=1")
