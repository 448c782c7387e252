"""An environment that fails for its MuJoCo is answered with the one to install, and nothing else is."""

import importlib.metadata
import re
import sys
import types
import warnings

import gymnasium as gym
import numpy as np
import pytest

from rlopt.envs import make_env
from rlopt.envs.versions import told
from rlopt.errors import UserError

JOINT_TYPES = "joint_type = 3\nassert joint_type in ()"  # MuJoCo's enumerations equal no number from the left
ARRAYS = "raise AttributeError(\"'MjModel' object has no attribute 'flex_vertedge'\")"
SHAPES = "raise ValueError('could not broadcast input array from shape (11,) into shape (12,)')"
PARTS = (
    "The 'mujoco' package is installed, but its core bindings ('mujoco-core') are missing or corrupted (for example, after "
    "uninstalling a previous monolithic 'mujoco' package). Repair your environment with:\n  pip install --force-reinstall "
    "--no-deps mujoco mujoco-core mujoco-studio"
)
REQUIRES = {
    "dm-control": ["dm-env", "mujoco>=3.17.0", "h5py; extra == 'hdf5'"],
    "gymnasium-robotics": ["mujoco>=2.2.0"],
    "metaworld": ["gymnasium>=1.1", "mujoco==3.3.0"],
}


@pytest.fixture
def installed(monkeypatch):
    """Versions that pip is said to have installed, with the requirements of the three packages."""
    versions = {"dm-control": "1.0.50", "gymnasium-robotics": "1.4.2", "metaworld": "3.1.1", "mujoco": "4.0.0"}

    def version(package):
        if package not in versions:
            raise importlib.metadata.PackageNotFoundError(package)
        return versions[package]

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(importlib.metadata, "requires", REQUIRES.__getitem__)
    return versions


def maker(module, body):
    """A function of a module of this name that runs the lines of `body`."""
    names = types.ModuleType(module).__dict__
    exec("def make(**kwargs):\n    " + body.replace("\n", "\n    "), names)
    return names["make"]


def message(module, body):
    gym.register("rlopt-test/Choosy-v0", entry_point=lambda: maker(module, body)())
    try:
        with pytest.raises(UserError) as error:
            make_env("rlopt-test/Choosy-v0")
    finally:
        del gym.registry["rlopt-test/Choosy-v0"]
    return str(error.value)


@pytest.mark.parametrize(
    ("module", "body", "said"),
    [
        (
            "gymnasium_robotics.utils.mujoco_utils",
            JOINT_TYPES,
            "gymnasium-robotics 1.4.2 needs another MuJoCo than 4.0.0 (AssertionError): pip install 'mujoco<3.12'.",
        ),
        (
            "dm_control.mujoco.index",
            ARRAYS,
            "dm-control 1.0.50 needs another MuJoCo than 4.0.0 ('MjModel' object has no attribute 'flex_vertedge'): "
            "pip install 'mujoco==3.17.0'.",
        ),
        (
            "metaworld.sawyer_xyz_env",
            SHAPES,
            "metaworld 3.1.1 needs another MuJoCo than 4.0.0 (could not broadcast input array from shape (11,) into shape "
            "(12,)): pip install 'mujoco==3.3.0'.",
        ),
    ],
)
def test_the_mujoco_to_install_is_named(installed, module, body, said):
    assert message(module, body) == f"Environment 'rlopt-test/Choosy-v0' cannot be made: {said}"


@pytest.mark.parametrize(
    ("module", "mujoco"),
    [
        ("gymnasium_robotics.utils.mujoco_utils", "3.11.0"),
        ("dm_control.mujoco.index", "3.17.0"),
        ("metaworld", "3.3.0"),
    ],
)
def test_with_the_right_mujoco_the_reason_is_another(installed, module, mujoco):
    installed["mujoco"] = mujoco
    place = r"\([\w.<>]+, line \d+\)"
    expected = rf"Environment 'rlopt-test/Choosy-v0' cannot be made: AssertionError {place}\."
    assert re.fullmatch(expected, message(module, "assert False"))


