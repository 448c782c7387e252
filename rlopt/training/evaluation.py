"""Evaluation: deterministic policies, true reward, the same start states for everyone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlopt.agents.common import Policy
from rlopt.cores import available_workers
from rlopt.envs.processes import copies_of
from rlopt.envs.spec import EnvSpec, as_spec, check_env_workers
from rlopt.errors import UserError
from rlopt.states import check_form

EVALUATION_SEED = 1_000_000
"""First reset seed of evaluation episodes, away from any training seed."""
LONGEST_EPISODE = 100_000
"""Steps after which an episode is taken for endless."""

ObservationToAction = Callable[[Tensor], Tensor]
"""Observations `[S, B, O]` -> actions `[S, B, A]` in [-1, 1]."""


@dataclass(frozen=True)
class Episode:
    """One whole episode of n steps, float32 (flags bool), actions in [-1, 1]."""

    observation: np.ndarray  #: `[n, O]`
    action: np.ndarray  #: `[n, A]`
    next_observation: np.ndarray  #: `[n, O]`
    reward: np.ndarray  #: `[n]`
    terminated: np.ndarray  #: `[n]`
    truncated: np.ndarray  #: `[n]`

    @classmethod
    def of(cls, steps: Sequence[tuple]) -> Episode:
        """An episode of steps, each with the fields above."""
        kinds = (np.float32, np.float32, np.float32, np.float32, np.bool_, np.bool_)
        return cls(*(np.asarray(column, kind) for column, kind in zip(zip(*steps, strict=True), kinds, strict=True)))

    @property
    def undiscounted_return(self) -> float:
        """The sum of rewards."""
        return float(self.reward.sum(dtype=np.float64))


@dataclass(frozen=True)
class Evaluation:
    """What P whole episodes of each of S policies came to."""

    returns: np.ndarray
    """Undiscounted true returns `[S, P]`."""
    successes: np.ndarray | None = None
    """Which episodes were a success, bool `[S, P]`; None where the environment does not say."""

    @property
    def success_rates(self) -> np.ndarray | None:
        """Each seed's share of episodes that were a success, `[S]`."""
        return None if self.successes is None else self.successes.mean(1)


class Evaluator:
    """Plays whole episodes for S seeds; keeps its environments, because making them costs more than resetting them.

    Evaluation is paired: episode j of every seed, method and call starts from reset seed `first_reset_seed + j`.

    Args:
        env: an id or a spec.
        num_seeds: S.
        episodes: P per seed.
        first_reset_seed: of the list of start states.
        envs: environments per seed, for a simulator of which few can run; None: P, so that all episodes run at once.
        device: where the policy lives.
        workers: threads that step the environments, where rlopt has a batch for the task; None: one a core.
        env_workers: processes that share the environments; 0: this process steps.

    Raises UserError for an environment that cannot be made, or steps its copies by itself and was given processes.
    """

    def __init__(
        self,
        env: str | EnvSpec,
        *,
        num_seeds: int = 1,
        episodes: int = 20,
        first_reset_seed: int = EVALUATION_SEED,
        envs: int | None = None,
        device: torch.device | str = "cpu",
        workers: int | None = None,
        env_workers: int = 0,
    ):
        self.spec = as_spec(env)
        check_env_workers(self.spec, env_workers)
        self.num_seeds, self.episodes, self.first_reset_seed = num_seeds, episodes, first_reset_seed
        self.device = torch.device(device)
        self.envs_per_seed = min(envs or episodes, episodes)
        self.copies: Any
        if self.spec.torchrl:
            from rlopt.envs.torchrl.copies import TorchRLCopies

            self.copies = TorchRLCopies(self.spec, num_seeds, self.envs_per_seed, self.device)
            self.envs_per_seed = self.copies.envs_per_seed
        else:
            seeds = [0] * (num_seeds * self.envs_per_seed)  # seed-major; every episode is given its own
            self.copies = copies_of(self.spec, seeds, threads=workers or available_workers(), processes=env_workers)
        self.reports_success = False
        """Whether an `info` had a success in it; from then on, an episode without one is none."""

    def __call__(self, policy: ObservationToAction) -> np.ndarray:
        """Undiscounted true returns `[S, P]` of a policy."""
        return self.play(policy).returns

    def play(self, policy: ObservationToAction) -> Evaluation:
        """Returns and, where the environment's `info` has `is_success` or `success`, successes of a policy."""
        returns = np.zeros(self.num_seeds * self.episodes)
        successes = np.zeros(len(returns), bool)
        for step in self._play(policy):
            returns[step.episodes] += step.reward
            for episode, info in zip(step.episodes, step.infos, strict=True):
                if (told := told_success(info, bool(successes[episode]))) is not None:
                    self.reports_success, successes[episode] = True, told
        shape = self.num_seeds, self.episodes
        return Evaluation(returns.reshape(shape), successes.reshape(shape) if self.reports_success else None)

    def record(self, policy: ObservationToAction) -> list[list[Episode]]:
        """The same episodes with all their transitions: a list of P per seed."""
        rows: list[list[tuple]] = [[] for _ in range(self.num_seeds * self.episodes)]
        for step in self._play(policy):
            for index, *row in zip(*step[:-1], strict=True):  # all but infos
                rows[index].append(tuple(row))
        episodes = [Episode.of(row) for row in rows]
        return [episodes[i : i + self.episodes] for i in range(0, len(episodes), self.episodes)]

    def close(self) -> None:
        """Close the environments."""
        self.copies.close()

    def _play(self, policy: ObservationToAction) -> Iterator[_Step]:
        """The episodes of all seeds, as many at once as there are environments for."""
        if self.spec.torchrl and self.copies.takes_turns:
            for seed in range(self.num_seeds):
                yield from self._play_seeds(select_policy(policy, seed, self.num_seeds), np.array([[seed]]))
        else:
            yield from self._play_seeds(policy, np.arange(self.num_seeds)[:, None])

    def _play_seeds(self, policy: ObservationToAction, seeds: np.ndarray) -> Iterator[_Step]:
        """The episodes of the seeds with these numbers `[s, 1]`, whose policies `policy` has."""
        for first in range(0, self.episodes, self.envs_per_seed):
            number = np.arange(first, min(first + self.envs_per_seed, self.episodes))
            copies = ((seeds - seeds[0]) * self.envs_per_seed + number - first).flatten()
            resets = [self.first_reset_seed + int(j) for j in np.tile(number, len(seeds))]
            episodes = (seeds * self.episodes + number).flatten()
            yield from self._play_at_once(policy, copies, resets, episodes, len(seeds))

    def _play_at_once(
        self, policy: ObservationToAction, numbers: np.ndarray, resets: list[int], episodes: np.ndarray, num_seeds: int
    ) -> Iterator[_Step]:
        """Step every unfinished episode, until none is left. Raises UserError if one goes on for ever, or fails."""
        copies = self.copies
        copies.reset(numbers, resets)
        running = np.arange(len(numbers))
        for _ in range(LONGEST_EPISODE):
            observation = copies.observation[numbers]
            stacked = torch.from_numpy(observation).to(self.device).view(num_seeds, -1, observation.shape[1])
            action = policy(stacked).flatten(0, 1).cpu().numpy()  # finished episodes get one, too, and do not use it
            stepped = numbers[running]
            copies.step_some(stepped, action[running])
            step = _Step(
                episodes[running],
                observation[running],
                action[running],
                copies.observation[stepped],
                copies.reward[stepped],
                copies.terminated[stepped],
                copies.truncated[stepped],
                [copies.info[number] for number in stepped],
            )
            yield step
            running = running[~(step.terminated | step.truncated)]
            if not len(running):
                return
        raise UserError(
            f"An episode of {self.spec.env_id} did not end within {LONGEST_EPISODE:,} steps: "
            "give a time limit (max_episode_steps)."
        )


