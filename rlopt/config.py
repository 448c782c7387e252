"""Settings: frozen dataclasses that check themselves. A field's docstring is the help text of its flag (`rlopt.cli`).

This module imports nothing heavy: command lines are read before torch is loaded.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

from rlopt.checked import Checked, require
from rlopt.presets import configure as configure

# Updates from which on compiling pays: 10 to 20 seconds (2 later on), for 0.2 to 3 ms an update on a CPU, 0.3 on an H200.
_WORTH_COMPILING = {"cpu": 10_000, "cuda": 100_000}


@dataclass(frozen=True, kw_only=True)
class SACConfig(Checked):
    """Soft actor-critic."""

    hidden_sizes: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers."""
    batch_size: int = 256
    """B, transitions per seed and update."""
    learning_rate: float = 3e-4
    """Adam's learning rate."""
    gamma: float = 0.99
    """Discount per step."""
    num_critics: int = 2
    """K, critics per seed; targets use their minimum."""
    layer_norm: bool = False
    """Critics normalise each hidden layer's values over its units (layer norm, 1607.06450), as RLPD's do (2302.02948)."""
    tau: float = 0.005
    """Step of the target critics towards the critics after each update (Polyak averaging)."""
    actor_ema_tau: float = 0.001
    """Step of the evaluated policy, an exponential moving average of the actor, towards the actor after each update
    (Nikishin et al., 2018); 1: the actor itself."""
    initial_alpha: float = 1.0
    """Temperature at the start; it is then tuned towards the target entropy -A."""
    recent_ratio: float = 0.0
    """Share of a batch that is drawn from the last 10,000 frames (Wang and Ross, 2019); the rest is from the whole buffer."""
    matmul_precision: Literal["auto", "float32", "tf32", "bfloat16"] = "auto"
    """Precision of matrix products alone; weights, sums and optimisers stay float32. auto: bfloat16 on a processor that
    multiplies it natively, from width 128 on, else float32. tf32 is for CUDA."""

    sections: ClassVar[tuple[str, ...]] = ("sac",)
    positive: ClassVar[tuple[str, ...]] = ("num_critics", "batch_size", "learning_rate", "initial_alpha")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.gamma < 1, f"gamma must lie between 0 and 1, and is {self.gamma}.")
        for name in ("tau", "actor_ema_tau"):
            require(0 < getattr(self, name) <= 1, f"{name} must lie in (0, 1], and is {getattr(self, name)}.")
        require(0 <= self.recent_ratio <= 1, f"recent_ratio must lie between 0 and 1, and is {self.recent_ratio}.")


