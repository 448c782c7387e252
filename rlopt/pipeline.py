"""The four stages, as the scripts and a notebook call them: collect an expert's data, train IPMD, train BC, compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlopt.agents import BC, IPMD, SAC
from rlopt.checkpoint import check_writable
from rlopt.config import BCConfig, IPMDConfig, SACConfig, TrainingConfig, configure, require_seed
from rlopt.devices import choose_device
from rlopt.envs import env_spec
from rlopt.errors import UserError
from rlopt.evaluation import BestPolicies, Evaluator, evaluate, select_policy
from rlopt.finished import FinishedStages
from rlopt.imitation.demonstrations import load_demonstrations, save_demonstrations
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.models import save_agent, take_seed
from rlopt.results import comparison_results, write_comparison
from rlopt.runlog import timestamp, to_json
from rlopt.stages import (
    FINAL_EPISODES,
    RunOptions,
    StageResult,
    check_whole_episode,
    final_evaluation,
    frozen_reward_agent,
    prepare_demonstrations,
    record_demonstrations,
    report_scores,
    require_positive,
    reward_recovery,
    training_run,
)
from rlopt.training import train_offline, train_online

# ------------------------------------------------------------------------------------------------------ stage 1: expert


def collect_expert_data(
    env_id: str = "Pendulum-v1",
    *,
    frames: int = 100_000,
    save_dir: str | Path = "expert_data",
    seed: int = 42,
    num_seeds: int = 5,
    episodes: int = 50,
    reward: str | Path | None = None,
    agent_settings: Mapping[str, Any] | None = None,
    training_settings: Mapping[str, Any] | None = None,
    resume: str | Path | None = None,
    options: RunOptions = RunOptions(),  # noqa: B008  (frozen)
) -> StageResult:
    """Train SAC and store whole episodes of the best policy of all evaluations, deterministic.

    Args:
        env_id: a gymnasium id.
        frames: environment frames per seed.
        save_dir: `{save_dir}/{env_id}/expert_buffer.pt`, `metadata.pt` and `README.txt` are written.
        seed: seed i uses `seed + i`.
        num_seeds: S.
        episodes: demonstrations to record.
        reward: an `ipmd_model.pt`: learn from its rewards, frozen, in place of the environment's. The expert of seed i is
            then trained on the reward of seed i, and no demonstrations are stored.
        agent_settings: fields of `SACConfig` that differ from the environment's preset or, with `reward`, from its IPMD's.
        training_settings: fields of `TrainingConfig` that do.
        resume: the folder of an interrupted run.
        options: device, logs, W&B.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    device = choose_device(options.device)
    spec = env_spec(env_id)
    check_whole_episode(env_id, frames)
    require_positive(episodes=episodes)
    if reward is None:
        check_writable(Path(save_dir) / env_id)
    training = configure(TrainingConfig, env_id, training_settings, frames=frames, num_seeds=num_seeds, seed=seed)
    agent: SAC | IPMD
    if reward is None:
        config = configure(SACConfig, env_id, agent_settings)
        agent = SAC(config, spec.observation_size, spec.action_size, num_seeds=num_seeds, seed=seed, device=device)
    else:
        agent = frozen_reward_agent(
            reward, spec, num_seeds=num_seeds, seed=seed, device=device, agent_settings=agent_settings or {}
        )

    settings = {"env": env_id, "device": str(device), "agent": agent.config, "training": training, "reward": reward}
    with training_run("sac", "RLOpt-ExpertData", env_id, settings, frames, options, resume) as (log, checkpoints):
        best = BestPolicies(agent.policy, num_seeds)
        # a learner on a frozen reward may not be chosen by the true one
        history = train_online(agent, env_id, training, best=best if reward is None else None, log=log, **checkpoints)
        returns = final_evaluation(agent, env_id)
        log.info(f"Return {returns.mean():.1f} over {num_seeds} seeds.")
        path, extra = None, {}
        if reward is None:
            shown = evaluate(best.policy, env_id, num_seeds=num_seeds, episodes=FINAL_EPISODES, device=device).mean(1)
            chosen = int(shown.argmax())
            extra = {"best_seed": training.seeds[chosen], "best_actor": best.actor.state_dict()}
            policy = select_policy(best.policy, chosen, num_seeds)
            demonstrations = record_demonstrations(policy, spec, episodes, float(shown[chosen]), device)
            path = save_demonstrations(demonstrations, Path(save_dir) / env_id)
            log.info(
                f"{episodes} demonstrations ({len(demonstrations):,} transitions) in {path}: "
                f"expert (seed {training.seeds[chosen]} at its best) {demonstrations.expert_return:.1f}, "
                f"random policy {demonstrations.random_return:.1f}."
            )
        save_agent(log.directory / "sac_expert.pt", agent, env_id, training.seeds, **extra)
    return StageResult(agent, returns, history, log.directory, history.wall_seconds, demonstrations=path)


