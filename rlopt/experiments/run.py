"""The frame of a run: its folder, log and checkpoint, how it is resumed, and what it leaves behind."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlopt.agents.agent import Agent, ExpertSource
from rlopt.agents.methods import Method
from rlopt.agents.saving import save_agent, take_seed
from rlopt.config import LoopConfig, RunOptions, TrainingConfig, configure
from rlopt.envs.spec import EnvSpec
from rlopt.errors import CannotWrite, UserError
from rlopt.experiments.resuming import check_same_settings, checkpoint_count, interrupted_run, over
from rlopt.logs.files import tell_how_to_go_on
from rlopt.logs.lock import WAIT_SECONDS, only_process_in
from rlopt.logs.run_folder import how_to_go_on, never_began, new_run_directory
from rlopt.logs.run_log import RunLog
from rlopt.logs.wandb_sink import WandbOptions
from rlopt.training import History, train_offline, train_online
from rlopt.training.evaluation import Evaluation, Evaluator, play

FINAL_EPISODES = 20
"""Episodes per seed of the last evaluation, the one that is reported; more if evaluations during training have more."""

Settings = Mapping[str, Any] | None
"""Fields of a config class that differ from preset and default."""


@dataclass(frozen=True)
class StageResult:
    """What a stage leaves behind."""

    agent: Agent
    """As it was at the end of the training."""
    returns: np.ndarray
    """True returns `[S, episodes]` of the last evaluation."""
    history: History
    """Evaluations and losses of the training."""
    directory: Path
    """The run's log folder."""
    demonstrations: Path | None = None
    """The `expert_buffer.pt` that was written or learned from."""
    reward_recovery: dict[str, Any] | None = None
    """Of a method that learns a reward: learned against true reward."""
    successes: np.ndarray | None = None
    """Which episodes of the last evaluation were a success, `[S, episodes]`; None where the environment does not say."""
    demonstrations_sha256: str | None = None
    """The digest of the demonstrations that were written."""

    @property
    def wall_seconds(self) -> float:
        """Of the training."""
        return self.history.wall_seconds

    def summary(self) -> dict[str, Any]:
        """All of it but the agent, in primitives."""
        return {
            "returns": self.returns.tolist(),
            "successes": None if self.successes is None else self.successes.tolist(),
            "history": asdict(self.history),
            "directory": str(self.directory),
            "wall_seconds": self.wall_seconds,
            "demonstrations": None if self.demonstrations is None else str(self.demonstrations),
            "demonstrations_sha256": self.demonstrations_sha256,
            "reward_recovery": self.reward_recovery,
        }


def configure_method(
    method: Method,
    env_id: str,
    agent_settings: Settings,
    training_settings: Settings,
    *,
    from_states: bool = False,
    **overrides: int | None,
) -> tuple[Any, LoopConfig]:
    """The agent's config and the loop's, from preset, settings and overrides; None overrides nothing.

    `from_states`: the demonstrations have no actions, so that the method's settings for that take the preset's place. Raises
    UserError for a field that neither has, and for a method that needs actions.
    """
    if from_states and method.from_demonstrations:
        if method.from_states is None:
            raise UserError(
                f"{method.title} learns from the expert's actions, and these demonstrations have none: "
                "leave it out (--methods of step 4)."
            )
        agent_settings = over(method.from_states, agent_settings)
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


def train(
    agent: Agent, spec: EnvSpec, config: LoopConfig, expert: ExpertSource | None, log: RunLog, **how: Any
) -> History:
    """The loop that `config` is of; `how`: `checkpoint`, `resume` and, online, `best`."""
    if isinstance(config, TrainingConfig):
        return train_online(agent, spec, config, expert, log=log, **how)
    assert expert is not None
    episodes: dict[str, Any] = {"episodes": config.eval_episodes, **config.playing}
    how |= {"eval_points": config.eval_points, "checkpoint_points": config.checkpoint_points, "seeds": config.seeds}
    with closing(Evaluator(spec, num_seeds=agent.num_seeds, device=agent.device, **episodes)) as evaluator:
        return train_offline(agent, expert, evaluator=evaluator, log=log, **how)


def final_evaluation(agent: Agent, spec: EnvSpec, loop: LoopConfig, episodes: int = FINAL_EPISODES) -> Evaluation:
    """Episodes from the start states that every method plays."""
    return play(agent.policy, spec, episodes=episodes, device=agent.device, **loop.playing)


