"""How a stopped run goes on: its settings come from its folder, and what is given again must agree with them."""

from collections.abc import Mapping
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
    *(f"training.{name}" for name in ("env_workers", "cuda_graph", "compile")),
    *(f"training.{name}" for name in ("eval_points", "eval_episodes", "eval_envs", "checkpoint_points")),
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
    """Raise UserError if the run in this folder would learn something else with `settings`.

    More frames or epochs are welcome (fewer would end it at once), as is a smaller learning rate. Demonstrations are the
    same if their content is. Settings that an earlier version did not have are not compared.
    """
    if not (directory / "config.json").exists():
        return
    old, new = _flat(read_config(directory)["config"]), _flat(to_json(settings))
    for name, better in (("training.frames", max), ("agent.epochs", max), ("agent.learning_rate", min)):
        if name in old and name in new and better(old[name], new[name]) == new[name]:
            old[name] = new[name]
    if "demonstrations_sha256" in old:
        old.pop("expert_data", None)
    changed = [name for name in old if name in new and name not in _FREE_TO_CHANGE and old[name] != new[name]]
    if "demonstrations_sha256" in changed:
        raise UserError(
            f"The run in {directory} learned from other demonstrations: give it the file that it began with."
        )
    if changed:
        differences = "; ".join(f"{name}: {old[name]}, now {new[name]}" for name in changed)
        raise UserError(f"The run in {directory} had other settings ({differences}): resume it with the same ones.")


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as one level, under today's names: `{"agent": {"gamma": 0.9}}` is `{"agent.gamma": 0.9}`."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        nested = rename_settings(value).items() if isinstance(value, dict) else ()
        flat |= {f"{name}.{key}": item for key, item in nested} if isinstance(value, dict) else {name: value}
    return flat


def interrupted_run(parent: Path, settings: Mapping[str, Any]) -> Path | None:
    """The latest run below `parent` with the same settings that left a checkpoint, or never began, if there is one.

    Demonstrations are the same if their content is.
    """
    wanted = _without_path(to_json(settings))
    for folder in (path.parent for path in sorted(parent.glob("*/config.json"), reverse=True)):
        unfinished = (folder / "checkpoint.pt").exists() or never_began(folder)
        if unfinished and _without_path(read_config(folder)["config"]) == wanted:
            return folder
    return None


def _without_path(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without the path of demonstrations whose digest is among them."""
    return {
        name: value
        for name, value in config.items()
        if name != "expert_data" or not config.get("demonstrations_sha256")
    }
