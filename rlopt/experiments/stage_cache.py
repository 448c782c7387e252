"""Cache of finished stages on disk, for resuming an interrupted comparison or study, and for cells that ran by themselves."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlopt.envs.spec import folder_name
from rlopt.errors import UserError, warn
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
        alone: the one stage that this process runs, beside others that run theirs: its result goes to a file of its own, which
            a cache of all stages takes over.

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
        alone: str | None = None,
    ):
        self.path, self.alone = path, alone
        self.settings = to_json(settings)
        self.command = dict(command or {})
        self.stages: dict[str, dict[str, Any]] = {}
        self._taken_over = cell_files(path)
        """Files of single stages; the next `save` of all stages removes them."""
        if self._taken_over and not keep:
            raise UserError(
                f"Cells that ran by themselves are in {cells_folder(path)}: add --resume to collect them, or delete that "
                "folder to begin anew."
            )
        for file in [path, *self._taken_over] if keep else []:
            self.stages |= self._stages_in(file, check, same) if file.exists() else {}

    def _stages_in(
        self, file: Path, check: Callable[[str, dict[str, Any]], None], same: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        state = read_stages(file, check)
        if not (differing := self._differ_from(state["settings"])):
            return state["stages"]
        if differing <= set(same):
            raise UserError(
                f"What is in {file.parent} was begun with other demonstrations: "
                "give it the same ones, or leave out --resume."
            )
        warn(
            f"What is in {file.parent} was begun with other settings ({', '.join(sorted(differing))}): it is begun anew."
        )
        return {}

    def _differ_from(self, settings: Any) -> set[str]:
        """The settings that were others, or that an earlier version did not have."""
        if not isinstance(settings, dict):
            return set(self.settings)
        return {key for key, value in self.settings.items() if key not in settings or settings[key] != value}

    def save(self) -> None:
        """Write what is finished, be it nothing yet: a stage that is stopped can then go on by `recorded_command`."""
        state: dict[str, Any] = {"settings": self.settings, "stages": self.stages, "command": self.command}
        if self.alone is not None:
            own = {name: stage for name, stage in self.stages.items() if name == self.alone}
            save_atomically(cells_folder(self.path) / f"{slug(self.alone)}.pt", {**state, "stages": own})
            return
        save_atomically(self.path, state)
        for file in self._taken_over:
            file.unlink(missing_ok=True)
        self._taken_over = []

    def find(self, name: str, config: Any) -> dict[str, Any] | None:
        """The result called `name` of a stage with this `config`, if it is there.

        A config that differs in where and how often things are done, not in what is learned, is the same.
        """
        kept = self.stages.get(name)
        changed = {} if kept is None else changed_settings(kept["config"], config)
        if changed:
            warn(f"{name} had other settings ({', '.join(sorted(changed))}): it is trained anew.")
        return None if kept is None or changed else kept["result"]

    def keep(self, name: str, config: Any, result: dict[str, Any]) -> None:
        """Take the result of a stage with this config, and write it."""
        self.stages[name] = {"config": to_json(config), "result": result}
        self.save()


def cells_folder(path: Path) -> Path:
    """Where the results of stages lie that ran by themselves, of a cache in the file `path`."""
    return path.with_suffix(".cells")


def cell_files(path: Path) -> list[Path]:
    """Those results, each in a file."""
    return sorted(file for file in cells_folder(path).glob("*.pt") if not file.name.startswith("."))


def slug(name: str) -> str:
    """A name for files and command lines: "1/eta = 0.1" is "1-eta-0.1"."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-")


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
    whole = Path(folder) / "stages.pt"
    path = next((file for file in (whole, *cell_files(whole)) if file.exists()), None)
    if path is None:
        raise UserError(f"{folder} holds no comparison: --resume takes the folder of its results, SAVE_DIR/ENV.")
    state = read_stages(path)
    if not state.get("command"):
        raise UserError(f"The comparison in {folder} does not tell its flags: give them again, and --resume alone.")
    name = folder_name(state["settings"]["env"], state["settings"]["env_kwargs"])
    return {**state["command"], "save_dir": str(Path(folder).resolve().parents[len(Path(name).parts) - 1])}


def _check_form(state: Any, check: Callable[[str, dict[str, Any]], None]) -> None:
    """Raise an exception unless a file has what `StageCache.save` writes: settings, and by stage a config and a result."""
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