@dataclass(frozen=True, kw_only=True)
class IPMDConfig(SACConfig):
    """Inverse policy mirror descent: a learned reward, and the policy that is optimised against it."""

    expert_batch_size: int = 256
    """Expert transitions per seed and update."""
    reward_inputs: Literal["s", "sa", "sas", "ss"] = "sa"
    """Inputs of the reward network: state, action, next state."""
    value_regularizer: float = 0.5
    """lambda: keeps rewards between -1/lambda and 1/lambda."""
    gradient_penalty: float = 1.0
    """kappa: penalty on rewards steeper than `lipschitz_constant` between the policy's data and the expert's."""
    lipschitz_constant: float = 1.0
    """L: the steepest reward, per unit of its standardised input, that has no penalty."""
    expert_ratio: float = 0.0
    """Share of the critics' and the actor's batch that is the expert's: SQIL (1905.11108), RLPD (2302.02948)."""
    inverse_eta: float = 0.0
    """1/eta, weight of the KL to the policy of the last mirror step; 0: entropy is the only regulariser."""
    mirror_period: int = 100
    """Updates between two mirror steps."""
    average_reward: bool = False
    """The average-reward criterion (no discount) in place of the discounted one."""
    absorbing_states: bool = True
    """Value an episode's end as an absorbing state; without: zero."""
    min_observation_std: float = 1.0
    """Smallest standard deviation that observations are divided by."""
    standardize_observations: bool = False
    """Actor and critics see standardised observations, too, and all networks clip them at 5 deviations."""
    entropy_backup: bool = True
    """Critics count the policy's entropy, as SAC's do; without, only the actor's loss does (RLPD, 2302.02948)."""
    expert_bound: bool = False
    """Clip Q targets at r_max / (1 - gamma), with the expert's highest reward as r_max; without: 1/lambda."""

    sections = ("sac", "ipmd")
    positive = (
        *SACConfig.positive,
        *("expert_batch_size", "value_regularizer", "mirror_period", "min_observation_std", "lipschitz_constant"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.expert_ratio < 1, f"expert_ratio must lie in [0, 1), and is {self.expert_ratio}.")
        for name in ("gradient_penalty", "inverse_eta"):
            require(getattr(self, name) >= 0, f"{name} must not be negative, and is {getattr(self, name)}.")
        # one option must not silence another
        require(
            self.inverse_eta > 0 or self.mirror_period == IPMDConfig.mirror_period,
            "mirror_period has no effect without a mirror step: set inverse_eta above 0, too.",
        )
        require(
            self.gradient_penalty > 0 or self.lipschitz_constant == IPMDConfig.lipschitz_constant,
            f"lipschitz_constant ({self.lipschitz_constant}) has no effect with gradient_penalty=0: leave it at 1.",
        )
        require(
            not (self.expert_bound and self.average_reward),
            "expert_bound has no effect with average_reward, which has no bounds: choose one of the two.",
        )
        require(
            not (self.expert_bound and self.entropy_backup),
            "expert_bound leaves no room for the entropy that entropy_backup adds: set entropy_backup to False, too.",
        )
        needed = round(self.expert_ratio * self.batch_size)
        require(
            self.expert_batch_size >= needed,
            f"expert_batch_size {self.expert_batch_size} is less than the {needed} expert transitions that expert_ratio takes.",
        )


@dataclass(frozen=True, kw_only=True)
class BCConfig(Checked):
    """Behaviour cloning: supervised regression of the expert's actions."""

    hidden_sizes: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers."""
    batch_size: int = 256
    """B, transitions per seed and update."""
    learning_rate: float = 3e-4
    """Adam's learning rate."""
    epochs: int = 100
    """Passes over the demonstrations."""
    min_steps_per_epoch: int = 100
    """Updates that an epoch has at least: few demonstrations must not mean few updates."""

    sections = ("bc",)
    positive = ("batch_size", "learning_rate", "epochs", "min_steps_per_epoch")


@dataclass(frozen=True, kw_only=True)
class LoopConfig(Checked):
    """Seeds, evaluations and checkpoints of any training."""

    num_seeds: int = 5
    """S, independent seeds trained in one update."""
    seed: int = 42
    """Seed i uses SEED + i."""
    eval_points: int = 10
    """Evaluations during training, evenly spaced."""
    eval_episodes: int = 10
    """Episodes per seed in each of them; the last one plays at least 20."""
    eval_envs: int | None = None
    """Environments per seed that play them at the same time, for a simulator of which few can run (default: all at once)."""
    env_workers: int = 0
    """Processes that step environments, in evaluations too; 0: the one that trains. They pay from 0.2 ms a step on."""
    checkpoint_points: int = 10
    """Checkpoints during training, evenly spaced; fewer where they would take more than a hundredth of the time."""

    positive: ClassVar[tuple[str, ...]] = (
        "num_seeds",
        "eval_points",
        "eval_episodes",
        "eval_envs",
        "checkpoint_points",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.seed < 2**32, f"seed must lie between 0 and 2**32 - 1, and is {self.seed}.")
        require(self.env_workers >= 0, f"env_workers must not be negative, and is {self.env_workers}.")

    @property
    def seeds(self) -> list[int]:
        """The S seeds."""
        return [self.seed + i for i in range(self.num_seeds)]

    @property
    def playing(self) -> dict[str, Any]:
        """How evaluations run their environments: arguments of `rlopt.training.evaluation.Evaluator`."""
        return {"envs": self.eval_envs, "env_workers": self.env_workers}


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(LoopConfig):
    """The online loop: how experience is gathered, and how often an agent learns from it. Frames count per seed."""

    frames: int = 100_000
    """Environment frames per seed."""
    num_envs: int = 8
    """E, environments per seed."""
    updates_per_frame: float = 1.0
    """Updates per frame of one seed."""
    warmup_frames: int = 5_000
    """Frames of random actions per seed before the first update."""
    steps_per_batch: int = 8
    """T, steps of every environment per collector batch."""
    lr_decay: float = 0.0
    """Last share of the frames over which learning rates fall linearly to zero (0.5: the second half)."""
    buffer_size: int = 1_000_000
    """Transitions per seed that the replay buffer keeps."""
    cuda_graph: bool = True
    """On CUDA, run the updates of a collector batch as one captured graph."""
    compile: bool | None = None
    """Compile updates with torch.compile (default: in runs of 10,000 updates or more, on CUDA 100,000)."""
    workers: int | None = None
    """Threads that share the seeds' compiled updates on the CPU, and MuJoCo's steps; same results (default: one a core)."""
    eval_points: int = 20
    """Evaluations during training, evenly spaced."""

    sections = ("training",)
    positive = (
        *LoopConfig.positive,
        *("frames", "num_envs", "steps_per_batch", "updates_per_frame", "warmup_frames", "buffer_size", "workers"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.lr_decay <= 1, f"lr_decay must lie between 0 and 1, and is {self.lr_decay}.")
        least = self.frames_per_batch
        require(
            self.buffer_size >= least, f"buffer_size {self.buffer_size} must be at least {least}, a collector batch."
        )
        require(
            self.frames > self.warmup_frames,
            f"{self.frames} frames must be more than the {self.warmup_frames} of the random warm-up (warmup_frames).",
        )
        require(
            (self.frames - self.warmup_frames) * self.updates_per_frame >= 1,
            f"{self.frames} frames at {self.updates_per_frame} updates per frame are not one update: there must be more.",
        )

    @property
    def frames_per_batch(self) -> int:
        """Frames per seed in one collector batch, E * T."""
        return self.num_envs * self.steps_per_batch

    def learning_rate_share(self, frames: int) -> float:
        """The share of the full learning rates that is left after `frames` frames per seed."""
        return min(1.0, max(0, self.frames - frames) / (self.lr_decay * self.frames)) if self.lr_decay else 1.0

    def compiles(self, device_type: str) -> bool:
        """Whether updates are compiled: as was asked for, else in a run of so many that it pays."""
        if self.compile is None:
            return (self.frames - self.warmup_frames) * self.updates_per_frame >= _WORTH_COMPILING[device_type]
        return self.compile


@dataclass(frozen=True, kw_only=True)
class Selection(Checked):
    """Which part of the demonstrations a learner gets."""

    demos: int | None = None
    """Demonstrations to learn from (default: all)."""
    skip_demos: int = 0
    """Demonstrations at the file's start to leave out."""
    subsample: int = 1
    """Keep every n-th transition of a demonstration."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise on the expert's actions."""

    positive = ("demos", "subsample")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("skip_demos", "noise"):
            require(getattr(self, name) >= 0, f"{name} must not be negative, and is {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True)
class RunOptions(Checked):
    """Where a run computes, and where its log goes."""

    device: str = "cuda:0"
    """cuda:0, cpu, ...; without CUDA the CPU is used."""
    log_dir: str | Path = "logs"
    """Folder of the run folders."""
    wandb: bool = True
    """Log to Weights & Biases."""
    wandb_entity: str | None = None
    """W&B user or team (default: $WANDB_ENTITY, else fywu)."""
    wandb_group: str | None = None
    """W&B group of the run."""
    tensorboard: bool = False
    """Write TensorBoard's event files into the run folder."""
    show_progress: bool = True
    """Progress on the screen; the log has it anyway."""
    keep_checkpoint: bool = False
    """Keep the checkpoint of a finished run, so that --resume can go on with more frames or epochs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            not self.tensorboard or find_spec("tensorboard") is not None,
            "TensorBoard is not installed: pip install 'rlopt[tensorboard]', or say --no-tensorboard.",
        )