# -------------------------------------------------------------------------------------------------------- stage 2: IPMD


def train_ipmd(
    expert_data: str | Path,
    *,
    env_id: str | None = None,
    frames: int = 100_000,
    seed: int = 43,
    num_seeds: int = 5,
    demos: int | None = None,
    skip_demos: int = 0,
    subsample: int = 1,
    noise: float = 0.0,
    agent_settings: Mapping[str, Any] | None = None,
    training_settings: Mapping[str, Any] | None = None,
    resume: str | Path | None = None,
    options: RunOptions = RunOptions(),  # noqa: B008
) -> StageResult:
    """Train IPMD on stored demonstrations; the environment's reward is only looked at to evaluate.

    Args:
        expert_data: an `expert_buffer.pt`.
        env_id: a gymnasium id; None: the one that the file names.
        frames: environment frames per seed.
        seed: seed i uses `seed + i`.
        num_seeds: S.
        demos: how many demonstrations to use; None: all.
        skip_demos: how many at the start to leave out.
        subsample: keep every n-th transition of each.
        noise: standard deviation of Gaussian noise on the expert's actions.
        agent_settings: fields of `IPMDConfig` that differ from the environment's preset.
        training_settings: fields of `TrainingConfig` that do.
        resume: the folder of an interrupted run.
        options: device, logs, W&B.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    device = choose_device(options.device)
    data = prepare_demonstrations(
        expert_data, env_id, demos=demos, skip_demos=skip_demos, subsample=subsample, noise=noise
    )
    env_id = env_id or data.env_id
    check_whole_episode(env_id, frames)
    training = configure(TrainingConfig, env_id, training_settings, frames=frames, num_seeds=num_seeds, seed=seed)
    config = configure(IPMDConfig, env_id, agent_settings)
    agent = IPMD(config, data.observation_size, data.action_size, num_seeds=num_seeds, seed=seed, device=device)
    agent.set_expert_buffer(ExpertReplayBuffer(data, device=device, seed=seed))

    settings = {
        **{"env": env_id, "device": str(device), "agent": config, "training": training, "expert_data": expert_data},
        **{"demonstrations": data.num_episodes, "skip_demos": skip_demos, "subsample": subsample, "noise": noise},
    }
    with training_run("ipmd", "RLOpt-IPMD", env_id, settings, frames, options, resume) as (log, checkpoints):
        history = train_online(agent, env_id, training, log=log, **checkpoints)
        returns = final_evaluation(agent, env_id)
        save_agent(log.directory / "ipmd_model.pt", agent, env_id, training.seeds)
        recovery = None if config.use_environment_reward else reward_recovery(agent, env_id)
        report_scores(log, "IPMD", returns, data)
        if recovery is not None:
            log.info(f"Learned reward against true reward on fresh policy data: Pearson {recovery['pearson']:.2f}.")
    return StageResult(agent, returns, history, log.directory, history.wall_seconds, Path(expert_data), recovery)


# ---------------------------------------------------------------------------------------------------------- stage 3: BC


def train_bc(
    expert_data: str | Path,
    *,
    env_id: str | None = None,
    epochs: int = 100,
    batch_size: int = 256,
    lr: float = 3e-4,
    seed: int = 44,
    num_seeds: int = 5,
    demos: int | None = None,
    skip_demos: int = 0,
    subsample: int = 1,
    noise: float = 0.0,
    eval_episodes: int = 10,
    resume: str | Path | None = None,
    options: RunOptions = RunOptions(),  # noqa: B008
) -> StageResult:
    """Train behaviour cloning on stored demonstrations; arguments as of `train_ipmd`, and

    Args:
        expert_data: an `expert_buffer.pt`.
        env_id: a gymnasium id; None: the one that the file names.
        epochs: passes over the data, each of at least `BCConfig.min_steps_per_epoch` gradient steps.
        batch_size: B.
        lr: Adam's learning rate.
        seed: seed i uses `seed + i`.
        num_seeds: S.
        demos: how many demonstrations to use; None: all.
        skip_demos: how many at the start to leave out.
        subsample: keep every n-th transition of each.
        noise: standard deviation of Gaussian noise on the expert's actions.
        eval_episodes: episodes per seed in each evaluation; the last one plays at least 20.
        resume: the folder of an interrupted run.
        options: device, logs, W&B.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    device = choose_device(options.device)
    require_positive(eval_episodes=eval_episodes, num_seeds=num_seeds)
    require_seed(seed)
    data = prepare_demonstrations(
        expert_data, env_id, demos=demos, skip_demos=skip_demos, subsample=subsample, noise=noise
    )
    env_id = env_id or data.env_id
    config = configure(BCConfig, env_id, epochs=epochs, batch_size=batch_size, learning_rate=lr)
    agent = BC(config, data.observation_size, data.action_size, num_seeds=num_seeds, seed=seed, device=device)
    seeds = [seed + i for i in range(num_seeds)]
    settings = {
        **{"env": env_id, "device": str(device), "agent": config, "seeds": seeds, "expert_data": expert_data},
        **{"demonstrations": data.num_episodes, "skip_demos": skip_demos, "subsample": subsample, "noise": noise},
    }
    expert = ExpertReplayBuffer(data, device=device, seed=seed)
    folder = Path(options.log_dir) / "bc" / env_id
    with training_run("bc", "RLOpt-BC", env_id, settings, epochs, options, resume, "epochs") as (log, checkpoints):
        evaluator = Evaluator(env_id, num_seeds=num_seeds, episodes=eval_episodes, device=device)
        history = train_offline(agent, expert, evaluator=evaluator, log=log, seeds=seeds, **checkpoints)
        evaluator.close()
        returns = final_evaluation(agent, env_id, max(eval_episodes, FINAL_EPISODES))
        for index, one in enumerate(seeds):
            single = BC(config, data.observation_size, data.action_size, device=device)
            single.load_state_dict(take_seed(agent.state_dict(), index, num_seeds))
            save_agent(folder / f"bc_policy_seed{one}.pt", single, env_id, [one])
        report_scores(log, "BC", returns, data)
    return StageResult(agent, returns, history, log.directory, history.wall_seconds, Path(expert_data))


