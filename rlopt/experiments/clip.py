"""A short film of a comparison's policies, side by side, where something can draw it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rlopt.agents.methods import get_method
from rlopt.envs.spec import EnvSpec
from rlopt.export.write import export_policy
from rlopt.play.display import gl_candidates
from rlopt.policies import load_policy
from rlopt.training.evaluation import EVALUATION_SEED

CLIP = "clip.gif"
"""Its name in a folder of results."""
DRAWING_SECONDS = 3.0
"""How long pictures are drawn, at most."""
MOST_SECONDS = 30
"""After which a process that draws is ended."""
_PYGAME = ("gymnasium.envs.classic_control", "gymnasium.envs.box2d", "rlopt.envs.variants:long_pendulum")


Stages = Mapping[str, Sequence[Mapping[str, Any]]]
"""By method, the summaries (`StageResult.summary`) of its cells, whose seeds follow each other."""


def write_clip(
    stages: Stages, spec: EnvSpec, seeds: Sequence[int], directory: Path, wanted: bool = True
) -> Path | None:
    """Write `CLIP` of the stages' policies in the first start state of the evaluations; an older one goes.

    The expert is the policy that recorded the demonstrations; of any other method it is the seed with the median return. Where
    nothing can draw, a package is missing, or anything else fails, there is no clip, and no word but in the debug log: it may
    not cost a comparison its results.

    Args:
        stages: what the methods came to.
        spec: the environment.
        seeds: of every method.
        directory: the folder of the results.
        wanted: else there is none.

    Returns:
        The file, or None.
    """
    path = directory / CLIP
    path.unlink(missing_ok=True)
    if not wanted or not can_be_drawn(spec):
        return None
    try:
        with tempfile.TemporaryDirectory() as folder:
            panels = [(title, str(file)) for title, file in export_panels(stages, spec, seeds, Path(folder))]
            env = {name: getattr(spec, name) for name in ("env_id", "max_episode_steps", "starts_alike")}
            env |= {"source": spec.env_id, "kwargs": dict(spec.kwargs)}
            job = {"env": env, "panels": panels, "reset_seed": EVALUATION_SEED, "seconds": DRAWING_SECONDS}
            (Path(folder) / "job.json").write_text(json.dumps(job))
            reason = draw(Path(folder) / "job.json", path) if panels else "no policy"
    except Exception as error:  # whatever it is
        reason = repr(error)
    if reason:
        logging.getLogger("rlopt").debug(f"There is no {CLIP}: {reason}")
    return path if path.exists() else None


def can_be_drawn(spec: EnvSpec) -> bool:
    """Whether an environment says that it draws itself, and by a name that another process can find."""
    import gymnasium as gym

    if spec.torchrl or not isinstance(spec.source, gym.envs.registration.EnvSpec):
        return False
    with closing(spec.make()) as env:
        modes, entry = env.metadata.get("render_modes") or (), str(spec.source.entry_point)
    return "rgb_array" in modes and not (entry.startswith(_PYGAME) and find_spec("pygame") is None)


def export_panels(stages: Stages, spec: EnvSpec, seeds: Sequence[int], folder: Path) -> Iterator[tuple[str, Path]]:
    """Titles, and files of plain arrays in `folder`, of the policies whose models are there."""
    for name, cells in stages.items():
        method = get_method(name)
        expert = not method.from_demonstrations
        means = [float(np.mean(row)) for cell in cells for row in cell["returns"]]
        folders = [Path(cell["directory"]) for cell in cells for _ in cell["returns"]]
        index = int(np.argsort(means)[(len(means) - 1) // 2])
        seed = seeds[index]
        model = folders[index] / method.model_file.format(seed=seed)
        if not model.exists():
            continue
        policy = load_policy(model, None if expert else seed, best=expert, env=spec)
        title = f"{method.title}{', the expert' * expert} (seed {policy.seeds[0]})"
        yield title, export_policy(policy, folder / f"{name}.npz", "numpy").path


def draw(job: Path, path: Path) -> str:
    """Film a job in a process of its own, with one way to draw after the other; returns why there is no film, or nothing."""
    # MuJoCo was loaded, if it is needed: the environment has been made here
    choose = sys.platform.startswith("linux") and "mujoco" in sys.modules and not os.environ.get("MUJOCO_GL")
    reason = ""
    for gl in gl_candidates() if choose else [None]:
        found = os.pathsep.join(folder or os.getcwd() for folder in sys.path)  # the environment's module, too
        # threads would cost more than these small products
        environment = {"SDL_VIDEODRIVER": "dummy", **os.environ, "PYTHONPATH": found, "OMP_NUM_THREADS": "1"}
        environment |= {} if gl is None else {"MUJOCO_GL": gl}
        command = [sys.executable, "-m", "rlopt.play.side_by_side", str(job), str(path)]
        how: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
        done = subprocess.run(command, env=environment, timeout=MOST_SECONDS, **how)
        if done.returncode == 0:
            return ""
        reason = done.stderr.strip()
    return reason or "the process was ended"
