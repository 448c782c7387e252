"""scripts/export_policy.py: flags, names of files, and what is refused."""

import numpy as np
import torch

import rlopt

from ..policy_files import build, pendulum, save

EXPORT = "export_policy.py"


def test_a_seed_is_exported_beside_the_model(tmp_path, call):
    path = pendulum(tmp_path)
    code, out, err = call(EXPORT, path, "--format", "numpy", "--policy-seed", 44)
    assert (code, err) == (0, "")
    assert out.startswith(
        f"SAC of Pendulum-v1, seed 44: {tmp_path / 'pendulum_seed44.npz'}\nCompared with the policy on 1,000 "
    )
    weight = rlopt.load_policy(path, 44).policy.actor.mlp.layers[0].weight[0].detach()
    np.testing.assert_array_equal(np.load(tmp_path / "pendulum_seed44.npz")["weight_0"], weight)


def test_the_best_policy_and_another_file_and_environment(tmp_path, call, counter_env):
    best = build().policy.actor.state_dict()
    best["mlp.layers.2.bias"] += 1
    path = save(tmp_path / "m.pt", build(), best_actor=best, best_seed=43)
    code, _, err = call(
        EXPORT, path, "--format", "numpy", "--best", "--output", tmp_path / "a" / "b.npz", "--env", counter_env
    )
    assert code == 0, err
    file = np.load(tmp_path / "a" / "b.npz")
    np.testing.assert_array_equal(file["bias_2"], best["mlp.layers.2.bias"][1, 0, :2])
    assert file["action_high"].tolist() == [3, 10]
    assert str(file["env_id"]) == counter_env


def test_a_model_of_one_seed_has_none_in_the_name(tmp_path, call):
    path = save(tmp_path / "bc_policy_seed44.pt", build("bc", num_seeds=1), seeds=[44])
    assert call(EXPORT, path, "--format", "numpy")[0] == 0
    assert (tmp_path / "bc_policy_seed44.npz").exists()


def test_wrong_input_is_a_sentence(tmp_path, call):
    path = pendulum(tmp_path)
    before = path.read_bytes()
    for flags, sentence in (
        ((path, "--seed", 9), "has no policy of seed 9: it has 42, 43, 44."),
        ((path, "--best"), "only files of step 1 have (leave out best)."),
        ((path, "--output", path), "is the model itself: choose another --output."),
        ((tmp_path / "no.pt",), "Model not found: "),
        ((path, "--env", "MountainCarContinuous-v0"), "MountainCarContinuous-v0 has 2 and 1."),
    ):
        code, out, err = call(EXPORT, *flags, "--format", "numpy")
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert sentence in err
    assert path.read_bytes() == before
    assert torch.load(path)["kind"] == "sac"
    assert [path.name for path in tmp_path.iterdir()] == ["pendulum.pt"]
