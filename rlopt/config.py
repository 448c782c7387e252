"""Settings: frozen dataclasses that check themselves, and presets for known environments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import torch

from rlopt.errors import UserError

# Updates of a run from which on compiling pays. It takes 15 to 25 seconds, and saved 0.2 to 3 ms an update on two CPU cores,
# 0.3 to 0.4 ms on an H200.
_WORTH_COMPILING = {"cpu": 20_000, "cuda": 100_000}

MATMUL_PRECISIONS = ("float32", "tf32", "bfloat16")
REWARD_INPUTS = ("s", "sa", "sas", "ss")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(message)


def _require_types(config: Any) -> None:
    """Whole numbers where whole numbers are meant: half a batch fails far from where it was asked for."""
    for name, kind in ((f.name, f.type) for f in fields(config)):
        value = getattr(config, name)
        accepted: dict[Any, tuple[type, ...]] = {
            **{"int": (int,), "float": (int, float), "str": (str,)},
            **{"bool": (bool,), "bool | None": (bool, type(None))},
        }
        right = isinstance(value, accepted.get(kind, (object,))) and ("bool" in kind or not isinstance(value, bool))
        _require(right, f"{name} must be of type {kind}, and is {value!r}.")


def _require_positive(config: Any, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        _require(0 < value < float("inf"), f"{name} must be positive and finite, and is {value}.")


def require_seed(seed: int) -> None:
    """Raise UserError for a seed that is none."""
    _require(0 <= seed < 2**32, f"seed must lie between 0 and 2**32 - 1, and is {seed}.")


def _require_hidden(hidden_sizes: tuple[int, ...], name: str) -> None:
    _require(
        isinstance(hidden_sizes, tuple | list)
        and len(hidden_sizes) > 0
        and all(isinstance(h, int) and h > 0 for h in hidden_sizes),
        f"{name} must hold at least one positive layer width, and is {hidden_sizes}.",
    )


@dataclass(frozen=True, kw_only=True)
class SACConfig:
    """Soft actor-critic."""

    hidden_sizes: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of actor and critics."""
    num_critics: int = 2
    """K, critics per seed; the smallest of them is believed."""
    batch_size: int = 256
    """B, transitions per seed and update."""
    learning_rate: float = 3e-4
    """Adam's learning rate for actor, critics and temperature."""
    gamma: float = 0.99
    """Discount per step."""
    tau: float = 0.005
    """Share of the critic that goes into its target after each update (Polyak averaging)."""
    policy_tau: float = 0.001
    """Share of the actor that goes into the policy that is evaluated and kept, its running mean from the first weights on
    (Nikishin et al., 2018); 1: the actor itself. Where one fall ends an episode, the actors of two moments can be worlds apart,
    and their mean is steady."""
    initial_alpha: float = 1.0
    """Temperature at the start; it is then tuned towards the target entropy -A."""
    matmul_precision: str = "float32"
    """Of the matrix products alone (weights, sums and optimisers stay float32): "float32"; "tf32", which rounds their
    operands to ten binary digits on CUDA; "bfloat16", which rounds them to seven."""

    def __post_init__(self) -> None:
        _require_types(self)
        _require_hidden(self.hidden_sizes, "hidden_sizes")
        _require_positive(self, "num_critics", "batch_size", "learning_rate", "initial_alpha")
        _require(0 < self.gamma < 1, f"gamma must lie between 0 and 1, and is {self.gamma}.")
        for name in ("tau", "policy_tau"):
            _require(0 < getattr(self, name) <= 1, f"{name} must lie in (0, 1], and is {getattr(self, name)}.")
        _require(
            self.matmul_precision in MATMUL_PRECISIONS,
            f"matmul_precision must be one of {', '.join(MATMUL_PRECISIONS)}, and is {self.matmul_precision!r}.",
        )


