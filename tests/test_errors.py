"""What bad input gets: one clear sentence, exit code 2, nothing trained, nothing written over (DESIGN section 6)."""

import copy
import os
import pickle
import runpy
import sys
from pathlib import Path

import pytest
import torch

from rlopt import pipeline
from rlopt.agents import BC, IPMD, SAC
from rlopt.config import BCConfig, IPMDConfig
from rlopt.envs import env_spec
from rlopt.imitation.demonstrations import Demonstrations, save_demonstrations
from rlopt.models import save_agent

SCRIPTS = Path(__file__).parents[1] / "scripts"
COLLECT, IPMD_SCRIPT, BC_SCRIPT = "01_collect_expert_data.py", "02_train_ipmd.py", "03_train_bc.py"
COMPARE = "04_compare_methods.py"
ALL = (COLLECT, IPMD_SCRIPT, BC_SCRIPT, COMPARE)
FRAMES_FLAG = {COLLECT: "--frames", IPMD_SCRIPT: "--frames", COMPARE: "--ipmd-frames"}
EXPERT = "data/expert_buffer.pt"
READERS = {IPMD_SCRIPT: [], BC_SCRIPT: [], COMPARE: ["--expert-data"]}
"""Scripts that read demonstrations, and the flag before the path."""


def demonstrations(env_id, episodes=3, steps=20):
    """Random ones of the environment's sizes."""
    spec = env_spec(env_id)
    n = episodes * steps
    generator = torch.Generator().manual_seed(0)
    return Demonstrations(
        env_id=env_id,
        observation=torch.randn(n, spec.observation_size, generator=generator),
        action=torch.rand(n, spec.action_size, generator=generator) * 2 - 1,
        next_observation=torch.randn(n, spec.observation_size, generator=generator),
        reward=torch.zeros(n),
        terminated=torch.zeros(n, dtype=torch.bool),
        truncated=torch.arange(n) % steps == steps - 1,
        episode_lengths=torch.full((episodes,), steps),
        action_low=torch.from_numpy(spec.action_low),
        action_high=torch.from_numpy(spec.action_high),
        expert_return=-100.0,
        random_return=-1000.0,
    )


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """An empty folder to work in, with good demonstrations of Pendulum-v1 in `data/`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    save_demonstrations(demonstrations("Pendulum-v1"), tmp_path / "data")
    return tmp_path


def files():
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def command(script, *flags):
    """A command line with good demonstrations where they are required."""
    return [script, *([EXPERT] if script in (IPMD_SCRIPT, BC_SCRIPT) else []), *map(str, flags)]


@pytest.fixture
def call(monkeypatch, capsys):
    """Runs a command line; returns exit code, stdout and stderr."""

    def run(script, *flags):
        monkeypatch.setattr(sys, "argv", [script, *map(str, flags)])
        capsys.readouterr()
        code = 0
        try:
            runpy.run_path(str(SCRIPTS / script), run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


@pytest.fixture
def refused(call, monkeypatch):
    """Asserts that a command line is refused before anything is trained or written; returns the sentence."""

    def train(*args, **kwargs):
        pytest.fail("training began")

    def run(script, *flags):
        before = files()
        with monkeypatch.context() as patch:
            patch.setattr(pipeline, "train_online", train)
            patch.setattr(pipeline, "train_offline", train)
            code, out, err = call(script, "--device", "cpu", *flags)
        assert code == 2
        assert out == ""
        (line,) = err.splitlines()  # a traceback has more
        assert files() == before
        assert line.startswith("error: ")
        assert line.endswith((".", "?"))
        return line.removeprefix("error: ")

    return run


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
    "another dict": (lambda: torch.save({"obs": torch.zeros(3)}, "bad.pt"), ["not a file of demonstrations", COLLECT]),
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
    assert "there are 3" in message or "--demos must be positive" in message


@pytest.mark.parametrize("script", [IPMD_SCRIPT, BC_SCRIPT])
def test_an_environment_that_the_file_names_and_nobody_knows(script, refused):
    with_change(lambda state: state.update(env_id="Pendulun-v1"))()
    assert "Did you mean: `Pendulum`" in refused(script, "bad.pt")


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


@pytest.mark.parametrize("script", [COLLECT, IPMD_SCRIPT, COMPARE])
def test_fewer_frames_than_an_episode(script, refused):
    flag = FRAMES_FLAG[script]
    message = refused(*command(script, flag, 199))
    assert message.startswith("199 frames are too few for one whole episode of Pendulum-v1 (up to 200 steps)")
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


@pytest.mark.parametrize("value", ["-0.5", "nan", "inf"])
@pytest.mark.parametrize("script", [IPMD_SCRIPT, BC_SCRIPT])
def test_noise_that_is_none(script, value, refused):
    message = refused(script, EXPERT, "--noise", value)
    assert "noise" in message
    assert value in message


@pytest.mark.parametrize("value", ["-0.5", "nan"])
def test_a_negative_inverse_eta(value, refused):
    assert "inverse_eta" in refused(IPMD_SCRIPT, EXPERT, "--inverse-eta", value)


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

    monkeypatch.setattr(pipeline, "train_online", train)
    monkeypatch.setattr(pipeline, "train_offline", train)
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


# -------------------------------------------------------------------------------------------------- resume and rewards


@pytest.mark.parametrize("script", [COLLECT, IPMD_SCRIPT])
def test_resume_of_a_folder_without_a_checkpoint(script, refused):
    message = refused(*command(script, "--resume", "data"))
    assert message.startswith("Checkpoint not found: data/checkpoint.pt.")
    assert "--resume takes the log folder of an interrupted run" in message


@pytest.mark.parametrize("script", [COLLECT, IPMD_SCRIPT])
@pytest.mark.parametrize("content", [torch.zeros(3), {"frames": 640}, {"agent": 1}])
def test_resume_of_something_else_leaves_it_alone(script, content, refused):
    folder = Path("run")
    folder.mkdir()
    torch.save(content, folder / "checkpoint.pt")
    (folder / "metrics.csv").write_text("frames,return_mean\n640,-1200\n")
    (folder / "config.json").write_text("{}")
    message = refused(*command(script, "--resume", "run"))
    assert "run/checkpoint.pt" in message
    assert "--resume takes the log folder of an interrupted run" in message


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file"])
def test_resume_of_a_damaged_checkpoint(content, refused):
    Path("run").mkdir()
    Path("run/checkpoint.pt").write_bytes(content)
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


# ------------------------------------------------------------- interrupts and losses that are no numbers, mid-training

SHORT = "--num-seeds 2 --num-envs 2 --warmup-frames 64 --updates-per-frame 0.25 --batch-size 8 --hidden-size 8"
"""With 8 steps of 2 copies, 16 frames a batch and 4 updates."""


@pytest.fixture
def short(counter_env):
    """A command line of the test environment, whose episodes have at most seven steps, for a run of a second."""
    save_demonstrations(demonstrations(counter_env), "counter")
    frames = {COLLECT: "--frames 640", IPMD_SCRIPT: "--frames 640", COMPARE: "--expert-frames 640 --ipmd-frames 640"}

    def build(script, *flags):
        first = ["counter/expert_buffer.pt"] if script in (IPMD_SCRIPT, BC_SCRIPT) else []
        own = "--num-seeds 2 --epochs 3" if script == BC_SCRIPT else f"{SHORT} {frames[script]}"
        bc = ["--bc-epochs", 1] if script == COMPARE else []
        return [script, *first, "--env", counter_env, "--device", "cpu", *own.split(), *bc, *flags]

    return build


def after(monkeypatch, agent_type, updates, act):
    """Have the agent's update answer with `act(report)` once it was called `updates` times."""
    update, calls = agent_type.update, []

    def spoilt(self, *batches):
        calls.append(1)
        report = update(self, *batches)
        return act(report) if len(calls) > updates else report

    monkeypatch.setattr(agent_type, "update", spoilt)


