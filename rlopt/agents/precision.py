"""What `matmul_precision="auto"` is on a device: bfloat16 where that is faster and costs nothing in returns, else float32."""

from dataclasses import replace
from typing import Any, Literal, TypeVar

import torch

from rlopt.config import SACConfig

_WIDE = 128
"""Width from which on bfloat16 gains: updates took 0.34 to 0.59 of their time. At 64 the conversions cost as much."""

Precision = Literal["float32", "tf32", "bfloat16"]
Config = TypeVar("Config", bound=SACConfig)


def settle_precision(config: Config, device: torch.device | str) -> Config:
    """The settings with the precision that "auto" stands for.

    RESULTS.md ("bfloat16 and float32") compares returns. On CUDA it is float32.
    """
    return replace(config, matmul_precision=precision_of(config, device))


def precision_of(config: Any, device: torch.device | str) -> Precision:
    """The precision of an agent's products; float32 where its settings have none."""
    chosen: Precision | Literal["auto"] = getattr(config, "matmul_precision", "float32")
    if chosen != "auto":
        return chosen
    fast = torch.device(device).type == "cpu" and multiplies_bfloat16() and max(config.hidden_sizes) >= _WIDE
    return "bfloat16" if fast else "float32"


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16 products (AVX512-BF16 or AMX); without, they are emulated, slowly."""
    tests = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(test is not None and test() for test in tests)
