"""State dicts that come from files: what does not fit is refused before anything takes it over.

Torch is lenient here: `copy_` repeats a tensor that is too small, and `Module.load_state_dict` changes a tensor's dtype.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

UNFIT = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What is raised while a state of another form is taken over."""


def check_form(given: Any, like: Any, name: str = "the state") -> None:
    """Raise ValueError, naming the place, unless `given` has the keys, types, shapes and dtypes of `like`."""
    if isinstance(like, Tensor):
        check_tensor(given, name, tuple(like.shape), like.dtype)
    elif isinstance(like, Mapping):
        if not isinstance(given, Mapping) or given.keys() != like.keys():
            found = sorted(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
            raise ValueError(f"{name} has {found} in place of {sorted(map(str, like))}")
        for key, value in like.items():
            if key == "generator":  # of another kind of device it has another size
                check_tensor(given[key], f"{name}['generator']", (None,), torch.uint8)
            else:
                check_form(given[key], value, f"{name}[{key!r}]")
    elif isinstance(like, list | tuple):
        if type(given) is not type(like) or len(given) != len(like):
            raise ValueError(f"{name} is not a {type(like).__name__} of {len(like)} entries")
        for index, (item, value) in enumerate(zip(given, like, strict=True)):
            check_form(item, value, f"{name}[{index}]")
    elif type(given) is not type(like):
        raise ValueError(f"{name} is a {type(given).__name__}, not a {type(like).__name__}")


def is_exactly(given: Any, *values: Any) -> bool:
    """Whether it is one of these values, and of its type: 1.0 is not 1, and a tensor is neither."""
    return any(type(given) is type(value) and given == value for value in values)


def set_generator(generator: torch.Generator, state: Tensor) -> None:
    """Let a generator go on from a state; one of another kind of device begins a stream of its own, which the state decides."""
    state = state.cpu()
    if state.shape == generator.get_state().shape:
        generator.set_state(state)
    else:
        generator.manual_seed(zlib.crc32(state.numpy().tobytes()))


def check_tensor(given: Any, name: str, shape: tuple[int | None, ...], dtype: torch.dtype = torch.float32) -> None:
    """Raise ValueError unless `given` is a tensor of this dtype and shape; None stands for any size."""
    expected = f"{str(dtype).removeprefix('torch.')} {['any' if size is None else size for size in shape]}"
    if not isinstance(given, Tensor):
        raise ValueError(f"{name} is a {type(given).__name__}, not a tensor of {expected}")
    sizes = len(given.shape) == len(shape) and all(s in (None, g) for g, s in zip(given.shape, shape, strict=True))
    if not sizes or given.dtype != dtype:
        found = f"{str(given.dtype).removeprefix('torch.')} {list(given.shape)}"
        raise ValueError(f"{name} is a tensor of {found}, not of {expected}")


def check_list(given: Any, name: str, kind: type, length: int | None = None) -> None:
    """Raise ValueError unless `given` is a list, of this length, with items of exactly this type."""
    if type(given) is not list or any(type(item) is not kind for item in given) or length not in (None, len(given)):
        raise ValueError(f"{name} is not a list of {'' if length is None else f'{length} '}{kind.__name__}")


def check_metrics(given: Any, num_seeds: int | None = None) -> None:
    """Raise ValueError unless `given` is what an update reports: float32 or float64 tensors `[S]` by name."""
    if not isinstance(given, Mapping):
        raise ValueError(f"what updates reported is a {type(given).__name__}, not a dict")
    for name, value in given.items():
        double = isinstance(value, Tensor) and value.dtype == torch.float64
        check_tensor(value, str(name), (num_seeds,), torch.float64 if double else torch.float32)


def count_numbers(state: Any) -> int:
    """The numbers in all tensors of a state dict."""
    if isinstance(state, Mapping):
        return sum(map(count_numbers, state.values()))
    if isinstance(state, list | tuple):
        return sum(map(count_numbers, state))
    return state.numel() if isinstance(state, Tensor) else 0