def interrupt(report):
    raise KeyboardInterrupt


def spoil_second_seed(report):
    return {name: value * torch.tensor([1.0, float("nan")]) for name, value in report.items()}


def run_folder(kind, counter_env):
    (folder,) = (Path("logs") / kind / counter_env).iterdir()
    return folder


@pytest.mark.parametrize(("script", "agent_type", "kind"), [(COLLECT, SAC, "sac"), (IPMD_SCRIPT, IPMD, "ipmd")])
def test_ctrl_c_saves_a_checkpoint_to_go_on_from(script, agent_type, kind, call, short, counter_env, monkeypatch):
    with monkeypatch.context() as patch:
        after(patch, agent_type, 60, interrupt)
        code, out, err = call(*short(script))
    folder = run_folder(kind, counter_env)
    assert (code, out) == (130, "")
    assert "Traceback" not in err
    assert f"--resume {folder}" in err
    assert err.splitlines()[-1] == "interrupted."
    # 4 updates at 64 frames and at every 16 behind: the 61st is at 304, and the checkpoint of even intervals at 256
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["frames"] == 304
    assert not Path("expert_data", counter_env, "expert_buffer.pt").exists()

    code, _, err = call(*short(script, "--resume", folder))
    assert code == 0, err
    assert run_folder(kind, counter_env) == folder
    model = {"sac": "sac_expert.pt", "ipmd": "ipmd_model.pt"}[kind]
    assert {path.name for path in folder.iterdir()} == {model, "rlopt.log", "metrics.csv", "config.json"}
    frames = [line.split(",")[0] for line in (folder / "metrics.csv").read_text().splitlines()]
    assert frames == ["frames", *(str(32 * i) for i in range(3, 21))]
    assert Path("expert_data", counter_env, "expert_buffer.pt").exists() == (kind == "sac")


