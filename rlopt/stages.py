"""What the stages of the pipeline have in common: options, checks, the frame of a run, and the pieces of a stage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from rlopt import statistics
from rlopt.agents import BC, IPMD, SAC
from rlopt.checkpoint import load_safely
from rlopt.envs import EnvSpec, env_spec
from rlopt.errors import UserError
from rlopt.evaluation import Episode, Evaluator, ObservationToAction, evaluate, random_policy, sampling_policy
from rlopt.imitation.demonstrations import Demonstrations, load_demonstrations
from rlopt.models import load_agent
from rlopt.runlog import RunLog, WandbOptions, new_run_directory, to_json
from rlopt.training import History

DEMONSTRATION_SEED = 2_000_000
"""First reset seed of recorded demonstrations, away from training and evaluation."""
RECOVERY_SEED = 3_000_000
"""First reset seed of the episodes on which learned and true reward are compared."""
FINAL_EPISODES = 20
"""Episodes per seed of the last evaluation, the one that is reported."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a stage runs and what it tells, the same for every stage."""

    device: str = "cuda:0"
    log_dir: str | Path = "logs"
    wandb: bool = True
    wandb_entity: str | None = None
    wandb_group: str | None = None
    show_progress: bool = True


@dataclass(frozen=True)
class StageResult:
    """What a stage leaves behind."""

    agent: SAC | IPMD | BC
    returns: np.ndarray
    """True returns `[S, episodes]` of the last evaluation."""
    history: History
    directory: Path
    """The run's log folder."""
    wall_seconds: float
    demonstrations: Path | None = None
    """The `expert_buffer.pt` that was written or learned from."""
    reward_recovery: dict[str, Any] | None = None
    """Of IPMD: the learned reward against the true one."""

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


def prepare_demonstrations(
    path: str | Path,
    env_id: str | None = None,
    *,
    demos: int | None = None,
    skip_demos: int = 0,
    subsample: int = 1,
    noise: float = 0.0,
) -> Demonstrations:
    """Demonstrations as a learner gets them: `demos` after `skip_demos`, every `subsample`-th transition, noisy actions."""
    require_positive(subsample=subsample)
    if noise < 0:
        raise UserError(f"--noise must not be negative, and is {noise}.")
    data = load_demonstrations(path, env_id=env_id)
    spec = env_spec(env_id or data.env_id)
    if (data.observation_size, data.action_size) != (spec.observation_size, spec.action_size):
        raise UserError(
            f"Expert buffer {path} says that it is from {data.env_id}, but has observation [{data.observation_size}], "
            f"action [{data.action_size}], and the environment [{spec.observation_size}], [{spec.action_size}]."
        )
    data = data if demos is None and skip_demos == 0 else data.first(demos, skip_demos)
    data = data if subsample == 1 else data.subsample(subsample)
    return data if noise == 0 else data.with_action_noise(noise, seed=0)


def require_positive(**counts: float) -> None:
    """Raise UserError, naming the flag, for a count that is not positive."""
    for name, value in counts.items():
        if value <= 0:
            raise UserError(f"--{name.replace('_', '-')} must be positive, and is {value}.")


def check_whole_episode(env_id: str, frames: int, flag: str = "--frames") -> None:
    """Raise UserError, naming `flag`, if `frames` are not enough for one whole episode."""
    require_positive(**{flag.removeprefix("--"): frames})
    env_spec(env_id)
    limit = gym.spec(env_id).max_episode_steps
    if limit is not None and frames < limit:
        raise UserError(
            f"{frames} frames are too few for one whole episode of {env_id} (up to {limit} steps): raise {flag}."
        )


def wandb_options(project: str, options: RunOptions) -> WandbOptions | None:
    """W&B's settings, or None where it is turned off."""
    if not options.wandb:
        return None
    return WandbOptions(project=project, entity=options.wandb_entity, group=options.wandb_group)


