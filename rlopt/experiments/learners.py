"""Stages 2 and 3: IPMD, BC, or any other method that learns from demonstrations."""

import os
from pathlib import Path
from typing import Any

from rlopt.agents import get_method
from rlopt.agents.agent import check_expert
from rlopt.agents.warm_start import start_from
from rlopt.config import RunOptions, Selection, TrainingConfig
from rlopt.envs.spec import EnvSpec, as_spec, check_env_workers
from rlopt.experiments.budget import check_whole_episode
from rlopt.experiments.resuming import (
    recorded_demonstrations,
    recorded_selection,
    recorded_settings,
    recorded_spec,
    settings_over,
)
from rlopt.experiments.reward_recovery import has_learned_reward, reward_recovery
from rlopt.experiments.run import (
    FINAL_EPISODES,
    Settings,
    StageResult,
    configure_method,
    final_evaluation,
    save_models,
    train,
    training_run,
)
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.imitation.readers import environment_of, prepare_demonstrations, source_name
from rlopt.report.scores import score_line
from rlopt.report.statistics import shown
from rlopt.training.devices import choose_device
from rlopt.training.memory import check_memory


def train_method(
    name: str,
    expert_data: Any = None,
    *,
    env_id: str | EnvSpec | None = None,
    agent_settings: Settings = None,
    training_settings: Settings = None,
    selection: Selection = Selection(),  # noqa: B008  (frozen)
    resume: str | Path | None = None,
    init_from: str | Path | None = None,
    options: RunOptions = RunOptions(),  # noqa: B008
    **settings: Any,
) -> StageResult:
    """Train a method on demonstrations; the environment's reward is only used to evaluate.

    Args:
        name: a method of `rlopt.agents.METHODS`.
        expert_data: anything that `load_demonstrations` reads; may be left out where `resume` names the run.
        env_id: a gymnasium id or a spec; None: the one that the demonstrations name.
        agent_settings: fields of the method's config class that differ from the environment's preset.
        training_settings: fields of `TrainingConfig` (a method without an environment: `LoopConfig`) that do.
        selection: which part of the demonstrations it gets.
        resume: the folder of a run that was stopped. What is not given here is as it was there.
        init_from: a model file to start from (`start_from`).
        options: device, logs, W&B.
        **settings: single fields of either class (`frames=20_000`) or of `Selection` (`demos=1`), which come first.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    method, device = get_method(name), choose_device(options.device)
    recorded = recorded_settings(resume, method)
    agent_settings, training_settings = settings_over(recorded, agent_settings, training_settings)
    if expert_data is None:
        expert_data = recorded_demonstrations(recorded, resume)
    chosen = {key: settings.pop(key) for key in vars(selection) if key in settings}
    selection = recorded_selection(recorded, Selection(**{**vars(selection), **chosen}))
    spec = recorded_spec(recorded, resume) if env_id is None else as_spec(env_id)
    data = prepare_demonstrations(expert_data, spec, selection)
    spec = environment_of(data, spec)
    from_states = not data.action_size
    config, training = configure_method(
        method, spec.env_id, agent_settings, training_settings, from_states=from_states, **settings
    )
    total = training.frames if isinstance(training, TrainingConfig) else config.epochs
    if isinstance(training, TrainingConfig):
        check_whole_episode(spec, total)
    check_env_workers(spec, training.env_workers)
    seed, num_seeds = training.seed, training.num_seeds
    check_memory(config, training, spec.sizes, device)
    agent = method.agent(config, *spec.sizes, num_seeds=num_seeds, seed=seed, device=device)
    expert = ExpertReplayBuffer(data, device=device, seed=seed)
    check_expert(agent, expert)

    if init_from is not None:
        agent.fit_standardizers(*expert.observation_statistics())
        start_from(agent, init_from)
    learned_from = {**vars(selection), "demonstrations": data.num_episodes, "expert_data": source_name(expert_data)}
    learned_from |= {"demonstrations_sha256": data.digest, "init_from": init_from or recorded.get("init_from")}
    del learned_from["demos"]  # which may be None, for all
    everything = {"device": str(device), "agent": agent.config, "training": training, **learned_from}
    with training_run(method, spec, everything, total, options, resume) as (log, checkpoints):
        if init_from is not None:
            log.info(f"{method.title} starts from {init_from}.")
        if from_states:
            settled = ", ".join(f"{name} {getattr(config, name)}" for name in method.from_states or {})
            log.info(f"The demonstrations have no actions: {method.title} learns from states alone ({settled}).")
        history = train(agent, spec, training, expert, log, **checkpoints)
        final = final_evaluation(
            agent, spec, training, max(FINAL_EPISODES, 0 if method.online else training.eval_episodes)
        )
        save_models(agent, method, log, spec, training.seeds)
        recovery = reward_recovery(agent, spec, **training.playing) if has_learned_reward(agent) else None
        log.info(score_line(method.title, final.returns, data, final.successes))
        if recovery is not None:
            pearson = shown(recovery["pearson"], 2)
            log.info(f"Learned reward against true reward on fresh policy data: Pearson {pearson}.")
    path = Path(expert_data) if isinstance(expert_data, str | os.PathLike) else None
    return StageResult(agent, final.returns, history, log.directory, path, recovery, final.successes)


def train_ipmd(expert_data: Any = None, **arguments: Any) -> StageResult:
    """Train IPMD on demonstrations; arguments as of `train_method`."""
    return train_method("ipmd", expert_data, **arguments)


def train_bc(expert_data: Any = None, **arguments: Any) -> StageResult:
    """Train behaviour cloning on demonstrations; arguments as of `train_method`."""
    return train_method("bc", expert_data, **arguments)


def learner_summary(name: str, expert_data: Any, **arguments: Any) -> dict[str, Any]:
    """What `train_method` came to, in primitives."""
    return train_method(name, expert_data, **arguments).summary()
