"""Flags that are refused: environments, counts, devices and folders that will not do (DESIGN section 6)."""

from pathlib import Path

import pytest
import torch

from .shared import replace_training
from .shared_errors import ALL, BC_SCRIPT, COLLECT, COMPARE, EXPERT, FRAMES_FLAG, IPMD_SCRIPT, command, files

pytestmark = pytest.mark.usefixtures("workplace")


# -------------------------------------------------------------------------------------------------------- environments


@pytest.mark.parametrize("script", ALL)
@pytest.mark.parametrize(
    ("env_id", "words"),
    [
        ("CartPole-v1", ["CartPole-v1", "Discrete", "continuous"]),
        ("Pendulm-v1", ["Pendulm-v1", "Did you mean: `Pendulum`"]),
        ("Pendulum-v7", ["Pendulum-v7", "`v1`"]),
        ("Pendulum-v0", ["Pendulum-v0", "Please use `Pendulum-v1`"]),
        ("nowhere/Pendulum-v1", ["nowhere/Pendulum-v1", "Namespace nowhere not found"]),
        ("not an id", ["not an id", "Malformed"]),
    ],
)
def test_an_environment_that_will_not_do(script, env_id, words, refused):
    message = refused(*command(script, "--env", env_id))
    for word in words:
        assert word in message


# -------------------------------------------------------------------------------------------------------------- counts

ONLINE = ("--num-seeds", "--num-envs", "--batch-size", "--updates-per-frame", "--learning-rate", "--hidden-size")
COUNTS = {
    COLLECT: (*ONLINE, "--frames", "--warmup-frames", "--episodes"),
    IPMD_SCRIPT: (*ONLINE, "--frames", "--warmup-frames", "--expert-batch-size", "--subsample"),
    BC_SCRIPT: ("--epochs", "--batch-size", "--lr", "--num-seeds", "--eval-episodes", "--subsample"),
    COMPARE: (*ONLINE, "--expert-frames", "--ipmd-frames", "--warmup-frames", "--bc-epochs", "--demos"),
}


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize(("script", "flag"), [(script, flag) for script, flags in COUNTS.items() for flag in flags])
def test_a_count_that_is_not_positive_names_the_flag(script, flag, value, refused):
    message = refused(*command(script, flag, value)).replace("_", "-")
    name = {"--lr": "learning-rate"}.get(flag, flag.removeprefix("--"))
    assert name in message
    assert "positive" in message
    assert str(value) in message


@pytest.mark.parametrize(("script", "steps"), [(COLLECT, 200), (IPMD_SCRIPT, 20), (COMPARE, 200)])
def test_fewer_frames_than_an_episode(script, steps, refused):
    """Of the environment or, with demonstrations, of theirs."""
    flag = FRAMES_FLAG[script]
    message = refused(*command(script, flag, steps - 1, "--warmup-frames", 10))
    assert message.startswith(
        f"{steps - 1} frames are too few for one whole episode of Pendulum-v1 (up to {steps} steps)"
    )
    assert f"raise {flag}" in message


@pytest.mark.parametrize("script", [COLLECT, IPMD_SCRIPT, COMPARE])
@pytest.mark.parametrize("frames", [500, 700])  # no update could be made with either
def test_fewer_frames_than_the_warm_up(script, frames, refused):
    message = refused(*command(script, FRAMES_FLAG[script], frames, "--warmup-frames", 700))
    assert str(frames) in message
    assert "700" in message
    assert "warm-up" in message


@pytest.mark.parametrize("script", [COLLECT, IPMD_SCRIPT, COMPARE])
def test_a_negative_seed(script, refused):
    assert "seed" in refused(*command(script, "--seed", -1))


def test_a_negative_number_of_demonstrations_to_skip_before_an_expert_is_trained(refused):
    assert refused(COMPARE, "--skip-demos", -1) == "skip_demos must not be negative, and is -1."


@pytest.mark.parametrize("value", ["-0.5", "nan", "inf"])
@pytest.mark.parametrize("script", [IPMD_SCRIPT, BC_SCRIPT])
def test_noise_that_is_none(script, value, refused):
    message = refused(script, EXPERT, "--noise", value)
    assert "noise" in message
    assert value in message


@pytest.mark.parametrize("value", ["-0.5", "nan"])
def test_a_negative_inverse_eta(value, refused):
    assert "inverse_eta" in refused(IPMD_SCRIPT, EXPERT, "--inverse-eta", value)


@pytest.mark.parametrize("value", ["-0.5", "1.5", "nan"])
@pytest.mark.parametrize("flag", ["--lr-decay", "--anneal"])
@pytest.mark.parametrize("script", [COLLECT, IPMD_SCRIPT, COMPARE])
def test_a_share_of_decay_that_is_none(script, flag, value, refused):
    message = refused(*command(script, flag, value))
    assert "lr_decay must lie between 0 and 1" in message
    assert value in message


@pytest.mark.parametrize(("script", "flag", "value"), [(COLLECT, "--learning-rate", "nan"), (BC_SCRIPT, "--lr", "nan")])
def test_a_learning_rate_that_is_no_number(script, flag, value, refused):
    assert "learning_rate" in refused(*command(script, flag, value))


@pytest.mark.parametrize("script", ALL)
def test_words_where_a_number_belongs(script, call):
    before = files()
    code, out, err = call(*command(script, "--num-seeds", "five"))
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].endswith("error: argument --num-seeds: invalid int value: 'five'")
    assert files() == before


# ------------------------------------------------------------------------------------------------------------- devices


@pytest.mark.parametrize("script", ALL)
def test_a_cuda_device_that_does_not_exist(script, refused, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    message = refused(*command(script, "--device", "cuda:2"))
    assert "cuda:2" in message
    assert "cuda:0 to cuda:1" in message


@pytest.mark.parametrize("script", ALL)
@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:-1", "meta", ""])
def test_a_device_that_is_none(script, device, refused):
    message = refused(*command(script, "--device", device))
    assert f"--device {device}" in message or repr(device) in message
    assert "use cpu, cuda or cuda:0" in message


@pytest.mark.parametrize("script", ALL)
def test_cuda_out_of_memory_says_what_to_lower(script, call, monkeypatch):
    def train(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    replace_training(monkeypatch, train)
    code, _, err = call(*command(script, "--device", "cpu"))
    assert code == 2
    assert "Traceback" not in err
    message = err.splitlines()[-1]
    assert message.startswith("error: CUDA is out of memory")
    assert "--batch-size" in message
    assert "--expert-batch-size" in message


# ------------------------------------------------------------------------------------------------------ output folders


@pytest.mark.parametrize(
    ("script", "flag"),
    [(COLLECT, "--save-dir"), (COMPARE, "--save-dir"), *((script, "--log-dir") for script in ALL)],
)
@pytest.mark.parametrize("below", ["", "/deeper"])
def test_an_output_folder_that_cannot_be_written_to(script, flag, below, refused):
    Path("taken").write_text("a file where a folder should be")
    message = refused(*command(script, flag, f"taken{below}"))
    assert f"Cannot write to taken{below}" in message
    assert "choose another" in message
