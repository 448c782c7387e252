"""What goes wrong mid-training: Ctrl-C, losses that are no numbers, W&B; what was good is kept (DESIGN section 6)."""

import math
import signal
from pathlib import Path

import pytest
import torch

from rlopt.agents import BC, IPMD, SAC
from rlopt.experiments import expert, learners
from rlopt.imitation import save_demonstrations
from rlopt.training import monitor
from rlopt.training.evaluation import Evaluator

from .shared_errors import BC_SCRIPT, COLLECT, COMPARE, IPMD_SCRIPT, demonstrations

pytestmark = pytest.mark.usefixtures("workplace")

# ------------------------------------------------------------- interrupts and losses that are no numbers, mid-training

SHORT = "--num-seeds 2 --num-envs 2 --warmup-frames 64 --updates-per-frame 0.25 --batch-size 8 --hidden-size 8"
"""With 8 steps of 2 environments, 16 frames a batch and 4 updates."""
RECORD = ("rlopt.log", "metrics.csv", "metrics.crc32", "config.json")
"""What every run folder has."""


@pytest.fixture
def short(counter_env):
    """A command line of the test environment, whose episodes have at most seven steps, for a run of a second."""
    save_demonstrations(demonstrations(counter_env), "counter")
    frames = {COLLECT: "--frames 640", IPMD_SCRIPT: "--frames 640", COMPARE: "--expert-frames 640 --ipmd-frames 640"}

    def build(script, *flags):
        first = ["counter/expert_buffer.pt"] if script in (IPMD_SCRIPT, BC_SCRIPT) else []
        own = (
            "--num-seeds 2 --epochs 3 --hidden-size 8 --batch-size 8"
            if script == BC_SCRIPT
            else f"{SHORT} {frames[script]}"
        )
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


@pytest.fixture(autouse=True)
def checkpoints_take_their_time(monkeypatch):
    """These trainings are so short that most checkpoints would be left out."""
    monkeypatch.setattr(monitor, "SAVING", math.inf)


def ctrl_c():
    """What presses Ctrl-C once, whenever it is first asked for a report."""
    pressed = []

    def press(report):
        if not pressed:
            pressed.append(1)
            signal.raise_signal(signal.SIGINT)
        return report

    return press


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def spoil_second_seed(report):
    return {name: value * torch.tensor([1.0, float("nan")]) for name, value in report.items()}


def run_folder(kind, counter_env):
    (folder,) = (Path("logs") / kind / counter_env).iterdir()
    return folder


@pytest.mark.parametrize(("script", "agent_type", "kind"), [(COLLECT, SAC, "sac"), (IPMD_SCRIPT, IPMD, "ipmd")])
def test_ctrl_c_saves_a_checkpoint_to_go_on_from(script, agent_type, kind, call, short, counter_env, monkeypatch):
    with monkeypatch.context() as patch:
        after(patch, agent_type, 60, ctrl_c())
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
    assert {path.name for path in folder.iterdir()} == {model, *RECORD}
    frames = [line.split(",")[0] for line in (folder / "metrics.csv").read_text().splitlines()]
    assert frames == ["frames", *(str(32 * i) for i in range(3, 21))]
    assert Path("expert_data", counter_env, "expert_buffer.pt").exists() == (kind == "sac")


def test_ctrl_c_during_bc_keeps_the_policies_of_the_run_before(call, short, counter_env, monkeypatch):
    assert call(*short(BC_SCRIPT))[0] == 0
    folder = Path("logs/bc", counter_env)
    before = {path: path.read_bytes() for path in folder.glob("*.pt")}
    assert {path.name for path in before} == {"bc_policy_seed44.pt", "bc_policy_seed45.pt"}
    with monkeypatch.context() as patch:
        after(patch, BC, 120, ctrl_c())
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
        after(patch, IPMD, 60, ctrl_c())
        code, _, err = call(*short(COMPARE))
    assert code == 130
    assert "Traceback" not in err
    assert not Path("comparison_results", counter_env, "results.json").exists()
    folder = run_folder("ipmd", counter_env)
    assert (folder / "checkpoint.pt").exists()

    monkeypatch.setattr(expert, "collect_expert_data", lambda *a, **k: pytest.fail("a finished stage ran again"))
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
    folder = run_folder(kind, counter_env)
    assert f"The last checkpoint is kept. To go on from it: add --resume {folder}" in err
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert 64 <= state["frames"] < 320
    assert all(value == value for values in state["history"]["losses"].values() for row in values for value in row)
    assert {path.name for path in folder.iterdir()} == {"checkpoint.pt", "replay", *RECORD}
    assert "nan" not in (folder / "metrics.csv").read_text()
    assert Path("expert_data", counter_env, "expert_buffer.pt").read_bytes() == stored