@dataclass(frozen=True, kw_only=True)
class IPMDConfig(SACConfig):
    """Inverse policy mirror descent: SAC's settings and those of the learned reward."""

    reward_inputs: str = "sa"
    """What the reward may look at: "s", "sa", "sas" or "ss"."""
    reward_hidden_sizes: tuple[int, ...] | None = None
    """Widths of the reward network; None: as `hidden_sizes`."""
    reward_learning_rate: float = 3e-4
    """Adam's learning rate for the reward network."""
    expert_batch_size: int = 256
    """Expert transitions per seed and update; as many as `expert_share` takes, if those are more."""
    value_regularizer: float = 0.5
    """lambda: keeps rewards between -1/lambda and 1/lambda."""
    gradient_penalty: float = 1.0
    """kappa: keeps the reward's slope at most `reward_slope` between the policy's data and the expert's."""
    reward_slope: float = 1.0
    """L: the steepest reward, per unit of its input, that the gradient penalty leaves alone."""
    expert_share: float = 0.0
    """Share of the batch that critic and policy learn from that is the expert's: SQIL (1905.11108), RLPD (2302.02948)."""
    recent_share: float = 0.0
    """Share of the policy's transitions drawn from its last 10,000 frames, the rest from the whole buffer: a reward is to tell
    the expert from the policy of now, and an actor that forgets how to start sees it soon."""
    inverse_eta: float = 0.0
    """1/eta, weight of the KL to the policy of the last mirror step; 0 leaves the entropy as the only regulariser."""
    mirror_period: int = 100
    """Updates between two mirror steps, at which the policy pi_k is renewed."""
    average_reward: bool = False
    """The average-reward criterion (no discount) in place of the discounted one."""
    absorbing_states: bool = True
    """Give an ended episode the value of staying in an absorbing state; False: zero, as if reward were the environment's."""
    min_observation_std: float = 1.0
    """Smallest standard deviation that observations are divided by, before the reward network and wherever else they are."""
    standardize_observations: bool = False
    """Actor and critics see standardised observations, too, and all see them no more than 5 deviations away: for observations
    that reach into the hundreds."""
    entropy_backup: bool = True
    """Critics count the policy's entropy, as SAC's do; False: its loss alone does (an option of RLPD, 2302.02948). Where
    actions do not matter, as to an ant on its back, entropy can pay more than a learned reward, which flattens."""
    expert_bound: bool = False
    """Critics' targets are capped at the expert's best reward for ever, best / (1 - gamma), in place of 1/lambda for ever.
    Where a learner never comes to the expert's states, of which half of its batch may be, nothing else corrects values there
    that are too high. With `entropy_backup` the cap leaves no room for entropy."""
    freeze_reward: bool = False
    """Leave the reward as it is (it was loaded): no demonstrations are needed."""
    use_environment_reward: bool = False
    """Learn from the environment's reward and no expert: with inverse_eta = 0 this is SAC, bit for bit."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reward_hidden_sizes is not None:
            _require_hidden(self.reward_hidden_sizes, "reward_hidden_sizes")
        _require_positive(
            self,
            "reward_learning_rate",
            "expert_batch_size",
            "value_regularizer",
            "mirror_period",
            "min_observation_std",
            "reward_slope",
        )
        _require(0 <= self.expert_share < 1, f"expert_share must lie in [0, 1), and is {self.expert_share}.")
        _require(0 <= self.recent_share <= 1, f"recent_share must lie between 0 and 1, and is {self.recent_share}.")
        for name in ("gradient_penalty", "inverse_eta"):
            _require(getattr(self, name) >= 0, f"{name} must not be negative, and is {getattr(self, name)}.")
        _require(
            self.reward_inputs in REWARD_INPUTS,
            f"reward_inputs must be one of {', '.join(REWARD_INPUTS)}, and is {self.reward_inputs!r}.",
        )


@dataclass(frozen=True, kw_only=True)
class BCConfig:
    """Behaviour cloning: supervised regression of the expert's actions."""

    hidden_sizes: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers."""
    batch_size: int = 256
    """B, transitions per seed and gradient step."""
    learning_rate: float = 3e-4
    """Adam's learning rate."""
    epochs: int = 100
    """Passes over the data. An epoch is never shorter than `min_steps_per_epoch`."""
    min_steps_per_epoch: int = 100
    """Gradient steps that an epoch has at least, so that few demonstrations do not mean few steps."""

    def __post_init__(self) -> None:
        _require_types(self)
        _require_hidden(self.hidden_sizes, "hidden_sizes")
        _require_positive(self, "batch_size", "learning_rate", "epochs", "min_steps_per_epoch")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The online loop: how experience is gathered and how often an agent learns from it. Frames count per seed."""

    frames: int = 100_000
    """Environment frames per seed."""
    num_seeds: int = 5
    """S, independent seeds trained in one update."""
    seed: int = 42
    """Seed i uses `seed + i`."""
    num_envs: int = 8
    """E, environment copies per seed."""
    steps_per_batch: int = 8
    """T, steps of every copy per collector batch."""
    env_workers: int = 0
    """Processes that step the environments; 0: the one that trains. It pays beside a GPU, with many copies."""
    updates_per_frame: float = 1.0
    """Gradient steps per frame of one seed."""
    anneal: float = 0.0
    """Share of the frames, the last ones, over which learning rates fall to zero in a straight line, so that networks come to
    rest; 0: they stay as they are."""
    warmup_frames: int = 5_000
    """Frames of random actions per seed before the first update."""
    buffer_size: int = 1_000_000
    """Transitions per seed that the replay buffer keeps."""
    cuda_graph: bool = True
    """On CUDA, run the updates of a collector batch as one captured graph."""
    compile: bool | None = None
    """Fuse an update's small operations with `torch.compile`; None: if the run is long enough to pay for it."""
    eval_points: int = 20
    """Evaluations during training, evenly spaced."""
    eval_episodes: int = 10
    """Episodes per seed in each of them."""
    checkpoint_points: int = 10
    """Checkpoints during training, evenly spaced."""

    def __post_init__(self) -> None:
        _require_types(self)
        _require_positive(
            self,
            *("frames", "num_seeds", "num_envs", "steps_per_batch", "updates_per_frame", "warmup_frames"),
            *("buffer_size", "eval_points", "eval_episodes", "checkpoint_points"),
        )
        _require(0 <= self.anneal <= 1, f"anneal must lie between 0 and 1, and is {self.anneal}.")
        _require(self.env_workers >= 0, f"env_workers must not be negative, and is {self.env_workers}.")
        require_seed(self.seed)
        copies = self.num_seeds * self.num_envs
        _require(
            self.env_workers == 0 or copies % self.env_workers == 0,
            f"env_workers must divide the {copies} environment copies of all seeds, and is {self.env_workers}.",
        )
        _require(
            self.frames > self.warmup_frames,
            f"{self.frames} frames are no more than the {self.warmup_frames} of the random warm-up: there must be more.",
        )
        _require(
            (self.frames - self.warmup_frames) * self.updates_per_frame >= 1,
            f"{self.frames} frames at {self.updates_per_frame} updates per frame are not one update: there must be more.",
        )

    @property
    def frames_per_batch(self) -> int:
        """Frames per seed in one collector batch, E * T."""
        return self.num_envs * self.steps_per_batch

    def learning_rate_share(self, frames: int) -> float:
        """The share of the full learning rates that is left after `frames` frames per seed."""
        return min(1.0, max(0, self.frames - frames) / (self.anneal * self.frames)) if self.anneal else 1.0

    def compiles(self, device: torch.device) -> bool:
        """Whether updates are compiled: as was asked for, else in a run of so many that it pays."""
        if self.compile is None:
            return (self.frames - self.warmup_frames) * self.updates_per_frame >= _WORTH_COMPILING[device.type]
        return self.compile

    @property
    def seeds(self) -> list[int]:
        """The S seeds."""
        return [self.seed + i for i in range(self.num_seeds)]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What suits one environment; methods share it, so that none is flattered."""

    sac: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `SACConfig`, for SAC and IPMD alike."""
    ipmd: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `IPMDConfig` that SAC does not have."""
    bc: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `BCConfig`."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `TrainingConfig`."""