@contextmanager
def training_run(
    kind: str,
    project: str,
    env_id: str,
    settings: Mapping[str, Any],
    total: int,
    options: RunOptions,
    resume: str | Path | None = None,
    unit: str = "frames",
) -> Iterator[tuple[RunLog, dict[str, Any]]]:
    """A run's log, and where its checkpoints go; says how to go on when it is interrupted."""
    parent = Path(options.log_dir) / kind / env_id
    if resume == "auto":
        resume = interrupted_run(parent, settings)
    directory = new_run_directory(parent) if resume is None else Path(resume)
    checkpoint = directory / "checkpoint.pt"
    resume_at = None
    if resume is not None:
        resume_at = checkpoint_count(checkpoint, unit)
        check_same_settings(directory / "config.json", settings)
    with RunLog(
        directory,
        config=settings,
        title=f"{kind.upper()} {env_id}",
        total=total,
        unit=unit,
        wandb=wandb_options(project, options),
        resume_at=resume_at,
        show_progress=options.show_progress,
    ) as log:
        try:
            yield log, {"checkpoint": checkpoint, "resume": None if resume is None else checkpoint}
        except KeyboardInterrupt:
            if checkpoint.exists():
                log.info(f"Interrupted; checkpoint saved. Go on with --resume {directory} (a comparison: --resume).")
            raise
    checkpoint.unlink(missing_ok=True)  # the model is saved, and a replay buffer is large