def environment(spec: EnvSpec) -> dict[str, Any]:
    """An environment in config.json and in model files: id, keyword arguments and time limit."""
    return {"env": spec.env_id, "env_kwargs": dict(spec.kwargs), "max_episode_steps": spec.max_episode_steps}


def save_models(agent: Agent, method: Method, log: RunLog, spec: EnvSpec, seeds: list[int], **extra: Any) -> Path:
    """The trained agent in its run folder; where the method says so, one file for each seed there and beside the run folders.

    Those beside are of the latest run: of two runs with the same seeds, one overwrites the other's.
    """
    extra |= {name: value for name, value in environment(spec).items() if name != "env"}
    extra |= {"action_low": torch.tensor(spec.action_low), "action_high": torch.tensor(spec.action_high)}
    if "{seed}" not in method.model_file:
        path = log.directory / method.model_file
        save_agent(path, agent, spec.env_id, seeds, **extra)
        log.keep(f"{method.name}-{spec.name}", "model", [path])
        return path
    folder = log.directory.parent
    paths = [folder / method.model_file.format(seed=seed) for seed in seeds]
    with only_process_in(folder, wait=WAIT_SECONDS):
        for index, (seed, path) in enumerate(zip(seeds, paths, strict=True)):
            single = method.agent(agent.config, *spec.sizes, device=agent.device)
            single.load_state_dict(take_seed(agent.state_dict(), index, len(seeds)))
            for place in (log.directory, folder):
                save_agent(place / path.name, single, spec.env_id, [seed], **extra)
        log.keep(f"{method.name}-{spec.name}", "model", [log.directory / path.name for path in paths])
    return folder / method.model_file.format(seed="*")


@contextmanager
def training_run(
    method: Method,
    spec: EnvSpec,
    settings: Mapping[str, Any],
    total: int,
    options: RunOptions,
    resume: str | Path | None = None,
) -> Iterator[tuple[RunLog, dict[str, Any]]]:
    """A run's log, and where its checkpoints go; says how to go on when it is interrupted, or its disk is full."""
    parent = Path(options.log_dir) / method.name / spec.name
    settings = {"method": method.name, **environment(spec), **settings}
    by_itself = resume == "auto"  # then whoever called tells how to go on
    if resume == "auto":
        resume = interrupted_run(parent, settings)
    directory = new_run_directory(parent) if resume is None else Path(resume)
    checkpoint = directory / "checkpoint.pt"
    wandb = WandbOptions(project=method.wandb_project, entity=options.wandb_entity, group=options.wandb_group)
    advice = nullcontext() if by_itself else tell_how_to_go_on(partial(how_to_go_on, directory))
    with advice, only_process_in(directory):
        resume_at = None
        if resume is not None:
            check_same_settings(directory, settings)
            resume = None if never_began(directory) else resume
        if resume is not None:
            resume_at = checkpoint_count(checkpoint, method.unit)
        with RunLog(
            directory,
            config=settings,
            title=f"{method.title} {spec.name}",
            total=total,
            unit=method.unit,
            wandb=wandb if options.wandb else None,
            tensorboard=options.tensorboard,
            resume_at=resume_at,
            show_progress=options.show_progress,
        ) as log:
            try:
                yield log, {"checkpoint": checkpoint, "resume": None if resume is None else checkpoint}
            except KeyboardInterrupt:
                log.info(f"Interrupted. To go on: {how_to_go_on(directory)}.")
                raise
            except CannotWrite:  # tells it itself
                raise
            except UserError:
                if checkpoint.exists():
                    log.info(f"The last checkpoint is kept. To go on from it: {how_to_go_on(directory)}.")
                raise
        if not options.keep_checkpoint:  # the model is saved, and a replay buffer is large
            checkpoint.unlink(missing_ok=True)
            shutil.rmtree(directory / "replay", ignore_errors=True)


def configure_methods(
    methods: Sequence[Method],
    env_id: str,
    agent_settings: Settings,
    training_settings: Settings,
    budget: Callable[[Method], int],
    *,
    from_states: bool = False,
    **seeds: int,
) -> dict[str, tuple[Any, LoopConfig]]:
    """The agent's config and the loop's of several methods, by name; `budget` gives the frames or epochs of a method."""
    of_agent = reach(methods, agent_settings, lambda method: method.config)
    of_loop = reach(methods, training_settings, lambda method: TrainingConfig if method.online else LoopConfig)
    return {
        method.name: configure_method(
            method,
            env_id,
            of_agent[method.name],
            of_loop[method.name],
            from_states=from_states,
            **{method.unit: budget(method)},
            **seeds,
        )
        for method in methods
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