class _Step(NamedTuple):
    """One step of the episodes that are not over, `[n, .]`."""

    episodes: np.ndarray
    observation: np.ndarray
    action: np.ndarray
    next_observation: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    infos: Sequence[Mapping[str, Any]]


def told_success(info: Mapping[str, Any], before: bool) -> bool | None:
    """Whether an episode is a success as far as a step's `info` tells; None where it does not.

    Each key means what it means where it comes from: `is_success` counts at an episode's last step (Gymnasium-Robotics,
    stable-baselines3), `success` at any step (Meta-World), so also `before`. With both, it is `is_success`.
    """
    if "is_success" in info:
        return bool(np.any(info["is_success"]))
    return before or bool(np.any(info["success"])) if "success" in info else None


class BestPolicies:
    """The policies of S seeds, each as it was at its best evaluation: the last one of a training may be a bad one."""

    def __init__(self, policy: Policy, num_seeds: int):
        self.actor = deepcopy(policy.actor).requires_grad_(False)
        self.policy = Policy(self.actor)
        self.returns = torch.full((num_seeds,), -math.inf)

    @torch.no_grad()
    def consider(self, policy: Policy, returns: np.ndarray) -> None:
        """Take the policies of those seeds whose mean of `returns` `[S, episodes]` is their best so far."""
        means = torch.from_numpy(returns.mean(1))
        better = torch.nonzero(means > self.returns).flatten()
        self.returns[better] = means[better].float()
        for own, new in zip(self.actor.parameters(), policy.actor.parameters(), strict=True):
            own[better] = new[better]

    def state_dict(self) -> dict[str, Any]:
        """Policies and returns."""
        return {"actor": self.actor.state_dict(), "returns": self.returns}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned. Raises ValueError if it is of other policies."""
        check_form(state, self.state_dict(), "the best policies")
        self.actor.load_state_dict(state["actor"])
        self.returns.copy_(state["returns"])


def play(
    policy: ObservationToAction,
    env: str | EnvSpec,
    *,
    num_seeds: int | None = None,
    **how: Any,
) -> Evaluation:
    """Undiscounted true returns `[S, P]` and successes of deterministic policies, from the common list of start states.

    `num_seeds` is by default what the policy says, else 1; the rest is as of `Evaluator`.
    """
    seeds = getattr(policy, "num_seeds", 1) if num_seeds is None else num_seeds
    with closing(Evaluator(env, num_seeds=seeds, **how)) as evaluator:
        return evaluator.play(policy)


def evaluate(policy: ObservationToAction, env: str | EnvSpec, **how: Any) -> np.ndarray:
    """The returns `[S, P]` alone of `play`, with the same arguments."""
    return play(policy, env, **how).returns


def random_policy(action_size: int, seed: int = EVALUATION_SEED) -> ObservationToAction:
    """Uniformly random actions in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)

    def act(observation: Tensor) -> Tensor:
        return torch.rand(*observation.shape[:-1], action_size, generator=generator).mul_(2).sub_(1)

    return act


def sampling_policy(policy: Policy, seed: int) -> ObservationToAction:
    """The same policies, acting at random as in training."""
    generator = torch.Generator(next(policy.actor.parameters()).device).manual_seed(seed)
    return lambda observation: policy(observation, generator)


def select_policy(policy: ObservationToAction, index: int, num_seeds: int) -> ObservationToAction:
    """The policy of seed `index` alone, as a policy of one seed: `[1, B, O]` -> `[1, B, A]`."""

    def act(observation: Tensor) -> Tensor:
        return policy(observation.expand(num_seeds, -1, -1))[index : index + 1]

    return act