_GENERAL = Preset()
# Few joints: small networks learn as well, and an update costs a tenth.
_SMALL = Preset(
    sac={"hidden_sizes": (64, 64), "batch_size": 128, "learning_rate": 1e-3, "policy_tau": 0.005},
    bc={"hidden_sizes": (64, 64)},
    training={"updates_per_frame": 0.5, "warmup_frames": 1_000},
)
# Adam's step as in Tianshou's MuJoCo benchmark. With 3e-4 Walker2d's SAC came to 838 points in 250,000 frames, Hopper's to
# 1,358 in 207,000.
_LOCOMOTION = Preset(sac={"learning_rate": 1e-3})
# Where a learner falls long before it walks, it had better hear of the expert's states at once, and one that walks still falls
# at some moments of its training: the policy is a mean over 5,000 updates, and what went wrong is soon in every batch.
_WALKING = Preset(sac={**_LOCOMOTION.sac, "policy_tau": 2e-4}, ipmd={"expert_share": 0.5, "recent_share": 0.5})
# Many joints, contact forces beside them: fine scales show posture, and the slope keeps the reward off its bound there. Ants on
# their backs had an entropy of 4.7, walking ones of -7.7: at a temperature of 0.3 that is more than the reward holds.
_MANY_JOINTS = {**_WALKING.ipmd, "standardize_observations": True, "min_observation_std": 0.1, "entropy_backup": False}
_ANT = replace(_WALKING, ipmd={**_MANY_JOINTS, "reward_slope": 0.25})
# 348 observations, forces of hundreds: random data are 27 to 65 units away, where a steeper reward is at its bound. Learners
# that could not come to the expert's states believed in 190 there, where 50 was what its rewards add up to, and in -90 at home.
_HUMANOID = replace(_WALKING, ipmd={**_MANY_JOINTS, "reward_slope": 0.1, "expert_bound": True})

