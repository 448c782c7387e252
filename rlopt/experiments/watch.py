"""Episodes of a trained policy to watch: in a window, as a film, with the learned reward under the true one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rlopt.agents.agent import Agent
from rlopt.agents.saving import check_fits, load_agent
from rlopt.envs.spec import EnvSpec
from rlopt.errors import UserError
from rlopt.experiments.reward_recovery import has_learned_reward, learned_rewards
from rlopt.play.episodes import Stage, Step
from rlopt.play.video import Film, make_film, save_film
from rlopt.policies import LoadedPolicy
from rlopt.report.reward_plot import rewards_figure
from rlopt.report.statistics import pearson
from rlopt.training.evaluation import Episode, told_success


@dataclass(frozen=True)
class Watched:
    """An episode that was watched."""

    seed: int
    """Of its reset."""
    episode: Episode
    success: bool | None
    """None where the environment does not say."""

    @property
    def length(self) -> int:
        """In steps."""
        return len(self.episode.reward)


def watch(
    policy: LoadedPolicy,
    spec: EnvSpec,
    *,
    seeds: Sequence[int],
    deterministic: bool = True,
    window: bool = False,
    films: Sequence[Path] = (),
    plain: bool = False,
) -> Iterator[Watched]:
    """Play one episode for each reset seed. Films are written after the last one.

    Args:
        policy: of one seed.
        spec: the environment, with the sizes of the policy.
        seeds: of the resets.
        deterministic: the policy's mode, else samples.
        window: whether a window shows it.
        films: `.mp4` and `.gif` files, which get all episodes one after the other.
        plain: as of `Stage`.

    Raises:
        UserError: if the environment cannot be made or drawn, or a film cannot be written.
    """
    mode = "rgb_array" if films else "human" if window else None
    with Stage(spec, mode, plain) as stage:
        reels: dict[Path, Film] = {}

        def show() -> None:
            if films:
                picture = stage.picture()
                for path in films:
                    reels.setdefault(path, make_film(path, stage.rate)).add(picture)

        for seed in seeds:
            yield _one_episode(stage, policy, seed, deterministic, show)
        for path, film in reels.items():
            save_film(path, film)


def _one_episode(
    stage: Stage, policy: LoadedPolicy, seed: int, deterministic: bool, show: Callable[[], None]
) -> Watched:
    def act(observation: np.ndarray) -> np.ndarray:
        show()  # before every step, and once more after the last one
        return policy.act(observation[None, None], deterministic)[0, 0]

    steps: list[Step] = []
    success: bool | None = None
    for step in stage.play(act, seed):
        steps.append(step)
        told = told_success(step.info, bool(success))
        success = success if told is None else told
    show()
    rows = [(s.observation, s.action, s.next_observation, s.reward, s.terminated, s.truncated) for s in steps]
    return Watched(seed, Episode.of(rows), success)


@dataclass(frozen=True)
class SeedsReward:
    """The reward that one seed of a model learned."""

    agent: Agent
    seed: int
    index: int
    """Of the seed in the agent."""

    def along(self, episode: Episode) -> np.ndarray:
        """Of every step `[n]`."""
        return learned_rewards(self.agent, self.index, [episode])


def load_reward(path: str | Path, policy: LoadedPolicy) -> SeedsReward:
    """The learned reward in a model file, of the policy's seed where the file has that one, else of its first.

    Raises:
        UserError: for a file that is no model, or one without a learned reward, or of other sizes than the policy's.
    """
    agent, about = load_agent(path)
    if not has_learned_reward(agent):
        raise UserError(f"{path} holds {about['kind'].upper()}, which learned no reward.")
    check_fits(f"The reward in {path}", agent, policy.spec.env_id, policy.spec.sizes)
    seed = policy.seeds[0] if policy.seeds[0] in about["seeds"] else about["seeds"][0]
    return SeedsReward(agent, seed, about["seeds"].index(seed))


def draw_rewards(reward: SeedsReward, policy: LoadedPolicy, watched: Sequence[Watched], path: Path) -> float:
    """Draw a learned reward under the true one along episodes; returns their correlation."""
    true = [each.episode.reward for each in watched]
    learned = [reward.along(each.episode) for each in watched]
    title = f"{policy.about['kind'].upper()} on {policy.spec.env_id}, reward of seed {reward.seed}"
    rewards_figure(true, learned, title=title, path=path)
    return pearson(np.concatenate(learned), np.concatenate(true))
