"""The frame of a run: its folder, log and checkpoint, how it is resumed, and what it leaves behind."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from rlopt.agents.agent import Agent, ExpertSource
from rlopt.agents.methods import Method
from rlopt.agents.saving import save_agent, take_seed
from rlopt.checked import require_positive
from rlopt.config import LoopConfig, RunOptions, TrainingConfig, configure
from rlopt.envs.spec import EnvSpec
from rlopt.errors import UserError
from rlopt.legacy import rename_settings
from rlopt.logs.files import load_safely
from rlopt.logs.run_folder import new_run_directory, to_json
from rlopt.logs.run_log import RunLog
from rlopt.logs.wandb_sink import WandbOptions
from rlopt.training import History, train_offline, train_online
from rlopt.training.evaluation import Evaluator, evaluate

FINAL_EPISODES = 20
"""Episodes per seed of the last evaluation, the one that is reported; more if evaluations during training have more."""

Settings = Mapping[str, Any] | None
"""Fields of a config class that differ from preset and default."""


@dataclass(frozen=True)
class StageResult:
    """What a stage leaves behind."""

    agent: Agent
    returns: np.ndarray
    """True returns `[S, episodes]` of the last evaluation."""
    history: History
    directory: Path
    """The run's log folder."""
    demonstrations: Path | None = None
    """The `expert_buffer.pt` that was written or learned from."""
    reward_recovery: dict[str, Any] | None = None
    """Of a method that learns a reward: learned against true reward."""

    @property
    def wall_seconds(self) -> float:
        """Of the training."""
        return self.history.wall_seconds

    def summary(self) -> dict[str, Any]:
        """All of it but the agent, in primitives."""
        return {
            "returns": self.returns.tolist(),
            "history": asdict(self.history),
            "directory": str(self.directory),
            "wall_seconds": self.wall_seconds,
            "demonstrations": None if self.demonstrations is None else str(self.demonstrations),
            "reward_recovery": self.reward_recovery,
        }


def configure_method(
    method: Method, env_id: str, agent_settings: Settings, training_settings: Settings, **overrides: int | None
) -> tuple[Any, LoopConfig]:
    """The agent's config and the loop's, from preset, settings and overrides; None overrides nothing.

    Raises UserError for a field that neither has.
    """
    loop = TrainingConfig if method.online else LoopConfig
    of_loop = {name: value for name, value in overrides.items() if name in field_names(loop)}
    of_agent = {name: value for name, value in overrides.items() if name not in of_loop}
    return (
        configure(method.config, env_id, agent_settings, **of_agent),
        configure(loop, env_id, {"seed": method.seed, **(training_settings or {})}, **of_loop),
    )


def field_names(config: Any) -> set[str]:
    """The fields of a config class."""
    return {field.name for field in fields(config)}


def check_whole_episode(spec: EnvSpec, frames: int, flag: str = "--frames") -> None:
    """Raise UserError, naming `flag`, if `frames` are not enough for one whole episode."""
    require_positive(**{flag.removeprefix("--").replace("-", "_"): frames})
    if frames < spec.max_episode_steps:
        raise UserError(
            f"{frames} frames are too few for one whole episode of {spec.env_id} (up to {spec.max_episode_steps} steps): "
            f"raise {flag}."
        )


def train(
    agent: Agent, spec: EnvSpec, config: LoopConfig, expert: ExpertSource | None, log: RunLog, **how: Any
) -> History:
    """The loop that `config` is of; `how`: `checkpoint`, `resume` and, online, `best`."""
    if isinstance(config, TrainingConfig):
        return train_online(agent, spec, config, expert, log=log, **how)
    assert expert is not None
    evaluator = Evaluator(
        spec, num_seeds=agent.num_seeds, episodes=config.eval_episodes, envs=config.eval_envs, device=agent.device
    )
    try:
        evaluation: dict[str, Any] = {"evaluator": evaluator, "eval_points": config.eval_points}
        return train_offline(agent, expert, seeds=config.seeds, log=log, **evaluation, **how)
    finally:
        evaluator.close()


def final_evaluation(agent: Agent, spec: EnvSpec, loop: LoopConfig, episodes: int = FINAL_EPISODES) -> np.ndarray:
    """Returns `[S, episodes]` from the start states that every method plays."""
    return evaluate(agent.policy, spec, episodes=episodes, envs=loop.eval_envs, device=agent.device)


def environment(spec: EnvSpec) -> dict[str, Any]:
    """An environment in config.json and in model files: id, keyword arguments and time limit."""
    return {"env": spec.env_id, "env_kwargs": dict(spec.kwargs), "max_episode_steps": spec.max_episode_steps}


def save_models(agent: Agent, method: Method, log: RunLog, spec: EnvSpec, seeds: list[int], **extra: Any) -> Path:
    """The trained agent in its run folder or, where the method says so, one file for each seed beside the run folders."""
    extra |= {name: value for name, value in environment(spec).items() if name != "env"}
    if "{seed}" not in method.model_file:
        path = log.directory / method.model_file
        save_agent(path, agent, spec.env_id, seeds, **extra)
        return path
    for index, seed in enumerate(seeds):
        single = method.agent(agent.config, *spec.sizes, device=agent.device)
        single.load_state_dict(take_seed(agent.state_dict(), index, len(seeds)))
        save_agent(log.directory.parent / method.model_file.format(seed=seed), single, spec.env_id, [seed], **extra)
    return log.directory.parent / method.model_file.format(seed="*")