@pytest.mark.parametrize("module", ["gymnasium_robotics.envs.maze.maps", "metaworlds", "dm_control_of_mine.mujoco"])
def test_other_modules_have_other_reasons(installed, module):
    assert "pip" not in message(module, "assert False")


def test_a_dm_control_of_another_mujoco_is_told_its_own(installed, monkeypatch):
    """1.0.44 was made with 3.11.0 and fails with 3.17.0, too."""
    installed.update({"dm-control": "1.0.44", "mujoco": "3.17.0"})
    monkeypatch.setitem(REQUIRES, "dm-control", ["mujoco>=3.11.0"])
    assert message("dm_control.mujoco.index", ARRAYS).endswith("pip install 'mujoco==3.11.0'.")


def test_an_environment_is_answered_without_any_mujoco(installed):
    del installed["mujoco"]
    said = message("dm_control.mujoco.index", "raise ValueError('no')")
    assert re.fullmatch(r".* cannot be made: ValueError: no \(test_versions\.py, line \d+\)\.", said)


def broken_mujoco():
    """As gymnasium.envs.mujoco.mujoco_env does."""
    try:
        raise ImportError(PARTS)
    except ImportError as error:
        raise gym.error.DependencyNotInstalled(
            'MuJoCo is not installed, run `pip install "gymnasium[mujoco]"`'
        ) from error


REPAIR = "MuJoCo 4.0.0 is damaged, .*run `pip uninstall mujoco mujoco-core mujoco-studio`, then install mujoco again"


@pytest.mark.parametrize(("call", "said"), [("glGetError", "osmesa needs OSMesa"), ("eglQueryString", "egl needs EGL")])
def test_what_mujoco_draws_with_is_named_where_it_is_missing(installed, call, said):
    installed["mujoco"] = "4.0.0"
    body = f"raise AttributeError(\"'NoneType' object has no attribute '{call}'\")"
    assert f"cannot be made: MUJOCO_GL={said} (Debian: lib" in message("mujoco.egl", body)


def test_a_damaged_mujoco_is_told_from_a_missing_one(installed):
    with pytest.raises(UserError, match=f"'broken_mujoco' cannot be made: {REPAIR}"):
        make_env(broken_mujoco)
    del installed["mujoco"]
    with pytest.raises(UserError, match="needs a package that is not installed: MuJoCo is not installed"):
        make_env(broken_mujoco)


def test_a_module_that_needs_a_damaged_mujoco(installed, tmp_path, monkeypatch):
    (tmp_path / "needs_mujoco.py").write_text(f"raise ImportError({PARTS!r})")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=f"'needs_mujoco:Mine-v0': {REPAIR}"):
        make_env("needs_mujoco:Mine-v0")


def test_a_module_cannot_change_which_warnings_are_shown(tmp_path, monkeypatch):
    """dm_control does, and TorchRL's deprecations would be printed from then on."""
    lines = ["import warnings", "import gymnasium", "from gymnasium.envs.classic_control import PendulumEnv"]
    lines += [
        'warnings.simplefilter("always", DeprecationWarning)',
        'gymnasium.register("rlopt-test/Loud-v0", PendulumEnv)',
    ]
    (tmp_path / "loud.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    before = list(warnings.filters)
    make_env("loud:rlopt-test/Loud-v0").close()
    assert warnings.filters == before


@pytest.mark.parametrize(("module", "extra"), [("shimmy", "dm-control"), ("gymnasium_robotics", "robotics")])
def test_the_extra_of_a_missing_module_is_named(monkeypatch, module, extra):
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(UserError, match=rf"{module}.* cannot be imported .*: pip install 'rlopt\[{extra}\]'\.$"):
        make_env(f"{module}:Some-v0")


def test_an_exception_is_told_with_the_users_own_line():
    def fail(look_up):
        try:
            look_up()
        except Exception as error:
            return told(error)

    def goal():
        return {}["goal"]

    assert fail(goal) == f"KeyError: 'goal' (test_versions.py, line {goal.__code__.co_firstlineno + 1})"
    # the innermost line is numpy's
    assert re.fullmatch(
        r"ValueError: .* \(test_versions\.py, line \d+\)", fail(lambda: np.reshape(np.zeros(3), (2, 2)))
    )
