"""tianshou's SAC (version 2): its trainer's step, without the trainer's statistics."""

from typing import Any

import gymnasium as gym
import torch
from tianshou.algorithm import SAC
from tianshou.algorithm.modelfree.sac import AutoAlpha, SACPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.utils.net.common import Net
from tianshou.utils.net.continuous import ContinuousActorProbabilistic, ContinuousCritic
from tianshou.utils.torch_utils import policy_within_training_step

from .protocol import serve
from .settings import Settings


def main(settings: Settings) -> None:
    """Train until the benchmark ends."""
    env = gym.make(settings.env_id)
    action, device = env.action_space, settings.device
    shape: dict[str, Any] = {"state_shape": env.observation_space.shape, "hidden_sizes": [settings.width] * 2}
    kind: dict[str, Any] = {"action_shape": action.shape, "unbounded": True, "conditioned_sigma": True}
    actor = ContinuousActorProbabilistic(preprocess_net=Net(**shape), **kind).to(device)

    def critic() -> ContinuousCritic:
        return ContinuousCritic(preprocess_net=Net(**shape, action_shape=action.shape, concat=True)).to(device)

    adam = AdamOptimizerFactory(lr=3e-4)
    algorithm = SAC(
        policy=SACPolicy(actor=actor, action_space=action),
        policy_optim=adam,
        critic=critic(),
        critic_optim=adam,
        critic2=critic(),
        critic2_optim=adam,
        alpha=AutoAlpha(-float(action.sample().size), 0.0, adam),
    )
    buffer = VectorReplayBuffer(settings.buffer_size, 1)
    collector = Collector(algorithm, DummyVectorEnv([lambda: env]), buffer)
    collector.reset()
    collector.collect(n_step=settings.warmup_frames, random=True)

    def train(frames: int) -> int:
        for _ in range(frames):
            with policy_within_training_step(algorithm.policy):
                collector.collect(n_step=1)
                algorithm.update(buffer=buffer, sample_size=settings.batch_size)
        return frames

    serve(train, torch.get_num_threads(), "tianshou", "torch")
