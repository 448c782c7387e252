"""Files that are refused: demonstrations, checkpoints and models, each by what is wrong with it (DESIGN section 6)."""

import copy
import os
import pickle
from pathlib import Path

import pytest
import torch

from rlopt.agents import BC, IPMD
from rlopt.agents.saving import save_agent
from rlopt.config import BCConfig, IPMDConfig
from rlopt.envs.spec import env_spec

from .shared_errors import BC_SCRIPT, COLLECT, COMPARE, EXPERT, IPMD_SCRIPT, READERS, command

pytestmark = pytest.mark.usefixtures("workplace")


# ------------------------------------------------------------------------------------------------- demonstration files


@pytest.mark.parametrize("script", READERS)
def test_a_missing_file_names_the_script_that_makes_it(script, refused):
    message = refused(script, *READERS[script], "nowhere/expert_buffer.pt")
    assert message.startswith("Expert buffer not found: nowhere/expert_buffer.pt.")
    assert "scripts/01_collect_expert_data.py" in message


def with_change(change):
    """The good file's dict after `change`, written to `bad.pt`."""

    def write():
        state = copy.deepcopy(torch.load(EXPERT, weights_only=True))
        change(state)
        torch.save(state, "bad.pt")

    return write


def truncated():
    whole = Path(EXPERT).read_bytes()
    Path("bad.pt").write_bytes(whole[: len(whole) // 2])


def drop(*keys):
    def change(state):
        for key in keys[:-1]:
            state = state[key]
        del state[keys[-1]]

    return with_change(change)


def spoil(key, value, count):
    def change(state):
        state["transitions"][key].view(-1)[:count] = value

    return with_change(change)


def shorten(state):
    state["transitions"]["action"] = state["transitions"]["action"][:-1]


def flatten(state):
    state["transitions"]["observation"] = state["transitions"]["observation"].flatten()


def widen(state):
    """Says Pendulum-v1, and has five numbers an observation."""
    for key in ("observation", "next_observation"):
        state["transitions"][key] = torch.zeros(60, 5)
    state["spec"]["observation_size"] = 5


def scale(state):
    state["transitions"]["action"] *= 2


BAD_FILES = {
    "truncated": (truncated, ["damaged"]),
    "empty": (lambda: Path("bad.pt").write_bytes(b""), ["damaged"]),
    "a text": (lambda: Path("bad.pt").write_text("observation,action\n0,0\n"), ["damaged"]),
    "a folder": (lambda: Path("bad.pt").mkdir(), ["is a folder"]),
    "another dict": (lambda: torch.save({"mean": torch.zeros(3)}, "bad.pt"), ["not a file of demonstrations", COLLECT]),
    "a tensor": (lambda: torch.save(torch.zeros(3), "bad.pt"), ["not a file of demonstrations", COLLECT]),
    "the metadata": (lambda: Path("data/metadata.pt").rename("bad.pt"), ["'transitions' is missing"]),
    "of the future": (with_change(lambda state: state.update(version=2)), ["Version 2"]),
    "no action": (drop("transitions", "action"), ["'action' is missing"]),
    "no env_id": (drop("env_id"), ["'env_id' is missing"]),
    "no lengths": (drop("episode_lengths"), ["'episode_lengths' is missing"]),
    "short action": (with_change(shorten), ["'action'", "[60, 1]", "[59, 1]"]),
    "flat observation": (with_change(flatten), ["'observation'", "[180]"]),
    "NaN": (spoil("observation", float("nan"), 2), ["'observation'", "NaN", "2 of 180"]),
    "infinity": (spoil("reward", float("inf"), 1), ["'reward'", "infinity", "1 of 60"]),
    "unscaled": (with_change(scale), ["of 60 actions lie outside [-1, 1]"]),
    "wrong lengths": (
        with_change(lambda state: state.update(episode_lengths=torch.tensor([20, 20]))),
        ["'episode_lengths'", "60", "40"],
    ),
    "NaN return": (with_change(lambda state: state.update(expert_return=float("nan"))), ["'expert_return'", "nan"]),
    "other size than its environment": (with_change(widen), ["Pendulum-v1", "[5]", "[3]"]),
}


@pytest.mark.parametrize("script", READERS)
@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_refused_by_what_is_wrong_with_it(script, kind, refused):
    write, words = BAD_FILES[kind]
    write()
    message = refused(script, *READERS[script], "bad.pt")
    assert "bad.pt" in message
    for word in words:
        assert word in message


class Code:
    """Makes a file when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("script", READERS)
@pytest.mark.parametrize("save", [torch.save, lambda content, path: Path(path).write_bytes(pickle.dumps(content))])
def test_pickled_code_is_refused_and_not_run(script, save, refused):
    save({"format": "rlopt-demonstrations", "version": 1, "env_id": Code()}, "bad.pt")
    message = refused(script, *READERS[script], "bad.pt")
    assert not Path("executed").exists()
    assert "nothing in it was executed" in message
    torch.load("bad.pt", weights_only=False) if save is torch.save else pickle.loads(Path("bad.pt").read_bytes())
    assert Path("executed").exists()  # the file was loaded


@pytest.mark.parametrize("script", READERS)
def test_data_of_another_environment_shows_both_shapes(script, refused):
    message = refused(script, *READERS[script], EXPERT, "--env", "MountainCarContinuous-v0")
    for words in (
        "Pendulum-v1 (observation [3], action [1])",
        "MountainCarContinuous-v0",
        "observation [2], action [1]",
    ):
        assert words in message


@pytest.mark.parametrize("script", READERS)
@pytest.mark.parametrize("demos", [0, -1, 4])
def test_more_demonstrations_than_there_are_or_none(script, demos, refused):
    message = refused(script, *READERS[script], EXPERT, "--demos", demos)
    assert str(demos) in message
    assert "there are 3" in message or "demos must be positive" in message


@pytest.mark.parametrize("script", [IPMD_SCRIPT, BC_SCRIPT])
@pytest.mark.parametrize(
    ("skip", "sentence"),
    [(-1, "skip_demos must not be negative, and is -1."), (3, "3 demonstrations to be skipped: there are 3")],
)
def test_more_demonstrations_skipped_than_there_are_or_a_negative_number(script, skip, sentence, refused):
    assert sentence in refused(script, EXPERT, "--skip-demos", skip)


def test_04_cannot_skip_more_demonstrations_than_there_are(refused):
    message = refused(COMPARE, "--expert-data", EXPERT, "--demos", 1, "--skip-demos", 3)
    assert "3 demonstrations to be skipped: there are 3" in message


@pytest.mark.parametrize("script", [IPMD_SCRIPT, BC_SCRIPT])
def test_an_environment_that_the_file_names_and_nobody_knows(script, refused):
    with_change(lambda state: state.update(env_id="Pendulun-v1"))()
    assert "Did you mean: `Pendulum`" in refused(script, "bad.pt")


# -------------------------------------------------------------------------------------------------- resume and rewards


@pytest.mark.parametrize("script", [COLLECT, IPMD_SCRIPT])
def test_resume_of_a_folder_without_a_checkpoint(script, refused):
    message = refused(*command(script, "--resume", "data"))
    assert message == "data is no run folder: --resume takes the log folder of a run that was stopped."


def test_a_finished_run_is_said_to_be_finished(workplace, refused):
    run = workplace / "logs" / "ipmd" / "Pendulum-v1" / "done"
    run.mkdir(parents=True)
    (run / "config.json").write_text('{"config": {}}')
    (run / "metrics.csv").write_text("frames,return_mean\n640,-1200\n")
    message = refused(IPMD_SCRIPT, "data/expert_buffer.pt", "--resume", run)
    assert "has no checkpoint, so it is finished" in message


@pytest.mark.parametrize("script", [COLLECT, IPMD_SCRIPT])
@pytest.mark.parametrize("content", [torch.zeros(3), {"frames": 640}, {"agent": 1}])
def test_resume_of_something_else_leaves_it_alone(script, content, refused):
    folder = Path("run")
    folder.mkdir()
    torch.save(content, folder / "checkpoint.pt")
    (folder / "metrics.csv").write_text("frames,return_mean\n640,-1200\n")
    (folder / "config.json").write_text('{"config": {}}')
    message = refused(*command(script, "--resume", "run"))
    assert "run/checkpoint.pt" in message
    assert "--resume takes the log folder of a run that was stopped" in message


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file"])
def test_resume_of_a_damaged_checkpoint(content, refused):
    Path("run").mkdir()
    Path("run/checkpoint.pt").write_bytes(content)
    Path("run/config.json").write_text('{"config": {}}')
    assert "damaged" in refused(COLLECT, "--resume", "run")


def ipmd_model(path, env_id="Pendulum-v1", num_seeds=5):
    spec = env_spec(env_id)
    agent = IPMD(IPMDConfig(hidden_sizes=(8,)), spec.observation_size, spec.action_size, num_seeds=num_seeds)
    save_agent(Path(path), agent, env_id, range(num_seeds))


def bc_model(path):
    save_agent(Path(path), BC(BCConfig(hidden_sizes=(8,)), 3, 1), "Pendulum-v1", [0])


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda: None, ["Model not found: reward.pt"]),
        (lambda: Path("reward.pt").write_text("hello"), ["Model reward.pt", "damaged"]),
        (lambda: Path(EXPERT).rename("reward.pt"), ["reward.pt", "no model"]),
        (lambda: bc_model("reward.pt"), ["reward.pt", "BC", "not IPMD"]),
        (lambda: ipmd_model("reward.pt", "MountainCarContinuous-v0"), ["size 2", "Pendulum-v1 has 3"]),
        (lambda: ipmd_model("reward.pt", num_seeds=2), ["holds 2 rewards", "--num-seeds 2"]),
    ],
    ids=["missing", "text", "demonstrations", "BC", "other environment", "other seeds"],
)
def test_a_reward_file_that_is_no_reward(write, words, refused):
    write()
    message = refused(COLLECT, "--reward", "reward.pt")
    for word in words:
        assert word in message
