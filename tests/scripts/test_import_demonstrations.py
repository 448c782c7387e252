"""Recordings from elsewhere, imported by the script, and then learned from."""

import numpy as np
import pytest

from rlopt.imitation import load_demonstrations

from ..report.read_page import read_page
from .shared import BC

IMPORT = "import_demonstrations.py"


@pytest.fixture
def recording(workplace):
    rng = np.random.default_rng(0)

    def write(name="mine.npz", **changes):
        arrays = {
            "observations": rng.normal(size=(400, 3)),
            "next_observations": rng.normal(size=(400, 3)),
            "actions": rng.uniform(-2, 2, (400, 1)),
            "rewards": -rng.uniform(size=400),
            "terminals": np.zeros(400, bool),
            "timeouts": np.arange(400) % 200 == 199,
        }
        arrays["next_observations"][:-1] = arrays["observations"][1:]
        arrays["next_observations"][199] = 0.5  # the true last one, not the next episode's first
        np.savez(workplace / name, **{**arrays, **changes})
        return name

    return write


@pytest.mark.pictures
def test_a_recording_becomes_demonstrations_that_bc_learns_from(recording, call, workplace):
    code, out, err = call(IMPORT, recording(), "--env", "Pendulum-v1", "--save-dir", "imported")
    assert code == 0, err
    assert "2, 400 transitions, 200 to 200 steps each" in out
    assert "0 in a final state, 2 at a time limit" in out
    folder = workplace / "imported" / "Pendulum-v1"
    data = load_demonstrations(folder / "expert_buffer.pt")
    assert data.next_observation[199].tolist() == [0.5] * 3
    assert data.random_return == pytest.approx(-1134.6, abs=0.1)  # measured
    assert (folder / "demonstrations.png").stat().st_size > 10_000
    assert read_page((folder / "demonstrations.html").read_text(encoding="utf-8")).media
    quiet = ("--epochs", 1, "--num-seeds", 1, "--device", "cpu", "--no-progress")
    assert call(BC, folder / "expert_buffer.pt", *quiet)[0] == 0
    assert call(BC, "mine.npz", "--env", "Pendulum-v1", *quiet)[0] == 0


def test_scaled_actions_are_said_to_be_so(recording, call, workplace):
    name = recording(actions=np.linspace(-1, 1, 400)[:, None])
    code, _, err = call(IMPORT, name, "--env", "Pendulum-v1", "--actions-scaled")
    assert code == 0, err
    data = load_demonstrations(workplace / "expert_data" / "Pendulum-v1" / "expert_buffer.pt")
    assert data.action[-1].item() == pytest.approx(1.0)


def test_what_cannot_be_read_is_one_sentence(recording, call, workplace):
    (workplace / "text.npz").write_text("hello")
    for words, sentence in (
        (["nothing.npz"], "There is no nothing.npz"),
        (["text.npz"], "it is no .npz file"),
        ([recording(actions=np.full((400, 1), 5.0))], "bounds"),
        ([recording("nan.npz", rewards=np.full(400, np.nan))], "NaN"),
    ):
        code, _, err = call(IMPORT, *words, "--env", "Pendulum-v1")
        assert code == 2
        assert sentence in err
        assert "Traceback" not in err
    assert "say which one with --env" in call(IMPORT, recording())[2]


@pytest.mark.pictures
def test_studies_take_a_recording_and_its_environment(recording, call, workplace):
    name = recording()
    tiny = [*("--num-seeds", 1, "--warmup-frames", 100, "--frames", 400, "--hidden-size", 8, "--batch-size", 8)]
    tiny += ["--eval-points", 1, "--eval-episodes", 1]
    for script, flags in (
        ("study_ablations.py", ["--names", "default"]),
        ("study_demonstrations.py", ["--counts", 1, 2, "--bc-epochs", 1]),
    ):
        code, out, err = call(script, name, "--env", "Pendulum-v1", *flags, *tiny, "--device", "cpu", "--no-progress")
        assert code == 0, err
        assert out
    assert (workplace / "study_results" / "Pendulum-v1" / "ablations.png").exists()


@pytest.mark.pictures
def test_states_alone(call, workplace):
    walks = np.random.default_rng(0).normal(size=(2, 201, 3))
    np.savez(workplace / "capture.npz", observations=walks)
    code, out, err = call(IMPORT, "capture.npz", "--env", "Pendulum-v1")
    assert code == 0, err
    assert "2, 400 transitions, 200 to 200 steps each" in out
    assert "actions          not recorded, so that only a reward of states alone can be learned" in out
    assert (workplace / "expert_data" / "Pendulum-v1" / "demonstrations.png").stat().st_size > 10_000
    code, _, err = call(BC, "expert_data/Pendulum-v1/expert_buffer.pt", "--epochs", 1)
    assert code == 2
    assert "BC learns from the expert's actions, and these demonstrations have none" in err
