"""How a stopped run goes on: its settings come from its folder, and what is given again must agree with them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rlopt.agents.methods import Method
from rlopt.config import Selection
from rlopt.envs.spec import EnvSpec, env_spec
from rlopt.errors import UserError
from rlopt.legacy import rename_settings, upgrade_settings
from rlopt.logs.files import load_safely
from rlopt.logs.run_folder import never_began, read_config, to_json

# Where and how often things are done, not what is learned: a run may be resumed with others.
_FREE_TO_CHANGE = {
    *("device", "save_dir", "episodes", "init_from"),
    *(f"training.{name}" for name in ("env_workers", "workers", "cuda_graph", "compile")),
    *(f"training.{name}" for name in ("eval_points", "eval_episodes", "eval_envs", "checkpoint_points")),
}


# An unfinished run may go on for longer, and more carefully.
_MAY_GROW: dict[str, Callable[..., Any]] = {
    **{"training.frames": max, "agent.epochs": max, "agent.learning_rate": min},
    **{"expert_frames": max, "ipmd_frames": max, "bc_epochs": max, "learning_rate": min},
}
_FREE_FLAGS = {
    "resume",
    "methods",
    "expert_data",
    "wandb",
    "wandb_entity",
    "wandb_group",
    "tensorboard",
    "show_progress",
    "keep_checkpoint",
    "video",
}


def recorded_settings(resume: str | Path | None, method: Method) -> dict[str, Any]:
    """What the run folder `resume` says of its settings; empty without one, or with "auto", where they are given.

    Returns:
        `agent` and `training`, fields of the config classes, and what else was recorded: `env`, `expert_data`, ...

    Raises:
        UserError: it is no run folder, or one of another method.
    """
    if resume is None or resume == "auto":
        return {"agent": {}, "training": {}}
    if not (Path(resume) / "config.json").exists():
        raise UserError(f"{resume} is no run folder: --resume takes the log folder of a run that was stopped.")
    config = dict(read_config(Path(resume))["config"])
    if config.get("method", method.name) != method.name:
        raise UserError(
            f"The run in {resume} is one of {config['method']}, not of {method.name}: resume it with its own step."
        )
    for name, upgrade in (("agent", upgrade_settings), ("training", rename_settings)):
        fields = upgrade(config.get(name, {}))
        config[name] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return config


def is_run_of(method: str, resume: str | Path | None) -> bool:
    """Whether the run folder `resume` is one of a method of this name."""
    if resume is None or not (Path(resume) / "config.json").exists():
        return False
    return read_config(Path(resume))["config"].get("method") == method


def recorded_spec(recorded: Mapping[str, Any], resume: Any) -> EnvSpec | None:
    """The environment that was recorded; None where nothing was. Raises UserError for one that a name does not find."""
    if "env" not in recorded:
        return None
    try:
        return env_spec(recorded["env"], recorded.get("env_kwargs"), recorded.get("max_episode_steps"))
    except UserError as error:
        raise UserError(f"The environment of the run in {resume} is not found: give it again. {error}") from error


def recorded_demonstrations(recorded: Mapping[str, Any], resume: Any) -> str:
    """Where the demonstrations were. Raises UserError if they were no file, or nothing was recorded."""
    source = recorded.get("expert_data")
    if source is None:
        raise UserError(
            "Demonstrations are needed: the path of an expert_buffer.pt, or any other recording that rlopt reads."
        )
    if ":" not in source and not Path(source).exists():
        raise UserError(f"The demonstrations of the run in {resume} ({source}) are not found: give them again.")
    return source


def recorded_selection(recorded: Mapping[str, Any], given: Selection) -> Selection:
    """The part of the demonstrations that was recorded, where nothing else is given."""
    names = {"demos": "demonstrations", "skip_demos": "skip_demos", "subsample": "subsample", "noise": "noise"}
    plain = Selection()
    values = {
        name: recorded[key]
        if key in recorded and getattr(given, name) == getattr(plain, name)
        else getattr(given, name)
        for name, key in names.items()
    }
    return Selection(**values)


def over(recorded: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Settings that were given in place of recorded ones; None is not given."""
    return {**recorded, **{name: value for name, value in (given or {}).items() if value is not None}}


