"""The policy of one seed as an ordinary torch module, from observations to actions in the environment's units."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rlopt.errors import UserError
from rlopt.networks import Actor, Standardizer
from rlopt.policies import LoadedPolicy


class PlainPolicy(nn.Module):
    """Observations `[N, O]` -> actions `[N, A]` in the environment's units, float32: scaling, layers, tanh, bounds.

    Raises UserError for a policy of several seeds, or of other networks than rlopt's.
    """

    def __init__(self, policy: LoadedPolicy):
        super().__init__()
        actor, size = policy.policy.actor, policy.spec.action_size
        if not policy.one_seed:
            raise UserError("A file holds the policy of one seed: choose it.")
        if type(actor) is not Actor or not isinstance(actor.standardizer, nn.Identity | Standardizer):
            raise UserError(f"The networks of {policy.about['kind']} are not rlopt's Actor, and cannot be exported.")
        scaling = actor.scaling
        self.clip = scaling.clip
        self.mean: Tensor
        self.std: Tensor
        self.low: Tensor
        self.high: Tensor
        self.register_buffer("mean", scaling.mean.detach().cpu().clone())
        self.register_buffer("std", scaling.std.detach().cpu().clone())
        self.layers = nn.ModuleList()
        for stacked in actor.mlp.layers:
            weight, bias = stacked.weight[0].detach().cpu(), stacked.bias[0, 0].detach().cpu()  # [in, out], [out]
            if stacked is actor.mlp.layers[-1]:  # the other half is the spread
                weight, bias = weight[:, :size], bias[:size]
            layer = nn.Linear(*weight.shape)
            layer.load_state_dict({"weight": weight.T.contiguous(), "bias": bias.clone()})
            self.layers.append(layer)
        self.register_buffer("low", torch.tensor(policy.spec.action_low))
        self.register_buffer("high", torch.tensor(policy.spec.action_high))
        self.eval().requires_grad_(False)

    def forward(self, observation: Tensor) -> Tensor:  # noqa: D102
        x = (observation - self.mean) / self.std
        if self.clip < math.inf:
            x = x.clamp(-self.clip, self.clip)
        *hidden, last = self.layers
        for layer in hidden:
            x = torch.relu(layer(x))
        return torch.minimum(self.low + 0.5 * (torch.tanh(last(x)) + 1) * (self.high - self.low), self.high)
