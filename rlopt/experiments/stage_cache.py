"""Cache of finished stages on disk, for resuming an interrupted comparison or study."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlopt.envs.spec import folder_name
from rlopt.errors import UserError
from rlopt.experiments.resuming import changed_settings
from rlopt.logs.files import load_safely, save_atomically
from rlopt.logs.run_folder import to_json
from rlopt.states import UNFIT


class StageCache:
    """Results by stage, written after each; those of other settings are not used.

    Args:
        path: the file.
        settings: what all the stages have in common.
        keep: use what is there; otherwise begin anew.
        same: settings in which what is there must agree, if it does in all others.
        check: of a stage's name and result, raises an exception if that is none.
        command: the flags that the first stage began with, for `recorded_command`.

    Raises UserError if they do not agree, or if the file is damaged or holds something else.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Any],
        keep: bool = True,
        same: Sequence[str] = (),
        check: Callable[[str, dict[str, Any]], None] = lambda name, result: None,
        command: Mapping[str, Any] | None = None,
    ):
        self.path = path
        self.settings = to_json(settings)
        self.command = dict(command or {})
        self.stages: dict[str, dict[str, Any]] = {}
        if keep and path.exists():
            state = read_stages(path, check)
            if not (differing := self._differ_from(state["settings"])):
                self.stages = state["stages"]
            elif differing <= set(same):
                raise UserError(
                    f"What is in {path.parent} was begun with other demonstrations: "
                    "give it the same ones, or leave out --resume."
                )
            else:
                _warn(
                    f"What is in {path.parent} was begun with other settings ({', '.join(sorted(differing))}): "
                    "it is begun anew."
                )

    def _differ_from(self, settings: Any) -> set[str]:
        """The settings that were others, or that an earlier version did not have."""
        if not isinstance(settings, dict):
            return set(self.settings)
        return {key for key, value in self.settings.items() if key not in settings or settings[key] != value}

    def save(self) -> None:
        """Write what is finished, be it nothing yet: a stage that is stopped can then go on by `recorded_command`."""
        save_atomically(self.path, {"settings": self.settings, "stages": self.stages, "command": self.command})

    def get_or_run(self, name: str, run: Callable[[], dict[str, Any]], config: Any = None) -> dict[str, Any]:
        """The result called `name`, of a stage with this `config`: from the cache, or by running it now.

        A config that differs in where and how often things are done, not in what is learned, is the same.
        """
        kept = self.stages.get(name)
        changed = {} if kept is None else changed_settings(kept["config"], config)
        if changed:
            _warn(f"{name} had other settings ({', '.join(sorted(changed))}): it is trained anew.")
        if kept is None or changed:
            self.stages[name] = {"config": to_json(config), "result": run()}
            self.save()
        return self.stages[name]["result"]


def read_stages(path: Path, check: Callable[[str, dict[str, Any]], None] = lambda name, result: None) -> dict[str, Any]:
    """What `StageCache.save` wrote. Raises UserError if the file is missing, damaged, or holds something else."""
    state = load_safely(path, what="Finished stages", hint="Delete the file to begin anew.")
    try:
        _check_form(state, check)
    except UNFIT as error:
        raise UserError(f"{path} holds no finished stages of rlopt ({error}): delete it to begin anew.") from error
    for stage in state["stages"].values():
        if isinstance(stage["config"], list):  # a study's of an earlier version
            stage["config"] = dict(zip(("agent", "training"), stage["config"], strict=False))
    return state


def recorded_command(folder: str | Path) -> dict[str, Any]:
    """The flags that the comparison in `folder` began with. Raises UserError if there is none, or no flags are known."""
    path = Path(folder) / "stages.pt"
    if not path.exists():
        raise UserError(f"{folder} holds no comparison: --resume takes the folder of its results, SAVE_DIR/ENV.")
    state = read_stages(path)
    if not state.get("command"):
        raise UserError(f"The comparison in {folder} does not tell its flags: give them again, and --resume alone.")
    name = folder_name(state["settings"]["env"], state["settings"]["env_kwargs"])
    return {**state["command"], "save_dir": str(Path(folder).resolve().parents[len(Path(name).parts) - 1])}


def _warn(message: str) -> None:
    logging.getLogger("rlopt").warning(message)


def _check_form(state: Any, check: Callable[[str, dict[str, Any]], None]) -> None:
    """Raise an exception unless a file has what `get_or_run` writes: settings, and by stage a config and a result."""
    if not isinstance(state, dict) or not isinstance(state.get("stages"), dict) or "settings" not in state:
        raise ValueError("there are no settings or no stages")
    if not isinstance(state.get("command", {}), dict):
        raise ValueError("its flags are none")
    for name, stage in state["stages"].items():
        if (
            not isinstance(stage, dict)
            or not isinstance(stage.get("config"), dict | list)
            or not isinstance(stage.get("result"), dict)
        ):
            raise ValueError(f"{name} has no config or no result")
        check(name, stage["result"])