PRESETS: dict[str, Preset] = {
    "Pendulum-v1": replace(_SMALL, sac={**_SMALL.sac, "batch_size": 64}),
    "InvertedPendulum-v5": _SMALL,
    "InvertedDoublePendulum-v5": _SMALL,
    "Reacher-v5": _SMALL,
    # A swimmer's stroke pays off over hundreds of steps: with gamma = 0.99 SAC never finds it.
    "Swimmer-v5": replace(_SMALL, sac={**_SMALL.sac, "gamma": 0.999}),
    # Far from the expert a steeper reward is at its bound, the same everywhere, and a fresh learner on it gets lost there.
    "HalfCheetah-v5": replace(_LOCOMOTION, ipmd={"reward_slope": 0.25}),
    "Hopper-v5": _WALKING,
    "Walker2d-v5": _WALKING,
    "Ant-v5": _ANT,
    "Humanoid-v5": _HUMANOID,
}
"""Environments with settings of their own; any other gets the dataclasses' defaults."""


VARIANTS = {"rlopt/LongPendulum-v1": "Pendulum-v1", "rlopt/HeavyHalfCheetah-v5": "HalfCheetah-v5"}
"""Changed dynamics share the original's preset."""


def preset(env_id: str) -> Preset:
    """The preset of an environment, or the general one."""
    return PRESETS.get(VARIANTS.get(env_id, env_id), _GENERAL)


ConfigType = TypeVar("ConfigType")


def configure(
    kind: Callable[..., ConfigType], env_id: str, settings: Mapping[str, Any] | None = None, **overrides: Any
) -> ConfigType:
    """`kind` (a config class) from the environment's preset, then `settings`, then `overrides`; None overrides nothing.

    Raises UserError for a field that `kind` does not have.
    """
    chosen = preset(env_id)
    sections: dict[Any, Mapping[str, Any]] = {
        SACConfig: chosen.sac,
        IPMDConfig: {**chosen.sac, **chosen.ipmd},
        BCConfig: chosen.bc,
        TrainingConfig: chosen.training,
    }
    given = {name: value for part in (settings or {}, overrides) for name, value in part.items() if value is not None}
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(given) - known)
    _require(
        not unknown,
        f"{getattr(kind, '__name__', kind)} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}.",
    )
    return kind(**{**sections[kind], **given})