def settings_over(
    recorded: Mapping[str, Any], agent_settings: Mapping[str, Any] | None, training_settings: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The agent's settings and the loop's: recorded ones, and in their place what was given."""
    return over(recorded["agent"], agent_settings), over(recorded["training"], training_settings)


def checkpoint_count(path: Path, unit: str) -> int:
    """The frames or epochs after which a checkpoint was written.

    Raises UserError if it is none.
    """
    hint = "--resume takes the log folder of a run that was stopped."
    if path.with_name("config.json").exists() and not path.exists():
        raise UserError(
            f"The run in {path.parent} has no checkpoint, so it is finished: --keep-checkpoint keeps one, and --init-from "
            "MODEL starts a new run from its model."
        )
    state = load_safely(path, what="Checkpoint", hint=hint)
    if not isinstance(state, dict) or not {"agent", "history"} <= state.keys() or type(state.get(unit)) is not int:
        raise UserError(f"{path} is no checkpoint: {hint}")
    return state[unit]


def check_same_settings(directory: Path, settings: Mapping[str, Any]) -> None:
    """Raise UserError if the run in this folder would learn something else with `settings` (`changed_settings`)."""
    if not (directory / "config.json").exists():
        return
    changed = changed_settings(read_config(directory)["config"], settings, unfinished=True)
    if "demonstrations_sha256" in changed:
        raise UserError(
            f"The run in {directory} learned from other demonstrations: give it the file that it began with."
        )
    if changed:
        raise UserError(
            f"The run in {directory} had other settings ({_differences(changed)}): resume it with the same ones."
        )


def check_same_command(folder: str | Path, recorded: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise UserError if a comparison would learn something else with the flags `given` than with those that it began with."""
    free = {name.rpartition(".")[2] for name in _FREE_TO_CHANGE} | _FREE_FLAGS
    old = {name: value for name, value in to_json(recorded).items() if name not in free}
    changed = _changed(old, to_json(given), _MAY_GROW)
    if changed:
        raise UserError(
            f"The comparison in {folder} had other settings ({_differences(changed)}): resume it with the same ones."
        )


def changed_settings(recorded: Any, settings: Any, *, unfinished: bool = False) -> dict[str, tuple[Any, Any]]:
    """The settings that make a run learn something else, with their values: recorded, and now.

    An unfinished run may go on for more frames or epochs, or with a smaller learning rate. Demonstrations are the same if their
    content is. Settings that an earlier version did not have are not compared.
    """
    old, new = _flat(to_json(recorded)), _flat(to_json(settings))
    if "demonstrations_sha256" in old:
        old.pop("expert_data", None)
    old = {name: value for name, value in old.items() if name not in _FREE_TO_CHANGE}
    return _changed(old, new, _MAY_GROW if unfinished else {})


def _changed(
    old: Mapping[str, Any], new: Mapping[str, Any], better: Mapping[str, Callable[..., Any]]
) -> dict[str, tuple[Any, Any]]:
    """What differs; not so where `better`, `max` or `min`, takes the new value."""
    return {
        name: (old[name], new[name])
        for name in old
        if name in new
        and old[name] != new[name]
        and (name not in better or None in (old[name], new[name]) or better[name](old[name], new[name]) != new[name])
    }


def _differences(changed: Mapping[str, tuple[Any, Any]]) -> str:
    return "; ".join(f"{name}: {old}, now {new}" for name, (old, new) in changed.items())


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as one level, under today's names: `{"agent": {"gamma": 0.9}}` is `{"agent.gamma": 0.9}`."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        nested = rename_settings(value).items() if isinstance(value, dict) else ()
        flat |= {f"{name}.{key}": item for key, item in nested} if isinstance(value, dict) else {name: value}
    return flat


def interrupted_run(parent: Path, settings: Mapping[str, Any]) -> Path | None:
    """The latest run below `parent` with the same settings that left a checkpoint, or never began, if there is one."""
    names = _flat(to_json(settings)).keys()
    for folder in (path.parent for path in sorted(parent.glob("*/config.json"), reverse=True)):
        if (folder / "checkpoint.pt").exists() or never_began(folder):
            recorded = read_config(folder)["config"]
            if _flat(recorded).keys() == names and not changed_settings(recorded, settings, unfinished=True):
                return folder
    return None
