"""Networks of S seeds at once: every parameter has a leading seed dimension, one batched product serves them all."""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LOG_STD_MIN, LOG_STD_MAX = -5.0, 2.0


def seed_generators(seed: int, num_seeds: int) -> list[torch.Generator]:
    """One CPU generator per seed, seeded `seed + i`: seed i starts from the same weights whatever the other seeds are."""
    return [torch.Generator().manual_seed(seed + i) for i in range(num_seeds)]


class StackedLinear(nn.Module):
    """N independent linear layers: `[N, B, in] -> [N, B, out]`.

    Weights start as in `torch.nn.Linear`, uniform in +-1/sqrt(in); slices n*k .. n*k+k-1 of N = S*k come from
    generator n.
    """

    def __init__(self, in_features: int, out_features: int, generators: Sequence[torch.Generator], copies: int = 1):
        super().__init__()
        bound = 1 / math.sqrt(in_features)

        def uniform(*shape: int) -> nn.Parameter:
            return nn.Parameter(
                torch.cat([torch.empty(copies, *shape).uniform_(-bound, bound, generator=g) for g in generators])
            )

        self.weight = uniform(in_features, out_features)  # [N, in, out]
        self.bias = uniform(1, out_features)  # [N, 1, out]

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        if self.bias.shape[-1] == 1:  # as a matrix product, a single column took seven times as long
            return (x * self.weight.transpose(1, 2)).sum(-1, keepdim=True) + self.bias
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        if torch.compiler.is_compiling():  # bias and ReLU become one pass over the product
            return torch.bmm(x, weight) + bias
        return torch.baddbmm(bias, x, weight)


class StackedMLP(nn.Module):
    """N independent ReLU networks: `[N, B, sizes[0]] -> [N, B, sizes[-1]]`, float32 in and out.

    Hidden layers are computed in `precision`; parameters and the last layer, whose output may be large, stay float32. With
    `layer_norm` the values of a hidden layer have mean 0 and variance 1 over its units before the ReLU (Ba et al., arXiv
    1607.06450, without a learned scale and offset: states have the same form either way).
    """

    def __init__(
        self,
        sizes: Sequence[int],
        generators: Sequence[torch.Generator],
        copies: int = 1,
        precision: str = "float32",
        layer_norm: bool = False,
    ):
        super().__init__()
        self.layer_norm = layer_norm
        self.dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        pairs = itertools.pairwise(sizes)
        layers = nn.ModuleList(StackedLinear(i, o, generators, copies) for i, o in pairs)
        self.layers = layers  # type: ignore[assignment]

    layers: list[StackedLinear]  # what mypy is to see in the ModuleList

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        *hidden, last = self.layers
        x = x.to(self.dtype)
        for layer in hidden:
            x = layer(x)
            if self.layer_norm:
                x = F.layer_norm(x, x.shape[-1:])
            x = x.relu_()  # in place: the backward of what comes before does not read its output
        return last(x.float())

    def input_gradient(self, x: Tensor) -> Tensor:
        """Gradient `[N, B, in]` of a single output with respect to the input, differentiable in the parameters; no layer norm.

        d y / d x = W_1 (m_1 * W_2 (m_2 * ... w_last)), where the masks m of active units are constant almost everywhere:
        what autograd's double backward gives, at the price of a forward and a backward pass.
        """
        *hidden, last = self.layers
        masks = []
        x = x.to(self.dtype)
        with torch.no_grad():
            for layer in hidden:
                x = layer(x).relu_()
                masks.append(x > 0)
        gradient = last.weight.transpose(1, 2).to(self.dtype)  # [N, 1, hidden]
        for layer, mask in zip(reversed(hidden), reversed(masks), strict=True):
            gradient = torch.bmm(gradient * mask, layer.weight.transpose(1, 2).to(self.dtype))
        return gradient.float()


class Standardizer(nn.Module):
    """(x - mean) / std of `[..., O]`, for all seeds, cut off at +-`clip`; before `fit`, mean 0 and std 1; constants."""

    mean: Tensor
    std: Tensor

    def __init__(self, size: int, clip: float = math.inf):
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    @torch.no_grad()
    def fit(self, mean: Tensor, std: Tensor, min_std: float) -> None:
        """Take mean and std `[O]`; a std below `min_std` is raised to it (an expert may hardly move)."""
        self.mean.copy_(mean)
        self.std.copy_(std.clamp_min(min_std))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = (x - self.mean) / self.std
        return x.clamp(-self.clip, self.clip) if self.clip < math.inf else x


