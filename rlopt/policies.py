"""Trained policies to use: a function from observations to actions, both in the environment's units."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch

from rlopt.agents.agent import Agent
from rlopt.agents.common import Policy
from rlopt.agents.saving import check_fits, load_agent
from rlopt.envs.observations import as_numbers, flatten_observations, observation_space
from rlopt.envs.spec import EnvSpec, as_spec, env_spec
from rlopt.errors import UserError
from rlopt.networks import Actor

Seed = int | Literal["all"] | None


class LoadedPolicy:
    """One policy, or those of all seeds, as a function. `load_policy` makes it.

    Call it with one observation `[O]` or a batch `[N, O]` in the environment's units, float32 or what becomes it; actions are
    `[A]` or `[N, A]`. With the policies of all seeds an action has a leading S, and observations may have it, too: `[S, N, O]`.
    Observations that are a Dict, a Tuple or a matrix are flattened in the order of the environment's space, which is looked up
    when the first one comes; a batch of them is what vector environments give, a dict of batches. (A matrix of one row has the
    shape of a batch of one vector, and is taken for it.)
    """

    def __init__(
        self,
        policy: Policy,
        spec: EnvSpec,
        seeds: list[int],
        about: Mapping[str, Any],
        *,
        one_seed: bool = True,
        sampling_seed: int = 0,
    ):
        self.policy = policy
        """In the library's units: observations `[S, B, O]` -> actions `[S, B, A]` in [-1, 1]."""
        self.spec = spec
        self.seeds = seeds
        """Those whose policies these are."""
        self.about = about
        """What the model file says: `kind`, `env_id`, `seeds`, `config`, ..."""
        self.device = next(policy.actor.parameters()).device
        self.generator = torch.Generator(self.device).manual_seed(sampling_seed)
        self.one_seed = one_seed
        """Whether actions have no leading S."""

    def __call__(self, observation: Any, *, deterministic: bool = True) -> np.ndarray:
        """Actions in the environment's units, float32 within its bounds: the policy's mode, or a sample of it.

        Raises UserError for observations of another shape, with NaN or infinity, and for samples of a policy that has none.
        """
        rows = self._rows(observation)
        stacked = rows if rows.ndim == 3 else rows.reshape(1, -1, rows.shape[-1])  # [1 or S, B, O]
        action = self.spec.to_env_units(self.act(stacked, deterministic))  # [S, B, A]
        if rows.ndim == 1:
            action = action[:, 0]
        return action[0] if self.one_seed else action

    def act(self, observation: np.ndarray, deterministic: bool = True) -> np.ndarray:
        """Actions `[S, B, A]` in [-1, 1] of observations `[S, B, O]` (or `[1, B, O]` for all seeds)."""
        if not deterministic:
            self.check_samples()
        given = torch.from_numpy(observation).to(self.device).expand(len(self.seeds), -1, -1)
        return self.policy(given, None if deterministic else self.generator).cpu().numpy()

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, Any]:
        """As `predict` of stable-baselines3's models: batch in, batch out; `state` comes back as it is.

        So `stable_baselines3.common.evaluation.evaluate_policy` takes this in place of a model. Raises UserError for the
        policies of all seeds, which have no one action.
        """
        if not self.one_seed:
            raise UserError(
                "predict gives one action for an observation: load one seed's policy, load_policy(path, seed=...)."
            )
        return self(observation, deterministic=deterministic), state

    def check_samples(self) -> None:
        """Raise UserError for a policy that did not learn how much to vary its actions."""
        if self.about["kind"] == "bc":
            raise UserError("BC learns one action for an observation, and no spread: its policies are deterministic.")

    @cached_property
    def space(self) -> gym.Space:
        """Of the environment's own observations. Raises UserError if the environment cannot be made."""
        try:
            return observation_space(self.spec)
        except UserError as error:
            size = self.spec.observation_size
            raise UserError(
                f"Observations that are no vectors of {size} numbers need the environment: {error}"
            ) from error

    def _rows(self, observation: Any) -> np.ndarray:
        """Vectors `[O]`, `[N, O]` or, with all seeds, `[S, N, O]`, float32."""
        size, name = self.spec.observation_size, self.spec.env_id
        composed = isinstance(observation, Mapping | tuple)
        rows = np.zeros(()) if composed else as_numbers(observation)
        if composed or not rows.ndim or rows.shape[-1] != size:
            rows = flatten_observations(self.space, observation)
        stacked = rows.ndim == 3 and not self.one_seed and len(rows) == len(self.seeds)
        if rows.ndim not in (1, 2) and not stacked:
            more = "" if self.one_seed else f" or [{len(self.seeds)}, N, {size}]"
            raise UserError(
                f"A policy of {name} takes [{size}], [N, {size}]{more}, not an array of {list(rows.shape)}."
            )
        if not np.isfinite(rows).all():
            raise UserError(f"An observation for a policy of {name} has NaN or infinity in it.")
        return rows