def test_bc_stops_at_a_loss_that_is_no_number(call, short, counter_env, monkeypatch):
    after(monkeypatch, BC, 120, spoil_second_seed)
    code, out, err = call(*short(BC_SCRIPT))
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    message = err.splitlines()[-1]
    assert message.startswith("error: Training stopped at 2 epochs: bc_loss is not finite for seed number 1.")
    (checkpoint,) = Path("logs").rglob("*.pt")
    assert torch.load(checkpoint)["epochs"] == 1


def test_resume_with_other_settings_leaves_the_checkpoint_for_the_right_ones(call, short, counter_env, monkeypatch):
    with monkeypatch.context() as patch:
        after(patch, SAC, 60, ctrl_c())
        assert call(*short(COLLECT))[0] == 130
    folder = run_folder("sac", counter_env)
    kept = {name: (folder / name).read_bytes() for name in ("checkpoint.pt", "metrics.csv", "config.json")}
    for flag, value, difference in (
        ("--num-seeds", 3, "training.num_seeds: 2, now 3"),
        ("--hidden-size", 16, "agent.hidden_sizes: [8, 8], now [16, 16]"),
        ("--frames", 320, "training.frames: 640, now 320"),
        ("--updates-per-frame", 1, "training.updates_per_frame: 0.25, now 1.0"),
    ):
        code, out, err = call(*short(COLLECT, flag, value, "--resume", folder))
        assert (code, out) == (2, "")
        assert "Traceback" not in err
        message = err.splitlines()[-1]
        assert message == f"error: The run in {folder} had other settings ({difference}): resume it with the same ones."
        assert {name: (folder / name).read_bytes() for name in kept} == kept
    assert call(*short(COLLECT, "--frames", 800, "--resume", folder))[0] == 0
    assert (folder / "metrics.csv").read_text().splitlines()[-1].startswith("800,")


def test_resume_with_other_demonstrations_is_refused(call, short, counter_env, monkeypatch):
    with monkeypatch.context() as patch:
        after(patch, IPMD, 60, ctrl_c())
        assert call(*short(IPMD_SCRIPT, "--demos", 1))[0] == 130
    folder = run_folder("ipmd", counter_env)
    code, _, err = call(*short(IPMD_SCRIPT, "--demos", 2, "--resume", folder))
    assert code == 2
    assert "learned from other demonstrations" in err.splitlines()[-1]
    assert (folder / "checkpoint.pt").exists()
    assert call(*short(IPMD_SCRIPT, "--demos", 1, "--resume", folder))[0] == 0


@pytest.mark.parametrize("place", ["evaluate", "final_evaluation"])
def test_ctrl_c_while_bc_is_evaluated_keeps_a_checkpoint(place, call, short, counter_env, monkeypatch):
    with monkeypatch.context() as patch:
        if place == "evaluate":
            patch.setattr(Evaluator, "play", interrupt)
        else:
            patch.setattr(learners, "final_evaluation", interrupt)
        code, _, err = call(*short(BC_SCRIPT))
    (checkpoint,) = Path("logs/bc", counter_env).glob("*/checkpoint.pt")
    assert code == 130
    assert f"--resume {checkpoint.parent}" in err
    assert torch.load(checkpoint, weights_only=True)["epochs"] == {"evaluate": 0, "final_evaluation": 3}[place]
    assert call(*short(BC_SCRIPT, "--resume", checkpoint.parent))[0] == 0
    rows = (checkpoint.parent / "metrics.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["1", "2", "3"]


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