class Actor(nn.Module):
    """Tanh-Gaussian policies of S seeds: `[S, B, O]` -> mean and log standard deviation before the tanh, `[S, B, A]`."""

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        hidden_sizes: Sequence[int],
        generators: Sequence[torch.Generator],
        *,
        standardizer: Standardizer | None = None,
        precision: str = "float32",
    ):
        super().__init__()
        self.standardizer = standardizer or nn.Identity()
        self.mlp = StackedMLP([observation_size, *hidden_sizes, 2 * action_size], generators, precision=precision)

    @property
    def scaling(self) -> Standardizer:
        """What standardises its observations; without such, one that leaves them as they are."""
        if isinstance(self.standardizer, Standardizer):
            return self.standardizer
        weight = self.mlp.layers[0].weight
        return Standardizer(weight.shape[1]).to(weight.device)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        mean, raw = self.mlp(self.standardizer(observation)).chunk(2, dim=-1)
        # a smooth bound, as in denisyarats/pytorch_sac: a hard clamp would have no gradient outside
        middle, half_range = (LOG_STD_MAX + LOG_STD_MIN) / 2, (LOG_STD_MAX - LOG_STD_MIN) / 2
        log_std = middle + half_range * torch.tanh(raw)
        return mean, log_std


class CriticEnsemble(nn.Module):
    """K independent critics for each of S seeds: observation `[S, B, O]`, action `[S, B, A]` -> `[S, K, B]`."""

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        hidden_sizes: Sequence[int],
        generators: Sequence[torch.Generator],
        num_critics: int = 2,
        precision: str = "float32",
        standardizer: Standardizer | None = None,
        layer_norm: bool = False,
    ):
        super().__init__()
        self.num_critics = num_critics
        self.standardizer = standardizer or nn.Identity()
        sizes = [observation_size + action_size, *hidden_sizes, 1]
        self.mlp = StackedMLP(sizes, generators, num_critics, precision, layer_norm)

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:  # noqa: D102
        x = torch.cat([self.standardizer(observation), action], dim=-1)  # [S, B, O + A]
        num_seeds, batch, size = x.shape
        x = x.unsqueeze(1).expand(-1, self.num_critics, -1, -1).reshape(-1, batch, size)  # [S*K, B, O + A]
        return self.mlp(x).view(num_seeds, self.num_critics, batch)


class RewardNet(nn.Module):
    """Learned rewards of S seeds, of the inputs named by `inputs`: "s", "sa", "sas" or "ss"; output `[S, B]`.

    Observations are standardised, and cut off at +-`clip`. The input of the network, `features(...)`, is public because the
    gradient penalty is taken with respect to it. With `absorbing`, a last feature marks the state in which an ended episode
    stays.
    """

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        hidden_sizes: Sequence[int],
        generators: Sequence[torch.Generator],
        inputs: str = "sa",
        precision: str = "float32",
        clip: float = math.inf,
        absorbing: bool = False,
    ):
        super().__init__()
        self.inputs, self.absorbing = inputs, absorbing
        self.standardizer = Standardizer(observation_size, clip)
        size = inputs.count("s") * observation_size + inputs.count("a") * action_size + absorbing
        self.mlp = StackedMLP([size, *hidden_sizes, 1], generators, precision=precision)

    def features(self, observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
        """The network's input `[S, B, F]` for transitions (s, a, s')."""
        parts = [self.standardizer(observation)]
        if "a" in self.inputs:
            parts.append(action)
        if self.inputs.endswith("s") and len(self.inputs) > 1:
            parts.append(self.standardizer(next_observation))
        if self.absorbing:
            parts.append(torch.zeros_like(observation[..., :1]))
        return torch.cat(parts, dim=-1)

    def absorbing_features(self, features: Tensor) -> Tensor:
        """The input `[S, 1, F]` for the absorbing state, like `features` `[S, B, F]`: the mark alone (1809.02925)."""
        return torch.cat([torch.zeros_like(features[:, :1, :-1]), torch.ones_like(features[:, :1, -1:])], dim=-1)

    def forward(self, features: Tensor) -> Tensor:
        """Reward `[S, B]` of features `[S, B, F]`."""
        return self.mlp(features).squeeze(-1)

    def input_gradient(self, features: Tensor) -> Tensor:
        """Gradient `[S, B, F]` of the reward with respect to its features, differentiable in the parameters."""
        return self.mlp.input_gradient(features)
