"""Stage 1: an expert that is trained with reward, and its demonstrations."""

from pathlib import Path
from typing import Any

from rlopt.agents import METHODS
from rlopt.agents.warm_start import start_from
from rlopt.checked import require_positive
from rlopt.config import RunOptions, TrainingConfig
from rlopt.envs.spec import EnvSpec, as_spec, check_env_workers
from rlopt.experiments.budget import check_whole_episode
from rlopt.experiments.resuming import recorded_settings, recorded_spec, settings_over
from rlopt.experiments.run import (
    FINAL_EPISODES,
    Settings,
    StageResult,
    configure_method,
    final_evaluation,
    save_models,
    training_run,
)
from rlopt.imitation.files import save_demonstrations
from rlopt.imitation.readers import warn_of_a_poor_expert
from rlopt.imitation.recording import record_demonstrations
from rlopt.logs.files import check_writable
from rlopt.report.scores import return_words
from rlopt.training import train_online
from rlopt.training.devices import choose_device
from rlopt.training.evaluation import BestPolicies, evaluate, select_policy
from rlopt.training.memory import check_memory


def collect_expert_data(
    env_id: str | EnvSpec | None = None,
    *,
    frames: int | None = None,
    seed: int | None = None,
    num_seeds: int | None = None,
    save_dir: str | Path | None = None,
    episodes: int | None = None,
    agent_settings: Settings = None,
    training_settings: Settings = None,
    resume: str | Path | None = None,
    init_from: str | Path | None = None,
    options: RunOptions = RunOptions(),  # noqa: B008  (frozen)
) -> StageResult:
    """Train SAC and store whole episodes of the best policy of all evaluations, deterministic.

    Args:
        env_id: a gymnasium id, a spec, or what else `rlopt.envs.as_spec` takes; by default Pendulum-v1.
        frames: environment frames per seed; this and the next two come before `training_settings`.
        seed: seed i uses `seed + i`.
        num_seeds: S.
        save_dir: `{save_dir}/{env}/expert_buffer.pt`, `metadata.pt` and `README.txt` are written; by default "expert_data".
        episodes: demonstrations to record; by default 50.
        agent_settings: fields of `SACConfig` that differ from the environment's preset.
        training_settings: fields of `TrainingConfig` that do.
        resume: the folder of a run that was stopped. What is not given here is as it was there.
        init_from: a model file to start from (`start_from`).
        options: device, logs, W&B.

    Raises:
        UserError: for wrong input, before anything is trained.
    """
    method, device = METHODS["sac"], choose_device(options.device)
    recorded = recorded_settings(resume, method)
    spec = as_spec(env_id) if env_id is not None else recorded_spec(recorded, resume) or as_spec("Pendulum-v1")
    save_dir = save_dir if save_dir is not None else recorded.get("save_dir", "expert_data")
    episodes = episodes if episodes is not None else recorded.get("episodes", 50)
    agent_settings, training_settings = settings_over(recorded, agent_settings, training_settings)
    require_positive(episodes=episodes)
    check_writable(Path(save_dir) / spec.name)
    budget: dict[str, Any] = {"frames": frames, "seed": seed, "num_seeds": num_seeds}
    config, training = configure_method(method, spec.env_id, agent_settings, training_settings, **budget)
    assert isinstance(training, TrainingConfig)
    check_whole_episode(spec, training.frames)
    check_env_workers(spec, training.env_workers)
    how: dict[str, Any] = {"num_seeds": training.num_seeds, "device": device}
    check_memory(config, training, spec.sizes, device, episodes)
    agent = method.agent(config, *spec.sizes, seed=training.seed, **how)
    if init_from is not None:
        start_from(agent, init_from)
    settings = {"device": str(device), "agent": agent.config, "training": training}
    settings |= {"save_dir": save_dir, "episodes": episodes, "init_from": init_from or recorded.get("init_from")}
    with training_run(method, spec, settings, training.frames, options, resume) as (log, checkpoints):
        if init_from is not None:
            log.info(f"{method.title} starts from {init_from}.")
        best = BestPolicies(agent.policy, training.num_seeds)
        history = train_online(agent, spec, training, best=best, log=log, **checkpoints)
        final = final_evaluation(agent, spec, training)
        log.info(f"{return_words(final.returns, final.successes).capitalize()}.")
        shown = evaluate(best.policy, spec, episodes=FINAL_EPISODES, **training.playing, **how).mean(1)
        chosen = int(shown.argmax())
        policy = select_policy(best.policy, chosen, training.num_seeds)
        demonstrations = record_demonstrations(
            policy, spec, episodes, float(shown[chosen]), device=device, **training.playing
        )
        path = save_demonstrations(demonstrations, Path(save_dir) / spec.name, say=log.info)
        log.info(
            f"{episodes} demonstrations ({len(demonstrations):,} transitions) in {path}: "
            f"expert (seed {training.seeds[chosen]} at its best) {demonstrations.expert_return:.1f}, "
            f"random policy {demonstrations.random_return:.1f}."
        )
        warn_of_a_poor_expert(demonstrations, "raise --frames")
        extra = {"best_seed": training.seeds[chosen], "best_actor": best.actor.state_dict()}
        save_models(agent, method, log, spec, training.seeds, **extra)
    outcome = (agent, final.returns, history, log.directory, path)
    return StageResult(*outcome, successes=final.successes, demonstrations_sha256=demonstrations.digest)


def expert_summary(env_id: str | EnvSpec, **arguments: Any) -> dict[str, Any]:
    """What `collect_expert_data` came to, in primitives."""
    return collect_expert_data(env_id, **arguments).summary()