def load_policy(
    path: str | Path,
    seed: Seed = None,
    *,
    best: bool = False,
    env: Any = None,
    sampling_seed: int = 0,
    device: torch.device | str = "cpu",
) -> LoadedPolicy:
    """The policy in a model file of steps 1 to 3, as a function from observations to actions in the environment's units.

    Args:
        path: `sac_expert.pt`, `ipmd_model.pt`, `bc_policy_seed44.pt`, or that of any other registered method.
        seed: whose policy, one of those the file was trained with; "all": those of all seeds. None: the best one where the file
            names it (a file of step 1), else the first.
        best: of a file of step 1, the policies as they were at their best evaluation, which recorded the demonstrations, in
            place of the last ones.
        env: the environment, where it is not the one that the file names; anything that `rlopt.envs.as_spec` takes.
        sampling_seed: what samples (`deterministic=False`) are drawn with.
        device: where the networks are.

    Raises:
        UserError: for a file that is missing, damaged or no model; a seed that it has not; an environment of other sizes.
    """
    agent, about = load_agent(path, device)
    actor = agent.policy.actor
    if best:
        if "best_actor" not in about:
            raise UserError(
                f"{path} has no policies of the best evaluation: only files of step 1 have (leave out best)."
            )
        actor.load_state_dict(about["best_actor"])
    chosen = choose_seeds(path, about, seed)
    if seed != "all":
        actor = actor_of_seed(actor, about["seeds"].index(chosen[0]))
    spec = _environment(path, agent, about, env)
    about = {name: value for name, value in about.items() if name != "best_actor"}
    return LoadedPolicy(Policy(actor), spec, chosen, about, one_seed=seed != "all", sampling_seed=sampling_seed)


def choose_seeds(path: str | Path, about: Mapping[str, Any], seed: Seed) -> list[int]:
    """The seeds that `seed` names of a model file. Raises UserError if it has not got that one."""
    seeds: list[int] = about["seeds"]
    if seed == "all":
        return list(seeds)
    chosen = about.get("best_seed", seeds[0]) if seed is None else seed
    if chosen not in seeds:
        raise UserError(f"{path} has no policy of seed {chosen}: it has {', '.join(map(str, seeds))}.")
    return [chosen]


def actor_of_seed(actor: Actor, index: int) -> Actor:
    """The actor of one of the seeds alone, whose parameters have a leading seed dimension of 1."""
    single = deepcopy(actor).requires_grad_(False)
    for parameter in single.parameters():
        parameter.data = parameter.data[index : index + 1].clone()
    return single


def _environment(path: str | Path, agent: Agent, about: Mapping[str, Any], env: Any) -> EnvSpec:
    """The environment of a model: the one given, else what the file says of it, else the one that it names, looked up."""
    name, kwargs, limit = about["env_id"], about.get("env_kwargs") or {}, about.get("max_episode_steps")
    sizes = agent.observation_size, agent.action_size
    if env is None and "action_low" in about:
        bounds = about["action_low"].numpy(), about["action_high"].numpy()
        return EnvSpec(name, *sizes, *bounds, limit or 0, name, kwargs, torchrl=name.startswith("torchrl:"))
    try:
        spec = env_spec(name, kwargs, limit) if env is None else as_spec(env)
    except UserError as error:
        if env is not None:
            raise
        raise UserError(f"{path} does not say the bounds of actions: give its environment (env). {error}") from error
    check_fits(path, agent, spec.env_id, spec.sizes)
    return spec
