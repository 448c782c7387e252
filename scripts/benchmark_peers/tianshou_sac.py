"""tianshou's SAC (version 2): its trainer's step, without the trainer's statistics."""

from __future__ import annotations

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

from .protocol import given_settings, serve


def main() -> None:
    """Train until the benchmark ends."""
    settings = given_settings()
    env = gym.make(settings.env_id)
    observation, action, hidden = env.observation_space, env.action_space, [settings.width, settings.width]
    actor = ContinuousActorProbabilistic(
        preprocess_net=Net(state_shape=observation.shape, hidden_sizes=hidden),
        action_shape=action.shape,
        unbounded=True,
        conditioned_sigma=True,
    )

    def critic() -> ContinuousCritic:
        net = Net(state_shape=observation.shape, action_shape=action.shape, hidden_sizes=hidden, concat=True)
        return ContinuousCritic(preprocess_net=net).to(settings.device)

    adam = AdamOptimizerFactory(lr=3e-4)
    actor = actor.to(settings.device)
    algorithm = SAC(
        policy=SACPolicy(actor=actor, action_space=action),
        policy_optim=adam,
        critic=critic(),
        critic_optim=adam,
        critic2=critic(),
        critic2_optim=adam,
        alpha=AutoAlpha(-float(env.action_space.sample().size), 0.0, adam),
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


if __name__ == "__main__":
    main()
