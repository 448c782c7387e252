"""A loop on TorchRL's own parts, set up as rlopt is: that suits it better than one environment and single steps."""

import math

import gymnasium as gym
import torch
from gymnasium.vector import AutoresetMode
from tensordict.nn import NormalParamExtractor, TensorDictModule
from torchrl.collectors import Collector
from torchrl.data import LazyTensorStorage, ReplayBuffer
from torchrl.envs import DoubleToFloat, GymWrapper, TransformedEnv
from torchrl.modules import MLP, ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import SACLoss, SoftUpdate

from .protocol import serve
from .settings import Settings

NUM_ENVS, FRAMES_PER_BATCH = 8, 64


def main(settings: Settings) -> None:
    """Train until the benchmark ends."""
    device, cells = settings.device, [settings.width, settings.width]
    kind = {"autoreset_mode": AutoresetMode.DISABLED}  # shows the true last observation of an episode
    vector_env = gym.make_vec(settings.env_id, NUM_ENVS, vectorization_mode="sync", vector_kwargs=kind)
    env = TransformedEnv(GymWrapper(vector_env, device="cpu"), DoubleToFloat())
    spec = env.action_spec_unbatched
    observation_size, action_size = env.observation_spec["observation"].shape[-1], spec.shape[-1]

    def mlp(inputs: int, outputs: int) -> MLP:
        return MLP(inputs, outputs, num_cells=cells, activation_class=torch.nn.ReLU)

    heads = torch.nn.Sequential(mlp(observation_size, 2 * action_size), NormalParamExtractor())
    actor = ProbabilisticActor(
        TensorDictModule(heads, ["observation"], ["loc", "scale"]),
        spec=spec,
        in_keys=["loc", "scale"],
        distribution_class=TanhNormal,
        distribution_kwargs={"low": spec.space.low, "high": spec.space.high},
    ).to(device)
    critic = ValueOperator(mlp(observation_size + action_size, 1), in_keys=["observation", "action"]).to(device)
    # without vmap and with a fused optimiser it is at its fastest here
    loss = SACLoss(actor, critic, loss_function="l2", action_spec=spec, deactivate_vmap=True).to(device)
    loss.make_value_estimator(gamma=0.99)
    target_update = SoftUpdate(loss, tau=0.005)
    optimizer = torch.optim.Adam(loss.parameters(), lr=3e-4, fused=True)

    storage = LazyTensorStorage(settings.buffer_size, device=device)
    replay = ReplayBuffer(storage=storage, batch_size=settings.batch_size)
    collector = Collector(
        env,
        actor,
        policy_device=device,
        env_device="cpu",
        storing_device=device,
        frames_per_batch=FRAMES_PER_BATCH,
        total_frames=-1,
        init_random_frames=settings.warmup_frames,
        replay_buffer=replay,
        postproc=lambda data: data.select("observation", "action", "next").reshape(-1),  # what the loss reads
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
