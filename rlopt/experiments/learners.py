"""Stages 2 and 3: IPMD, BC, or any other method that learns from demonstrations."""

import os
from pathlib import Path
from typing import Any

from rlopt.agents import get_method
from rlopt.config import RunOptions, Selection, TrainingConfig
from rlopt.envs.spec import EnvSpec, as_spec
from rlopt.experiments.reward_recovery import has_learned_reward, reward_recovery
from rlopt.experiments.run import (
    FINAL_EPISODES,
    Settings,
    StageResult,
    check_whole_episode,
    configure_method,
    final_evaluation,
    save_models,
    train,
    training_run,
)
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.imitation.readers import environment_of, prepare_demonstrations, source_name
from rlopt.report.results import score_line
from rlopt.training.devices import choose_device


def train_method(
    name: str,
    expert_data: Any,
    *,
    env_id: str | EnvSpec | None = None,
    agent_settings: Settings = None,
    training_settings: Settings = None,
    selection: Selection = Selection(),  # noqa: B008  (frozen)
    resume: str | Path | None = None,
    options: RunOptions = RunOptions(),  # noqa: B008
    **settings: Any,
) -> StageResult:
    """Train a method on demonstrations; the environment's reward is only used to evaluate.

    Args:
        name: a method of `rlopt.agents.METHODS`.
        expert_data: anything that `load_demonstrations` reads.
        env_id: a gymnasium id or a spec; None: the one that the demonstrations name.
        agent_settings: fields of the method's config class that differ from the environment's preset.
        training_settings: fields of `TrainingConfig` (a method without an environment: `LoopConfig`) that do.
        selection: which part of the demonstrations it gets.
        resume: the folder of an interrupted run.
        options: device, logs, W&B.
        **settings: single fields of either class (`frames=20_000`) or of `Selection` (`demos=1`), which come first.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    method, device = get_method(name), choose_device(options.device)
    chosen = {key: settings.pop(key) for key in vars(selection) if key in settings}
    selection = Selection(**{**vars(selection), **chosen})
    spec = None if env_id is None else as_spec(env_id)
    data = prepare_demonstrations(expert_data, spec, selection)
    spec = environment_of(data) if spec is None else spec
    config, training = configure_method(method, spec.env_id, agent_settings, training_settings, **settings)
    total = training.frames if isinstance(training, TrainingConfig) else config.epochs
    if isinstance(training, TrainingConfig):
        check_whole_episode(spec, total)
    seed, num_seeds = training.seed, training.num_seeds
    agent = method.agent(config, *spec.sizes, num_seeds=num_seeds, seed=seed, device=device)
    expert = ExpertReplayBuffer(data, device=device, seed=seed)

    recorded = {**vars(selection), "demonstrations": data.num_episodes, "expert_data": source_name(expert_data)}
    recorded["demonstrations_sha256"] = data.digest
    del recorded["demos"]  # which may be None, for all
    everything = {"device": str(device), "agent": config, "training": training, **recorded}
    with training_run(method, spec, everything, total, options, resume) as (log, checkpoints):
        history = train(agent, spec, training, expert, log, **checkpoints)
        returns = final_evaluation(
            agent, spec, training, max(FINAL_EPISODES, 0 if method.online else training.eval_episodes)
        )
        save_models(agent, method, log, spec, training.seeds)
        recovery = reward_recovery(agent, spec, envs=training.eval_envs) if has_learned_reward(agent) else None
        log.info(score_line(method.title, returns, data))
        if recovery is not None:
            log.info(f"Learned reward against true reward on fresh policy data: Pearson {recovery['pearson']:.2f}.")
    path = Path(expert_data) if isinstance(expert_data, str | os.PathLike) else None
    return StageResult(agent, returns, history, log.directory, path, recovery)


def train_ipmd(expert_data: Any, **arguments: Any) -> StageResult:
    """Train IPMD on demonstrations; arguments as of `train_method`."""
    return train_method("ipmd", expert_data, **arguments)


def train_bc(expert_data: Any, **arguments: Any) -> StageResult:
    """Train behaviour cloning on demonstrations; arguments as of `train_method`."""
    return train_method("bc", expert_data, **arguments)
