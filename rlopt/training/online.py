"""The online loop: environment -> collector -> replay buffer -> update -> policy."""

from pathlib import Path
from typing import Any

import torch

from rlopt.agents.agent import Agent, ExpertSource, check_expert
from rlopt.config import TrainingConfig
from rlopt.cores import available_workers
from rlopt.envs.spec import EnvSpec, as_spec, check_env_workers
from rlopt.errors import UserError, warn
from rlopt.logs.run_log import RunLog
from rlopt.training.collectors import BehaviorPolicy, make_collector
from rlopt.training.devices import arithmetic_for, check_default_dtype
from rlopt.training.evaluation import BestPolicies, Evaluator
from rlopt.training.loop_state import LoopState
from rlopt.training.monitor import History, Monitor
from rlopt.training.replay import SeedReplayBuffer
from rlopt.training.replay_files import ReplayFiles
from rlopt.training.stopping import stop_when_asked
from rlopt.training.update_runner import UpdateRunner


def train_online(
    agent: Agent,
    env: str | EnvSpec,
    config: TrainingConfig,
    expert: ExpertSource | None = None,
    *,
    evaluator: Evaluator | None = None,
    best: BestPolicies | None = None,
    log: RunLog | None = None,
    checkpoint: Path | None = None,
    resume: Path | None = None,
) -> History:
    """Train an agent on an environment for `config.frames` frames per seed, rounded up to whole collector batches.

    Args:
        agent: of `config.num_seeds` seeds.
        env: a gymnasium id, a spec, or what else `as_spec` takes.
        config: the loop's settings.
        expert: the demonstrations, for an agent that needs them; by default those of its `set_expert_buffer`.
        evaluator: plays the evaluations; by default one of `config.eval_episodes` episodes per seed.
        best: gets the policies of every evaluation.
        log: where progress and metrics go; None: nowhere.
        checkpoint: file that is written at even intervals and when training is stopped; the replay buffer goes into a
            folder `replay` beside it.
        resume: a checkpoint to go on from.

    Raises:
        UserError: torch's default type is another one than float32, as an environment or the user may have set it.
        NotFiniteError: a loss became NaN or infinite; the last good checkpoint is kept.
    """
    spec = as_spec(env)
    check_env_workers(spec, config.env_workers)
    check_default_dtype()
    expert = _fit_to_expert(agent, expert)
    replay = SeedReplayBuffer(
        min(config.buffer_size, config.frames + config.frames_per_batch),
        *spec.sizes,
        num_seeds=agent.num_seeds,
        num_envs=config.num_envs,
        seed=config.seed,
        device=agent.device,
    )
    owned = None
    if evaluator is None:
        evaluator = owned = Evaluator(
            spec,
            num_seeds=agent.num_seeds,
            episodes=config.eval_episodes,
            device=agent.device,
            workers=config.workers,
            **config.playing,
        )
    behavior = BehaviorPolicy(agent.actor, agent.num_seeds, config.seed, agent.device if spec.torchrl else "cpu")
    loop = LoopState(behavior, agent.num_seeds * config.num_envs, come_back=not spec.torchrl)
    parts: dict[str, Any] = {"loop": loop}
    if file := checkpoint or resume:
        parts["replay"] = ReplayFiles(replay, file.with_name("replay"))
    if hasattr(expert, "state_dict"):
        parts["expert"] = expert
    monitor = Monitor(
        agent,
        unit="frames",
        total=config.frames,
        seeds=config.seeds,
        evaluator=evaluator,
        eval_points=config.eval_points,
        checkpoint_points=config.checkpoint_points,
        best=best,
        log=log,
        checkpoint=checkpoint,
        parts=parts,
    )
    frames = 0 if resume is None else monitor.restore(resume)
    compiled = config.compiles(agent.device.type)
    workers = config.workers or available_workers()
    update = UpdateRunner(agent, cuda_graph=config.cuda_graph, compiled=compiled, workers=workers)
    if log is not None and compiled:
        log.info("Updates are compiled at the first one, which takes some ten seconds (--no-compile leaves it out).")
    torch.manual_seed(config.seed)  # the random warm-up's actions
    collector = make_collector(
        spec,
        behavior,
        seeds=config.seeds,
        num_envs=config.num_envs,
        steps_per_batch=config.steps_per_batch,
        random_frames=max(0, config.warmup_frames - frames),
        env_workers=config.env_workers,
        workers=workers,
        running=loop.running.state(),
        frames=frames,
    )
    if spec.torchrl and resume is not None:
        warn(
            f"The environments of {spec.env_id} do not come back to where they were: they begin new episodes, and the run is "
            "not the one that it would have been."
        )
    if resume is None:
        loop.finish_batch()  # making a collector asks the policy for an action
    else:
        loop.restore_behavior()
    with arithmetic_for(agent), stop_when_asked() as stop:
        monitor.start(evaluated=config.warmup_frames)  # before the first update there is nothing to evaluate
        try:
            if resume is not None:
                monitor.report(frames)  # an evaluation that was interrupted is made up for
            while frames < config.frames:
                try:
                    replay.extend(loop.collect(collector))
                except Exception as error:  # an environment's: all is as it was before this batch
                    monitor.save(frames)
                    if stop.requested:  # the signal ended a process of the environment, too
                        raise KeyboardInterrupt from error
                    raise
                frames += config.frames_per_batch
                metrics = None
                if num_updates := loop.updates(config, frames):
                    share = config.learning_rate_share(frames - config.frames_per_batch)
                    for optimizer in agent.optimizers:
                        optimizer.scale_learning_rate(share)
                    behavior.refresh()  # a GPU's updates run while these policies gather the next batch
                    batches = replay.sample(
                        num_updates, agent.config.batch_size, getattr(agent.config, "recent_ratio", 0.0)
                    )
                    experts = None
                    if expert is not None and agent.expert_batch_size:
                        experts = expert.sample_packed(num_updates, agent.num_seeds, agent.expert_batch_size)
                        experts = experts.to(agent.device)
                    metrics = update(batches, experts)
                loop.finish_batch()
                monitor.report(frames, metrics)
                if stop.requested:
                    monitor.save(frames)
                    raise KeyboardInterrupt
        finally:
            collector.shutdown()
            update.close()
            if owned is not None:
                owned.close()
    return monitor.history


def _fit_to_expert(agent: Agent, expert: ExpertSource | None) -> ExpertSource | None:
    """The demonstrations, checked, and the agent's standardisers fitted to them."""
    expert = expert if expert is not None else getattr(agent, "expert_buffer", None)
    if expert is not None:
        check_expert(agent, expert)
        agent.fit_standardizers(*expert.observation_statistics())
    elif agent.expert_batch_size:
        raise UserError(f"{type(agent).__name__} needs demonstrations: train_online(agent, env, config, expert).")
    return expert
