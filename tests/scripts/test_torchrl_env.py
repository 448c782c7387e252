"""A TorchRL environment in a module of one's own through all four steps, and what is wrong with one in a sentence."""

import json

import pytest
import torch

from .shared import BC, COLLECT, COMPARE, IPMD, SMALL, only

ENV = ["--env", "torchrl:tests.envs.torchrl_tasks:pendulum", "--max-episode-steps", "20"]
QUIET = ["--device", "cpu", "--no-wandb", "--no-progress"]
FEW = ["--eval-points", 1, "--eval-episodes", 2]


@pytest.mark.pictures
def test_all_steps_take_it(workplace, call):
    budget = [*SMALL, "--frames", 320, *FEW, *QUIET]
    code, _, err = call(COLLECT, *ENV, *budget, "--episodes", 3)
    assert code == 0, err
    run = only((workplace / "logs" / "sac" / "pendulum").iterdir())
    config = json.loads((run / "config.json").read_text())["config"]
    assert (config["env"], config["max_episode_steps"]) == (ENV[1], 20)
    demonstrations = workplace / "expert_data" / "pendulum" / "expert_buffer.pt"
    recorded = torch.load(demonstrations, weights_only=True)
    assert recorded["episode_lengths"].tolist() == [20] * 3
    assert [recorded["spec"][name].tolist() for name in ("action_low", "action_high")] == [[-2], [2]]

    # the demonstrations name their environment
    for script, flags in (
        (IPMD, [*budget, "--expert-batch-size", 32]),
        (BC, ["--epochs", 2, "--num-seeds", 2, *QUIET]),
    ):
        code, _, err = call(script, demonstrations, *flags, "--demos", 2)
        assert code == 0, err

    code, _, err = call(
        COMPARE,
        *(*ENV, *SMALL, *FEW, *QUIET, "--expert-data", demonstrations, "--ipmd-frames", 320, "--bc-epochs", 1),
        *("--demos", 2),
    )
    assert code == 0, err
    assert (workplace / "comparison_results" / "pendulum" / "comparison.png").exists()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (ENV[:2], "has no time limit that rlopt sees"),
        (["--env", "torchrl:pendulum"], "must be torchrl:module:factory"),
        (["--env", "torchrl:no_module:pendulum"], "the module 'no_module' cannot be imported"),
        ([*ENV, "--env-kwargs", "gravity=1"], "unexpected keyword argument 'gravity'"),
        (["--env", "torchrl:torchrl.envs:AntEnv", "--max-episode-steps", 40], "does not import beside MuJoCo 4"),
        ([*ENV, "--frames", 18, "--warmup-frames", 10], "too few for one whole episode"),
        ([*ENV, "--frames", 600, "--warmup-frames", 100, "--env-workers", 2], "--env-workers is for gymnasium's"),
    ],
)
def test_what_is_wrong_with_it_is_one_sentence(workplace, refused, flags, sentence):
    assert sentence in refused(COLLECT, *flags)
