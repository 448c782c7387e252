"""Adam as one fused kernel a step."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from rlopt.states import check_form


class Adam:
    """Adam (Kingma, Ba, arXiv 1412.6980): the kernel and the arithmetic of `torch.optim.Adam(fused=True)`.

    It steps on a loss instead of on `.grad` fields, and has no parameter groups, hooks or graph-break guards: those took
    a fifth of an update of small networks. All of it stays on the device, so a CUDA graph can capture a step, and sees the
    learning rate change.

    Args:
        parameters: what is optimised.
        learning_rate: the step.
        betas: decay of the two running moments.
        eps: added to the root of the second moment.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        learning_rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ):
        self.parameters = list(parameters)
        self.full_learning_rate, self.betas, self.eps = learning_rate, betas, eps
        self.means = [torch.zeros_like(p, requires_grad=False) for p in self.parameters]
        self.squares = [torch.zeros_like(p, requires_grad=False) for p in self.parameters]
        self.step = torch.zeros((), device=self.parameters[0].device)
        self.learning_rate = torch.tensor(learning_rate, device=self.parameters[0].device)

    def scale_learning_rate(self, share: float) -> None:
        """Go on with this share of the full learning rate."""
        self.learning_rate.fill_(share * self.full_learning_rate)

    def minimize(self, loss: Tensor) -> None:
        """One step on the sum over seeds of `loss` `[S]`. Gradients of other parameters are not computed."""
        gradients = torch.autograd.grad(loss.sum(), self.parameters)
        self.step += 1
        with torch.no_grad():
            if torch.compiler.is_compiling():
                self._take_step(gradients)
            else:
                self._take_fused_step(gradients)

    def _take_fused_step(self, gradients: tuple[Tensor, ...]) -> None:
        torch._fused_adam_(
            self.parameters,
            [gradient.contiguous() for gradient in gradients],  # the kernel reads memory in order
            self.means,
            self.squares,
            [],
            [self.step] * len(self.parameters),
            lr=self.learning_rate,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=0.0,
            eps=self.eps,
            amsgrad=False,
            maximize=False,
        )

    def _take_step(self, gradients: tuple[Tensor, ...]) -> None:
        """The same as plain arithmetic, for a compiler to fuse: on a GPU the ready-made kernel leaves most of it idle.

        m = b1 m + (1 - b1) g,   v = b2 v + (1 - b2) g^2,   p -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
        """
        beta1, beta2 = self.betas
        torch._foreach_lerp_(self.means, gradients, 1 - beta1)
        torch._foreach_mul_(self.squares, beta2)
        torch._foreach_addcmul_(self.squares, gradients, gradients, 1 - beta2)
        mean_scale = [self.learning_rate / (1 - beta1**self.step)] * len(gradients)
        square_scale = [1 / (1 - beta2**self.step)] * len(gradients)
        roots = torch._foreach_sqrt(torch._foreach_mul(self.squares, square_scale))
        torch._foreach_add_(roots, self.eps)
        torch._foreach_addcdiv_(self.parameters, torch._foreach_mul(self.means, mean_scale), roots, -1.0)

    def state_dict(self) -> dict[str, Any]:
        """The moments and the step count."""
        return {"means": self.means, "squares": self.squares, "step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned. Raises ValueError if it is of other parameters."""
        check_form(state, self.state_dict(), "the optimiser")
        for name in ("means", "squares"):
            for own, given in zip(getattr(self, name), state[name], strict=True):
                own.copy_(given)
        self.step.copy_(state["step"])