@contextmanager
def training_run(
    method: Method,
    spec: EnvSpec,
    settings: Mapping[str, Any],
    total: int,
    options: RunOptions,
    resume: str | Path | None = None,
) -> Iterator[tuple[RunLog, dict[str, Any]]]:
    """A run's log, and where its checkpoints go; says how to go on when it is interrupted."""
    parent = Path(options.log_dir) / method.name / spec.name
    settings = {"method": method.name, **environment(spec), **settings}
    if resume == "auto":
        resume = interrupted_run(parent, settings)
    directory = new_run_directory(parent) if resume is None else Path(resume)
    checkpoint = directory / "checkpoint.pt"
    resume_at = None
    if resume is not None:
        resume_at = checkpoint_count(checkpoint, method.unit)
        check_same_settings(directory / "config.json", settings)
    wandb = WandbOptions(project=method.wandb_project, entity=options.wandb_entity, group=options.wandb_group)
    with RunLog(
        directory,
        config=settings,
        title=f"{method.title} {spec.name}",
        total=total,
        unit=method.unit,
        wandb=wandb if options.wandb else None,
        resume_at=resume_at,
        show_progress=options.show_progress,
    ) as log:
        try:
            yield log, {"checkpoint": checkpoint, "resume": None if resume is None else checkpoint}
        except KeyboardInterrupt:
            if checkpoint.exists():
                log.info(
                    f"Interrupted; checkpoint saved. To go on, add --resume {directory} to the command (step 4: --resume)."
                )
            raise
    checkpoint.unlink(missing_ok=True)  # the model is saved, and a replay buffer is large


def checkpoint_count(path: Path, unit: str) -> int:
    """The frames or epochs after which a checkpoint was written.

    Raises UserError if it is none. What else it holds, a whole replay buffer, does not stay in memory.
    """
    hint = "--resume takes the log folder of an interrupted run."
    if path.with_name("config.json").exists() and not path.exists():
        raise UserError(
            f"The run in {path.parent} left no checkpoint: it is finished, or was stopped before the first one."
        )
    state = load_safely(path, what="Checkpoint", hint=hint)
    if not isinstance(state, dict) or not {"agent", "history", unit} <= state.keys():
        raise UserError(f"{path} is no checkpoint: {hint}")
    return int(state[unit])


# Where and how often things are done, not what is learned: a run may be resumed with others.
_FREE_TO_CHANGE = {
    "device",
    *(f"training.{name}" for name in ("env_workers", "cuda_graph", "compile")),
    *(f"training.{name}" for name in ("eval_points", "eval_episodes", "checkpoint_points")),
}


def check_same_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Raise UserError if the run whose config.json this is would learn something else with `settings`.

    More frames are welcome; fewer would end it at once. Settings that an earlier version did not have are not compared.
    """
    if not path.exists():
        return
    old, new = _flat(json.loads(path.read_text())["config"]), _flat(to_json(settings))
    if new.get("training.frames", 0) > old.get("training.frames", 0):
        old["training.frames"] = new["training.frames"]
    changed = [name for name in old if name in new and name not in _FREE_TO_CHANGE and old[name] != new[name]]
    if changed:
        differences = "; ".join(f"{name}: {old[name]}, now {new[name]}" for name in changed)
        raise UserError(f"The run in {path.parent} had other settings ({differences}): resume it with the same ones.")


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as one level, under today's names: `{"agent": {"gamma": 0.9}}` is `{"agent.gamma": 0.9}`."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        nested = rename_settings(value).items() if isinstance(value, dict) else ()
        flat |= {f"{name}.{key}": item for key, item in nested} if isinstance(value, dict) else {name: value}
    return flat


def interrupted_run(parent: Path, settings: Mapping[str, Any]) -> Path | None:
    """The latest run below `parent` with the same settings that left a checkpoint, if there is one."""
    wanted = to_json(settings)
    for checkpoint in sorted(parent.glob("*/checkpoint.pt"), reverse=True):
        config = checkpoint.with_name("config.json")
        if config.exists() and json.loads(config.read_text())["config"] == wanted:
            return checkpoint.parent
    return None


def configure_methods(
    methods: Sequence[Method],
    env_id: str,
    agent_settings: Settings,
    training_settings: Settings,
    budget: Callable[[Method], int],
    **seeds: int,
) -> dict[str, tuple[Any, LoopConfig]]:
    """The agent's config and the loop's of several methods, by name; `budget` gives the frames or epochs of a method."""
    of_agent = reach(methods, agent_settings, lambda method: method.config)
    of_loop = reach(methods, training_settings, lambda method: TrainingConfig if method.online else LoopConfig)
    return {
        name: configure_method(method, env_id, of_agent[name], of_loop[name], **{method.unit: budget(method)}, **seeds)
        for name, method in ((method.name, method) for method in methods)
    }


def reach(methods: Sequence[Method], settings: Settings, kind: Callable[[Method], Any]) -> dict[str, dict[str, Any]]:
    """By method, those settings that its config class (`kind` of the method) has; `ipmd.gamma` reaches IPMD alone.

    Raises UserError for a setting that reaches none.
    """
    given = {name: value for name, value in (settings or {}).items() if value is not None}
    parts: dict[str, dict[str, Any]] = {}
    reached: set[str] = set()
    for method in methods:
        names = {n: n.removeprefix(f"{method.name}.") for n in given}
        own = {n: field for n, field in names.items() if field in field_names(kind(method))}
        reached |= own.keys()
        parts[method.name] = {field: given[n] for n, field in sorted(own.items(), key=lambda pair: "." in pair[0])}
    unknown = sorted(given.keys() - reached)
    if unknown:
        raise UserError(f"No method of {', '.join(parts)} has a setting {', '.join(unknown)}.")
    return parts
