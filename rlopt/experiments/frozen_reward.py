"""New learners on the rewards that a trained IPMD learned, which stay as they are: what are these rewards worth?"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rlopt.agents import IPMD, METHODS, FrozenReward
from rlopt.agents.precision import settle_precision
from rlopt.agents.saving import check_fits, load_agent
from rlopt.config import RunOptions, TrainingConfig
from rlopt.envs.spec import EnvSpec, as_spec, check_env_workers
from rlopt.errors import UserError
from rlopt.experiments.budget import check_whole_episode
from rlopt.experiments.resuming import recorded_settings, recorded_spec, settings_over
from rlopt.experiments.run import Settings, StageResult, configure_method, final_evaluation, save_models, training_run
from rlopt.report.scores import return_words
from rlopt.training import train_online
from rlopt.training.devices import choose_device
from rlopt.training.memory import check_memory

METHOD = replace(
    METHODS["ipmd"], name="frozen_reward", title="Frozen reward", model_file="frozen_reward_model.pt", seed=42
)
"""The stage's run folders and model file."""


def train_on_frozen_reward(
    env_id: str | EnvSpec | None,
    reward: str | Path | None,
    *,
    agent_settings: Settings = None,
    training_settings: Settings = None,
    resume: str | Path | None = None,
    options: RunOptions = RunOptions(),  # noqa: B008  (frozen)
    **settings: Any,
) -> StageResult:
    """Train new learners on the frozen rewards of a model; seed i gets the reward of seed i.

    Args:
        env_id: a gymnasium id or a spec, of the same sizes as the model's; None: that of the run in `resume`, else Pendulum-v1.
        reward: an `ipmd_model.pt`; None: likewise.
        agent_settings: fields of `IPMDConfig` that differ from the model's.
        training_settings: fields of `TrainingConfig` that differ from the environment's preset.
        resume: the folder of a run that was stopped. What is not given here is as it was there.
        options: device, logs, W&B.
        **settings: single fields of `TrainingConfig` (`frames=20_000`), which come first.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    device, recorded = choose_device(options.device), recorded_settings(resume, METHOD)
    spec = as_spec(env_id) if env_id is not None else recorded_spec(recorded, resume) or as_spec("Pendulum-v1")
    reward = reward if reward is not None else recorded.get("reward")
    if reward is None:
        raise UserError("The model whose reward is learned from is needed.")
    agent_settings, training_settings = settings_over(recorded, agent_settings, training_settings)
    _, training = configure_method(METHOD, spec.env_id, None, training_settings, **settings)
    assert isinstance(training, TrainingConfig)
    check_whole_episode(spec, training.frames)
    check_env_workers(spec, training.env_workers)
    check_memory(METHOD.config(), training, spec.sizes, device)
    agent = frozen_reward_agent(reward, spec, training, device, agent_settings)
    everything = {"device": str(device), "agent": agent.config, "training": training, "reward": reward}
    with training_run(METHOD, spec, everything, training.frames, options, resume) as (log, checkpoints):
        history = train_online(agent, spec, training, log=log, **checkpoints)
        final = final_evaluation(agent, spec, training)
        log.info(f"{return_words(final.returns, final.successes).capitalize()}.")
        save_models(agent, METHOD, log, spec, training.seeds)
    return StageResult(agent, final.returns, history, log.directory, successes=final.successes)


def frozen_reward_agent(
    path: str | Path, spec: EnvSpec, training: TrainingConfig, device: torch.device, agent_settings: Settings
) -> IPMD:
    """New learners on the rewards in a model file. Raises UserError if they do not fit the environment or the seeds."""
    teacher, about = load_agent(path, device)
    if not isinstance(teacher, IPMD):
        raise UserError(f"{path} holds {about['kind'].upper()}, not IPMD: only IPMD learns a reward.")
    check_fits(f"The reward in {path}", teacher, spec.env_id, spec.sizes)
    if teacher.num_seeds != training.num_seeds:
        raise UserError(f"{path} holds {teacher.num_seeds} rewards: use --num-seeds {teacher.num_seeds}.")
    without_expert = {"expert_ratio": 0.0, "recent_ratio": 0.0, "expert_bound": False}
    config = settle_precision(replace(teacher.config, **{**without_expert, **(agent_settings or {})}), device)
    state = teacher.reward.state_dict()
    agent = IPMD(
        config,
        *spec.sizes,
        num_seeds=training.num_seeds,
        seed=training.seed,
        device=device,
        reward=FrozenReward(config, *spec.sizes, state, device),
    )
    standardizer = teacher.reward.scoring_net.standardizer  # type: ignore[attr-defined]
    agent.fit_standardizers(standardizer.mean, standardizer.std)
    return agent
