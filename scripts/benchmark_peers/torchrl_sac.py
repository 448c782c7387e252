"""A loop on TorchRL's own parts: `Collector`, `ReplayBuffer`, `SACLoss`, `SoftUpdate`.

Set up as rlopt is (8 environment copies, blocks of 64 frames), which suits it better than single steps.
"""

from __future__ import annotations

import math

import gymnasium as gym
import torch
from gymnasium.vector import AutoresetMode
from tensordict import TensorDictBase
from tensordict.nn import NormalParamExtractor, TensorDictModule
from torchrl.collectors import Collector
from torchrl.data import LazyTensorStorage, ReplayBuffer
from torchrl.envs import DoubleToFloat, GymWrapper, TransformedEnv
from torchrl.modules import MLP, ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import SACLoss, SoftUpdate

from .protocol import given_settings, serve

NUM_ENVS, FRAMES_PER_BATCH = 8, 64


def transitions(data: TensorDictBase) -> TensorDictBase:
    """One transition per element of the buffer, with what the loss reads."""
    return data.select("observation", "action", "next").reshape(-1)


def make_env(env_id: str) -> TransformedEnv:
    """Copies that show the true last observation of an episode."""
    vector_env = gym.make_vec(
        env_id,
        num_envs=NUM_ENVS,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.DISABLED},
    )
    return TransformedEnv(GymWrapper(vector_env, device="cpu"), DoubleToFloat())


def main() -> None:
    """Train until the benchmark ends."""
    settings = given_settings()
    env = make_env(settings.env_id)
    spec = env.action_spec_unbatched
    observation_size, action_size = env.observation_spec["observation"].shape[-1], spec.shape[-1]
    cells = [settings.width, settings.width]
    mlp = MLP(
        in_features=observation_size, out_features=2 * action_size, num_cells=cells, activation_class=torch.nn.ReLU
    )
    actor = ProbabilisticActor(
        TensorDictModule(torch.nn.Sequential(mlp, NormalParamExtractor()), ["observation"], ["loc", "scale"]),
        spec=spec,
        in_keys=["loc", "scale"],
        distribution_class=TanhNormal,
        distribution_kwargs={"low": spec.space.low, "high": spec.space.high},
    )
    size = observation_size + action_size
    critic = ValueOperator(
        MLP(in_features=size, out_features=1, num_cells=cells, activation_class=torch.nn.ReLU),
        in_keys=["observation", "action"],
    )
    # without vmap and with a fused optimiser it is at its fastest here
    actor, critic = actor.to(settings.device), critic.to(settings.device)
    loss = SACLoss(actor, critic, loss_function="l2", action_spec=spec, deactivate_vmap=True).to(settings.device)
    loss.make_value_estimator(gamma=0.99)
    target_update = SoftUpdate(loss, tau=0.005)
    optimizer = torch.optim.Adam(loss.parameters(), lr=3e-4, fused=True)

    replay = ReplayBuffer(
        storage=LazyTensorStorage(settings.buffer_size, device=settings.device), batch_size=settings.batch_size
    )
    collector = Collector(
        env,
        actor,
        policy_device=settings.device,
        env_device="cpu",
        storing_device=settings.device,
        frames_per_batch=FRAMES_PER_BATCH,
        total_frames=-1,
        init_random_frames=settings.warmup_frames,
        replay_buffer=replay,
        postproc=transitions,
        auto_register_policy_transforms=False,
    )
    rollouts = iter(collector)
    while len(replay) < settings.warmup_frames:
        next(rollouts)

    def train(frames: int) -> int:
        batches = math.ceil(frames / FRAMES_PER_BATCH)
        for _ in range(batches):
            next(rollouts)
            for _ in range(FRAMES_PER_BATCH):
                values = loss(replay.sample())
                optimizer.zero_grad()
                (values["loss_actor"] + values["loss_qvalue"] + values["loss_alpha"]).backward()
                optimizer.step()
                target_update.step()
        return batches * FRAMES_PER_BATCH

    serve(train, torch.get_num_threads(), "torchrl", "tensordict", "torch")


if __name__ == "__main__":
    main()