# -------------------------------------------------------------------------------------------------- stage 4: comparison


def compare_methods(
    env_id: str = "Pendulum-v1",
    *,
    expert_frames: int = 100_000,
    ipmd_frames: int = 100_000,
    bc_epochs: int = 100,
    save_dir: str | Path = "comparison_results",
    expert_data: str | Path | None = None,
    seed: int = 42,
    num_seeds: int = 5,
    demos: int = 5,
    skip_demos: int = 0,
    agent_settings: Mapping[str, Any] | None = None,
    training_settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    options: RunOptions = RunOptions(),  # noqa: B008
) -> dict[str, Any]:
    """Expert, IPMD and BC one after the other, through the demonstrations on disk; pictures, a table and the numbers.

    Args:
        env_id: a gymnasium id.
        expert_frames: frames per seed of SAC.
        ipmd_frames: frames per seed of IPMD.
        bc_epochs: epochs of BC.
        save_dir: `{save_dir}/{env_id}/` gets `comparison.png`, `learning_curves.png`, `results.txt`, `results.json`.
        expert_data: an `expert_buffer.pt` to use in place of training an expert.
        seed: seed i of every method uses `seed + i`.
        num_seeds: S.
        demos: demonstrations that IPMD and BC learn from.
        skip_demos: how many at the file's start to leave out.
        agent_settings: fields of `SACConfig`, for SAC and IPMD alike, that differ from the environment's preset; with
            `expert_data`, which leaves SAC out, any field of `IPMDConfig`.
        training_settings: fields of `TrainingConfig` that do.
        resume: keep the stages that an interrupted comparison with the same settings finished, and go on.
        options: device, logs, W&B.

    Returns:
        The content of `results.json`.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    directory = Path(save_dir) / env_id
    # every input is looked at now: an error after an hour of training helps nobody
    env_spec(env_id)
    check_whole_episode(env_id, expert_frames, "--expert-frames")
    check_whole_episode(env_id, ipmd_frames, "--ipmd-frames")
    require_positive(bc_epochs=bc_epochs, num_seeds=num_seeds, demos=demos)
    if skip_demos < 0:
        raise UserError(f"--skip-demos must not be negative, and is {skip_demos}.")
    chosen: dict[str, Any] = {"demos": demos, "skip_demos": skip_demos}
    # by stage, presets included: a stage that was finished with other ones is made anew
    configs: dict[str, Any] = {"bc": {"agent": configure(BCConfig, env_id, epochs=bc_epochs)}}
    expert: list[Any] = [("sac", SACConfig, expert_frames)] if expert_data is None else []
    for name, kind, frames in [*expert, ("ipmd", IPMDConfig, ipmd_frames)]:
        training = configure(TrainingConfig, env_id, training_settings, frames=frames, num_seeds=num_seeds, seed=seed)
        configs[name] = {"agent": configure(kind, env_id, agent_settings), "training": training}
    if expert_data is not None:
        prepare_demonstrations(expert_data, env_id, **chosen)
    check_writable(directory)
    device = str(choose_device(options.device))
    options = replace(options, device=device, wandb_group=options.wandb_group or f"compare-{env_id}-{timestamp()}")
    common: dict[str, Any] = {"seed": seed, "num_seeds": num_seeds, "options": options}
    online: dict[str, Any] = {
        **common,
        "agent_settings": agent_settings,
        "training_settings": training_settings,
        "resume": "auto" if resume else None,
    }
    settings: dict[str, Any] = {
        **{"env": env_id, "expert_frames": expert_frames, "ipmd_frames": ipmd_frames, "bc_epochs": bc_epochs},
        **{"seed": seed, "num_seeds": num_seeds, **chosen, "expert_data": expert_data},
        **{"agent_settings": agent_settings or {}, "training_settings": training_settings or {}},
    }
    finished = FinishedStages(directory / "stages.pt", settings, keep=resume)

    stages = {}
    if expert_data is None:
        stages["sac"] = finished.get_or_run(
            "sac",
            lambda: collect_expert_data(
                env_id, frames=expert_frames, episodes=max(50, skip_demos + demos), **online
            ).summary(),
            configs["sac"],
        )
        expert_data = stages["sac"]["demonstrations"]
        for name in ("ipmd", "bc"):
            configs[name]["expert"] = stages["sac"]["directory"]
    path = Path(expert_data)
    stages["ipmd"] = finished.get_or_run(
        "ipmd",
        lambda: train_ipmd(path, env_id=env_id, frames=ipmd_frames, **chosen, **online).summary(),
        configs["ipmd"],
    )
    bc: dict[str, Any] = {**common, "epochs": bc_epochs, "resume": online["resume"]}
    stages["bc"] = finished.get_or_run(
        "bc", lambda: train_bc(path, env_id=env_id, **chosen, **bc).summary(), configs["bc"]
    )

    results = comparison_results(
        stages,
        env_id=env_id,
        device=device,
        seeds=[seed + i for i in range(num_seeds)],
        demonstrations=demos,
        data=load_demonstrations(path),
        config={**settings, "stages": to_json(configs)},
    )
    write_comparison(results, stages, directory)
    return results
