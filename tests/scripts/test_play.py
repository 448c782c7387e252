"""scripts/play.py: what it prints and writes, and what it refuses."""

import os
import re
import shutil
import subprocess

import pytest
import torch
from PIL import Image

import rlopt
from rlopt.play import display

from ..play.drawn import DRAWN
from ..policy_files import build, pendulum, save
from .shared import SCRIPTS, run

PLAY = "play.py"
ONE = {"action_low": torch.tensor([-2.0]), "action_high": torch.tensor([2.0]), "max_episode_steps": 9}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to play in, with a policy of an environment that draws itself, on a machine without a screen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(display.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("MUJOCO_GL", "egl")  # so that nothing is tried
    save(tmp_path / "ipmd.pt", build("ipmd", action_size=1), DRAWN, **ONE)
    return tmp_path


@pytest.mark.pictures
def test_a_film_the_returns_and_the_rewards(place, call):
    flags = ("--gif", "out.gif", "--reward", "ipmd.pt", "--episodes", 2, "--seed", 5, "--policy-seed", 44)
    code, out, err = call(PLAY, "ipmd.pt", *flags)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:5] == [
        f"IPMD on {DRAWN}, policy of seed 44",
        "Start 5: return 15.0, length 5, success yes",
        "Start 6: return 15.0, length 5, success yes",
        "Mean: return 15.0, length 5.0, success 2 of 2",
        "Film: out.gif",
    ]
    pattern = r"Learned reward \(seed 44\) against true reward: correlation -?\d\.\d\d\. Picture: out_reward\.png"
    assert re.fullmatch(pattern, lines[5])
    assert Image.open("out.gif").n_frames == 12
    assert Image.open("out_reward.png").size[0] > 500
    assert sorted(path.name for path in place.iterdir()) == ["ipmd.pt", "out.gif", "out_reward.png"]


def test_both_films(place, call):
    av = pytest.importorskip("av")
    code, out, _ = call(PLAY, "ipmd.pt", "--video", "a.mp4", "--gif", "b.gif")
    assert code == 0
    assert out.splitlines()[1:] == [
        "Start 1000000: return 15.0, length 5, success yes",
        "Film: a.mp4",
        "Film: b.gif",
    ]
    with av.open("a.mp4") as file:
        assert len(list(file.decode(video=0))) == 6


def test_a_window_and_samples(place, call, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    loaded = []
    load = rlopt.load_policy
    monkeypatch.setattr(
        "rlopt.policies.load_policy", lambda *given, **how: loaded.append(load(*given, **how)) or loaded[0]
    )
    code, out, _ = call(PLAY, "ipmd.pt", "--stochastic", "--seed", 3)
    assert (code, len(out.splitlines())) == (0, 2)
    fresh = torch.Generator().manual_seed(3)
    assert not torch.equal(loaded[0].generator.get_state(), fresh.get_state())  # it was drawn from
    assert not (place / "out_reward.png").exists()


def test_wrong_input_is_a_sentence(place, call, monkeypatch):
    save(place / "bc.pt", build("bc", action_size=1), DRAWN, **ONE)
    pendulum(place)
    before = sorted(place.iterdir())
    for flags, sentence in (
        (("ipmd.pt",), "There is no display for a window here: give --video out.mp4 or --gif out.gif."),
        (("ipmd.pt", "--gif", "out.png"), "out.png is to be a film: give it a name that ends in .gif."),
        (("ipmd.pt", "--gif", "o.gif", "--episodes", 0), "episodes must be positive"),
        (("ipmd.pt", "--gif", "o.gif", "--policy-seed", 5), "has no policy of seed 5: it has 42, 43, 44."),
        (("ipmd.pt", "--gif", "o.gif", "--best"), "only files of step 1 have"),
        (("ipmd.pt", "--gif", "o.gif", "--reward", "no.pt"), "Model not found: no.pt."),
        (("ipmd.pt", "--gif", "o.gif", "--reward", "bc.pt"), "bc.pt holds BC, which learned no reward."),
        (("bc.pt", "--gif", "o.gif", "--stochastic"), "its policies are deterministic."),
        (("ipmd.pt", "--gif", "o.gif", "--env", "rlopt-test/Blank-v0"), "Blank-v0 does not draw itself"),
        (("ipmd.pt", "--gif", "o.gif", "--env", "MountainCarContinuous-v0"), "has 2 and 1."),
    ):
        code, _, err = call(PLAY, *flags)
        assert (code, len(err.splitlines())) == (2, 1), err
        assert sentence in err
        assert sorted(place.iterdir()) == before


def save_mujoco_model(folder):
    """A policy of a MuJoCo task, `model.pt`, whose episodes have three steps."""
    model = build(observation_size=4, action_size=1)
    save(folder / "model.pt", model, "InvertedPendulum-v5", **ONE | {"max_episode_steps": 3})


def test_mujoco_is_filmed_without_a_screen(tmp_path):
    save_mujoco_model(tmp_path)
    done = run(SCRIPTS / PLAY, "model.pt", "--gif", "out.gif", "--plain", cwd=tmp_path, DISPLAY="", MUJOCO_GL="")
    if display.NEEDED in done.stderr:
        pytest.skip("neither EGL nor OSMesa is here")
    assert done.returncode == 0, done.stderr
    assert "length 3" in done.stdout
    image = Image.open(tmp_path / "out.gif")
    assert (image.n_frames, image.size) == (4, (320, 320))
    assert len(image.convert("RGB").getcolors(100_000)) > 20  # something is there to see


@pytest.fixture
def screen():
    """The name of a virtual screen's display."""
    xvfb = shutil.which("Xvfb") or pytest.skip("there is no Xvfb for a virtual screen")
    number, told = os.pipe()
    command = [xvfb, "-displayfd", str(told), "-screen", "0", "320x240x24"]
    with subprocess.Popen(command, pass_fds=[told], stderr=subprocess.DEVNULL) as process:
        os.close(told)
        with os.fdopen(number) as answer:
            name = answer.readline().strip()
        yield f":{name}"
        process.terminate()


def test_mujocos_window_on_a_virtual_screen(tmp_path, screen):
    save_mujoco_model(tmp_path)
    done = run(SCRIPTS / PLAY, "model.pt", "--plain", cwd=tmp_path, DISPLAY=screen, MUJOCO_GL="", SDL_VIDEODRIVER="")
    assert (done.returncode, done.stderr) == (0, "")
    assert "length 3" in done.stdout
