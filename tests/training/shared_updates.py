"""Small agents of every kind, and batches for their updates."""

import torch

from rlopt.agents import GAIL, IPMD, SAC, SQIL, FrozenReward, IQLearn
from rlopt.config import IPMDConfig, SACConfig
from rlopt.imitation import ExpertReplayBuffer
from rlopt.peer_config import GAILConfig, IQLearnConfig, SQILConfig
from rlopt.transition import Transition

O, A, S, B = 3, 1, 2, 16  # noqa: E741  (the shape letters)


def packed(num_updates, device="cpu", seed=0, num_seeds=S):
    generator = torch.Generator().manual_seed(seed)
    observation = torch.randn(num_updates, num_seeds, B, O, generator=generator)
    return (
        Transition(
            observation,
            torch.rand(num_updates, num_seeds, B, A, generator=generator) * 2 - 1,
            torch.randn(num_updates, num_seeds, B, generator=generator),
            observation + 0.1,
            torch.zeros(num_updates, num_seeds, B),
        )
        .pack()
        .to(device)
    )


IPMD_KINDS = {
    "ipmd": {"inverse_eta": 1.0, "mirror_period": 7},
    "walking": {
        **{"expert_ratio": 0.5, "expert_bound": True, "entropy_backup": False},
        **{"standardize_observations": True, "min_observation_std": 0.1, "layer_norm": True},
    },
}
PEERS = {"gail": (GAIL, GAILConfig), "iqlearn": (IQLearn, IQLearnConfig), "sqil": (SQIL, SQILConfig)}
KINDS = ["sac", *IPMD_KINDS, "frozen", *PEERS]


def make_agent(kind, device="cpu", num_seeds=S):
    sizes = {"hidden_sizes": (16, 16), "batch_size": B}
    if kind == "sac":
        return SAC(SACConfig(**sizes), O, A, num_seeds=num_seeds, device=device)
    agent_type, config_type = PEERS.get(kind, (IPMD, IPMDConfig))
    own = {"expert_batch_size": B} if kind != "sqil" else {}
    config = config_type(**sizes, **own, **IPMD_KINDS.get(kind, {}))
    if kind == "frozen":
        state = make_agent("ipmd", device, num_seeds).reward.state_dict()
        return IPMD(config, O, A, num_seeds=num_seeds, device=device, reward=FrozenReward(config, O, A, state, device))
    agent = agent_type(config, O, A, num_seeds=num_seeds, device=device)
    generator = torch.Generator().manual_seed(1)
    data = {
        "observation": torch.randn(50, O, generator=generator),
        "action": torch.rand(50, A, generator=generator) * 2 - 1,
        "next_observation": torch.randn(50, O, generator=generator),
    }
    agent.expert_buffer = ExpertReplayBuffer(data, device=device)
    agent.fit_standardizers(*agent.expert_buffer.observation_statistics())  # as the online loop does
    return agent


def sample_experts(agent, num_updates):
    """Packed expert batches `[U, S, B, D]`, as the online loop draws them."""
    if agent.expert_batch_size == 0:
        return None
    return agent.expert_buffer.sample_packed(num_updates, agent.num_seeds, agent.expert_batch_size)


def tensors(state):
    if isinstance(state, dict):
        return [t for value in state.values() for t in tensors(value)]
    if isinstance(state, list):
        return [t for value in state for t in tensors(value)]
    return [state]