def checkpoint_count(path: Path, unit: str) -> int:
    """The frames or epochs after which a checkpoint was written.

    Raises UserError if it is none. What else it holds, a whole replay buffer, does not stay in memory.
    """
    hint = "--resume takes the log folder of an interrupted run."
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

    More frames are welcome; fewer would end it at once.
    """
    if not path.exists():
        return
    old, new = _flat(json.loads(path.read_text())["config"]), _flat(to_json(settings))
    if new.get("training.frames", 0) > old.get("training.frames", 0):
        old["training.frames"] = new["training.frames"]
    changed = [name for name in old | new if name not in _FREE_TO_CHANGE and old.get(name) != new.get(name)]
    if changed:
        differences = "; ".join(f"{name}: {old.get(name)}, now {new.get(name)}" for name in changed)
        raise UserError(f"The run in {path.parent} had other settings ({differences}): resume it with the same ones.")


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level: `{"agent": {"gamma": 0.9}}` is `{"agent.gamma": 0.9}`."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def interrupted_run(parent: Path, settings: Mapping[str, Any]) -> Path | None:
    """The latest run below `parent` with the same settings that left a checkpoint, if there is one."""
    wanted = to_json(settings)
    for checkpoint in sorted(parent.glob("*/checkpoint.pt"), reverse=True):
        config = checkpoint.with_name("config.json")
        if config.exists() and json.loads(config.read_text())["config"] == wanted:
            return checkpoint.parent
    return None


def final_evaluation(agent: SAC | IPMD | BC, env_id: str, episodes: int = FINAL_EPISODES) -> np.ndarray:
    """Returns `[S, episodes]` from the start states on which everyone is judged."""
    return evaluate(agent.policy, env_id, num_seeds=agent.num_seeds, episodes=episodes, device=agent.device)


def report_scores(log: RunLog, name: str, returns: np.ndarray, data: Demonstrations) -> None:
    """One line: return and normalised score."""
    text = f"{name}: return {returns.mean():.1f} over {len(returns)} seeds"
    if data.expert_return > data.random_return:
        score = statistics.normalized_score(
            returns.mean(1), random_return=data.random_return, expert_return=data.expert_return
        )
        text += f", {statistics.iqm(score):.3f} of the expert (normalised, IQM), worst seed {score.min():.3f}"
    log.info(text + ".")


def record_demonstrations(
    policy: ObservationToAction, spec: EnvSpec, episodes: int, expert_return: float, device: torch.device
) -> Demonstrations:
    """Whole episodes of a policy `[1, B, O] -> [1, B, A]`, with the returns that scores are normalised by."""
    evaluator = Evaluator(spec.env_id, episodes=episodes, first_reset_seed=DEMONSTRATION_SEED, device=device)
    (recorded,) = evaluator.record(policy)
    evaluator.close()
    random_returns = evaluate(random_policy(spec.action_size), spec.env_id, episodes=FINAL_EPISODES)

    def column(name: str) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([getattr(episode, name) for episode in recorded]))

    return Demonstrations(
        env_id=spec.env_id,
        **{name: column(name) for name in ("observation", "action", "next_observation", "reward")},
        **{name: column(name) for name in ("terminated", "truncated")},
        episode_lengths=torch.tensor([len(episode.reward) for episode in recorded]),
        action_low=torch.from_numpy(spec.action_low),
        action_high=torch.from_numpy(spec.action_high),
        expert_return=expert_return,
        random_return=float(random_returns.mean()),
    )


def frozen_reward_agent(
    path: str | Path,
    spec: EnvSpec,
    *,
    num_seeds: int,
    seed: int,
    device: torch.device,
    agent_settings: Mapping[str, Any],
) -> IPMD:
    """A fresh learner whose rewards are those of a trained IPMD, and stay as they are; `agent_settings` change the rest."""
    teacher, about = load_agent(path, device)
    if not isinstance(teacher, IPMD):
        raise UserError(f"{path} holds {about['kind'].upper()}, not IPMD: only IPMD learns a reward.")
    if (teacher.observation_size, teacher.action_size) != (spec.observation_size, spec.action_size):
        raise UserError(
            f"The reward in {path} is for observations of size {teacher.observation_size} and actions of size "
            f"{teacher.action_size}, but {spec.env_id} has {spec.observation_size} and {spec.action_size}."
        )
    if teacher.num_seeds != num_seeds:
        raise UserError(f"{path} holds {teacher.num_seeds} rewards: use --num-seeds {teacher.num_seeds}.")
    reward_hidden_sizes = teacher.config.reward_hidden_sizes or teacher.config.hidden_sizes
    fixed = {"freeze_reward": True, "reward_hidden_sizes": reward_hidden_sizes}
    config = replace(teacher.config, **{**agent_settings, **fixed})
    agent = IPMD(config, spec.observation_size, spec.action_size, num_seeds=num_seeds, seed=seed, device=device)
    agent.take_reward(teacher)
    return agent


def reward_recovery(agent: IPMD, env_id: str, episodes: int = 5) -> dict[str, Any]:
    """Learned reward against true reward on fresh episodes of the sampling policy, by seed and on average.

    Returns:
        `pearson` and `standardized_error`, the seeds' means, and both `..._per_seed`.
    """
    evaluator = Evaluator(
        env_id, num_seeds=agent.num_seeds, episodes=episodes, first_reset_seed=RECOVERY_SEED, device=agent.device
    )
    by_seed = evaluator.record(sampling_policy(agent.policy, seed=RECOVERY_SEED))
    evaluator.close()
    pearson, error = [], []
    for index, recorded in enumerate(by_seed):
        learned = learned_rewards(agent, index, recorded)
        true = np.concatenate([episode.reward for episode in recorded])
        pearson.append(statistics.pearson(learned, true))
        error.append(statistics.standardized_error(learned, true))
    return {
        "pearson": float(np.mean(pearson)),
        "standardized_error": float(np.mean(error)),
        "pearson_per_seed": pearson,
        "standardized_error_per_seed": error,
    }


def learned_rewards(agent: IPMD, index: int, recorded: Sequence[Episode]) -> np.ndarray:
    """Seed `index`'s learned reward `[n]` of recorded transitions."""

    def column(name: str) -> torch.Tensor:
        values = torch.from_numpy(np.concatenate([getattr(episode, name) for episode in recorded]))
        return values.to(agent.device).expand(agent.num_seeds, *values.shape)

    reward = agent.reward(column("observation"), column("action"), column("next_observation"))
    return reward[index].cpu().numpy()