def test_ctrl_c_during_bc_keeps_the_policies_of_the_run_before(call, short, counter_env, monkeypatch):
    assert call(*short(BC_SCRIPT))[0] == 0
    folder = Path("logs/bc", counter_env)
    before = {path: path.read_bytes() for path in folder.glob("*.pt")}
    assert {path.name for path in before} == {"bc_policy_seed44.pt", "bc_policy_seed45.pt"}
    with monkeypatch.context() as patch:
        after(patch, BC, 120, interrupt)
        code, out, err = call(*short(BC_SCRIPT, "--lr", "0.01"))
    assert (code, out) == (130, "")
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "interrupted."
    assert {path: path.read_bytes() for path in folder.glob("*.pt")} == before
    (checkpoint,) = folder.glob("*/checkpoint.pt")
    assert torch.load(checkpoint, weights_only=True)["epochs"] == 1  # whole epochs, of 100 steps each
    code, _, err = call(*short(BC_SCRIPT, "--lr", "0.01", "--resume", checkpoint.parent))
    assert code == 0, err
    rows = (checkpoint.parent / "metrics.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["1", "2", "3"]
    assert not checkpoint.exists()
    assert {path: path.read_bytes() for path in folder.glob("*.pt")} != before


def test_an_interrupted_comparison_goes_on_in_the_same_run(call, short, counter_env, monkeypatch):
    with monkeypatch.context() as patch:
        after(patch, IPMD, 60, interrupt)
        code, _, err = call(*short(COMPARE))
    assert code == 130
    assert "Traceback" not in err
    assert not Path("comparison_results", counter_env, "results.json").exists()
    folder = run_folder("ipmd", counter_env)
    assert (folder / "checkpoint.pt").exists()

    monkeypatch.setattr(pipeline, "collect_expert_data", lambda *a, **k: pytest.fail("a finished stage ran again"))
    code, _, err = call(*short(COMPARE, "--resume"))
    assert code == 0, err
    assert run_folder("ipmd", counter_env) == folder  # gone on with, not begun anew
    assert (folder / "ipmd_model.pt").exists()
    assert len((folder / "metrics.csv").read_text().splitlines()) == 1 + 18
    assert Path("comparison_results", counter_env, "results.json").exists()


@pytest.mark.parametrize(("script", "agent_type", "kind"), [(COLLECT, SAC, "sac"), (IPMD_SCRIPT, IPMD, "ipmd")])
def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(
    script, agent_type, kind, call, short, counter_env, monkeypatch
):
    save_demonstrations(demonstrations(counter_env), Path("expert_data") / counter_env)
    stored = Path("expert_data", counter_env, "expert_buffer.pt").read_bytes()
    after(monkeypatch, agent_type, 60, spoil_second_seed)  # at some 300 of 640 frames
    code, out, err = call(*short(script))
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    message = err.splitlines()[-1]
    assert message.startswith("error: Training stopped at ")
    assert "is not finite for seed number 1." in message
    assert "last good checkpoint is kept" in message
    folder = run_folder(kind, counter_env)
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert 64 <= state["frames"] < 320
    assert all(value == value for values in state["history"]["losses"].values() for row in values for value in row)
    assert {path.name for path in folder.iterdir()} == {"checkpoint.pt", "rlopt.log", "metrics.csv", "config.json"}
    assert "nan" not in (folder / "metrics.csv").read_text()
    assert Path("expert_data", counter_env, "expert_buffer.pt").read_bytes() == stored


def test_bc_stops_at_a_loss_that_is_no_number(call, short, counter_env, monkeypatch):
    after(monkeypatch, BC, 120, spoil_second_seed)
    code, out, err = call(*short(BC_SCRIPT))
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    message = err.splitlines()[-1]
    assert message.startswith("error: Training stopped in epoch 2: bc_loss is not finite for seed number 1.")
    assert not list(Path("logs").rglob("*.pt"))


def test_resume_with_other_settings_leaves_the_checkpoint_for_the_right_ones(call, short, counter_env, monkeypatch):
    with monkeypatch.context() as patch:
        after(patch, SAC, 60, interrupt)
        assert call(*short(COLLECT))[0] == 130
    folder = run_folder("sac", counter_env)
    kept = {name: (folder / name).read_bytes() for name in ("checkpoint.pt", "metrics.csv", "config.json")}
    for name, flags in (("seeds", ["--num-seeds", 3]), ("agent", ["--hidden-size", 16])):
        code, out, err = call(*short(COLLECT, *flags, "--resume", folder))
        assert (code, out) == (2, "")
        assert "Traceback" not in err
        message = err.splitlines()[-1]
        assert message.startswith(f"error: The run in {folder} had other settings ({name}: ")
        assert {name: (folder / name).read_bytes() for name in kept} == kept
    assert call(*short(COLLECT, "--resume", folder))[0] == 0


# ---------------------------------------------------------------------------------------------------- Weights & Biases


def test_weights_and_biases_never_stops_a_run(call, short, counter_env, monkeypatch):
    """Neither online nor offline can be had here."""
    import wandb

    def init(**settings):
        raise wandb.errors.CommError("permission denied")

    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(wandb, "init", init)
    code, _, err = call(*short(BC_SCRIPT, "--wandb-entity", "nobody"))
    assert code == 0
    assert [line for line in err.splitlines() if "W&B" in line] == [
        "warning: W&B: off (permission denied); metrics.csv has everything."
    ]
    assert {path.name for path in Path("logs/bc", counter_env).glob("*.pt")} == {
        *("bc_policy_seed44.pt", "bc_policy_seed45.pt")
    }
