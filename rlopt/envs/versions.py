"""Which MuJoCo an environment of another package needs, where it fails for having another one.

rlopt's own tests pass with MuJoCo 3.3, 3.11, 3.17 and 4.0. Other packages are choosier, and pip knows it of metaworld alone:

- gymnasium-robotics 1.4 asks `joint_type in (mjJNT_HINGE, mjJNT_SLIDE)` of an element of `model.jnt_type`. Since MuJoCo 3.12
  that is never true, for `mjJNT_HINGE == np.int32(3)` is False, while `np.int32(3) == mjJNT_HINGE` is True. Its mazes and
  Adroit hands do not ask.
- dm_control looks up every array of the MuJoCo that it was made with, which is the lowest one that it requires. Later ones
  have lost some.
- metaworld requires exactly one.
"""

from __future__ import annotations

import importlib.metadata
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

FAILS_IN = {
    "gymnasium_robotics.utils": "gymnasium-robotics",
    "dm_control.mujoco": "dm-control",
    "metaworld": "metaworld",
}
"""Modules in which environments fail with the wrong MuJoCo, and the names by which pip knows their packages."""

EXTRAS = {"shimmy": "dm-control", "gymnasium_robotics": "robotics"}
"""Modules that register environments, and the extra of rlopt that brings them with a MuJoCo that they work with."""


_PYOPENGL = (
    ("glGetError", "osmesa", "OSMesa (Debian: libosmesa6)"),
    ("eglQueryString", "egl", "EGL (Debian: libegl1)"),
)
"""What PyOpenGL misses where there is no library: `'NoneType' object has no attribute ...`."""


def mujoco_remedy(error: BaseException) -> str:
    """A sentence that says what to install, if MuJoCo is the reason of an environment's error; else nothing."""
    from packaging.specifiers import SpecifierSet

    installed = _version("mujoco")
    if installed is None:
        return ""
    if any("mujoco-core" in str(cause) for cause in _causes(error)):
        # Since 4.0 MuJoCo is three packages. pip installs the other two, and then removes the files of 3.x, which have the
        # same names. MuJoCo itself advises --force-reinstall without versions, which brings parts of different versions.
        return (
            f"MuJoCo {installed} is damaged, as pip leaves it when it upgrades 3.x in place: "
            "run `pip uninstall mujoco mujoco-core mujoco-studio`, then install mujoco again."
        )
    for call, backend, library in _PYOPENGL:
        if any(call in str(cause) for cause in _causes(error)):
            return f"MUJOCO_GL={backend} needs {library}, which is not here: install it, or unset MUJOCO_GL."
    for package in _packages_in(error):
        needed = _needed_mujoco(package)
        if not SpecifierSet(needed).contains(installed, prereleases=True):
            return (
                f"{package} {_version(package)} needs another MuJoCo than {installed} ({one_line(error)}): "
                f"pip install 'mujoco{needed}'."
            )
    return ""


def import_refusal(module: str, error: ImportError) -> str:
    """Why a module cannot be imported, and what to install if that is known."""
    extra = f": pip install 'rlopt[{EXTRAS[module]}]'" if error.name == module and module in EXTRAS else ""
    return mujoco_remedy(error) or f"the module {module!r} cannot be imported ({one_line(error)}){extra}."


def one_line(error: BaseException) -> str:
    """What an exception says, or its name if it says nothing, without a full stop."""
    return _words(error) or type(error).__name__


def told(error: BaseException) -> str:
    """Kind, words and place of an exception from code that is not rlopt's, for a sentence, without a full stop."""
    says = _words(error)
    return type(error).__name__ + f": {says}" * bool(says) + _place(error)


def _words(error: BaseException) -> str:
    """What it says, in one line and without a full stop."""
    return " ".join(str(error).split()).rstrip(".")


def _place(error: BaseException) -> str:
    """Of the user's own lines in its traceback the last, " (file.py, line 3)"; where it says nothing, of all lines."""
    frames = [(Path(frame.f_code.co_filename), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [(file, line) for file, line in frames if file.is_file() and not _is_installed(file)]
    found = own or frames * (not str(error))
    return f" ({found[-1][0].name}, line {found[-1][1]})" if found else ""


def _is_installed(file: Path) -> bool:
    """Whether it belongs to Python, a package or rlopt."""
    folders = Path(sysconfig.get_path("stdlib")), Path(__file__).parents[1]
    return "site-packages" in file.parts or any(map(file.is_relative_to, folders))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, the one that it was raised from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__


def _packages_in(error: BaseException) -> Iterator[str]:
    """Packages of `FAILS_IN` that an exception came through."""
    frames = [frame for cause in _causes(error) for frame, _ in traceback.walk_tb(cause.__traceback__)]
    modules = {frame.f_globals.get("__name__", "") for frame in frames}
    for prefix, package in FAILS_IN.items():
        if any(f"{module}.".startswith(f"{prefix}.") for module in modules) and _version(package) is not None:
            yield package


def _needed_mujoco(package: str) -> str:
    """The versions of MuJoCo that an installed package works with, as pip writes them; empty if any."""
    from packaging.requirements import Requirement

    if package == "gymnasium-robotics":
        return "<3.12"  # it requires >=2.2
    for requirement in map(Requirement, importlib.metadata.requires(package) or ()):
        if requirement.name == "mujoco":
            return "".join(f"=={limit.version}" for limit in requirement.specifier if limit.operator in ("==", ">="))
    return ""


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
