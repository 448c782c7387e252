"""The formats: how a policy becomes the bytes of a file, and how these are run again."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from rlopt.errors import UserError

if TYPE_CHECKING:
    from rlopt.export.plain import PlainPolicy


@dataclass(frozen=True)
class Format:
    """A kind of file."""

    suffix: str
    write: Callable[[PlainPolicy, Mapping[str, str]], bytes]
    """The content of the file, of a policy and of what is said about it."""
    run: Callable[[bytes, np.ndarray], np.ndarray]
    """Actions `[N, A]` of the file's content on observations `[N, O]`, float32."""
    needs: tuple[str, ...] = ()
    """Packages that are no part of rlopt's installation."""


def check_format(name: str) -> Format:
    """The format of this name. Raises UserError if its packages are not installed."""
    chosen = FORMATS[name]
    missing = [package for package in chosen.needs if find_spec(package) is None]
    if missing:
        raise UserError(f"--format {name} needs {' and '.join(missing)}: pip install 'rlopt[export]'.")
    return chosen


def _write_numpy(policy: PlainPolicy, about: Mapping[str, str]) -> bytes:
    arrays: dict[str, Any] = {
        "observation_mean": policy.mean,
        "observation_std": policy.std,
        "observation_clip": np.float32(policy.clip),
        "action_low": policy.low,
        "action_high": policy.high,
    }
    for index, layer in enumerate(policy.layers):
        arrays |= {f"weight_{index}": layer.weight.T, f"bias_{index}": layer.bias}
    file = io.BytesIO()
    named: dict[str, Any] = {name: np.asarray(value) for name, value in (arrays | dict(about)).items()}
    np.savez(file, **named)
    return file.getvalue()


def _run_numpy(content: bytes, observation: np.ndarray) -> np.ndarray:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return run_arrays(dict(file), observation)


def run_arrays(policy: Mapping[str, np.ndarray], observation: np.ndarray) -> np.ndarray:
    """Actions `[..., A]` of the arrays in a .npz file, on observations `[..., O]`; docs/use-a-policy.md shows the same."""
    limit = policy["observation_clip"]
    x = np.clip((observation - policy["observation_mean"]) / policy["observation_std"], -limit, limit)
    layers = sum(name.startswith("weight_") for name in policy)
    for index in range(layers):
        x = x @ policy[f"weight_{index}"] + policy[f"bias_{index}"]
        x = np.maximum(x, 0) if index < layers - 1 else np.tanh(x)
    action = policy["action_low"] + 0.5 * (x + 1) * (policy["action_high"] - policy["action_low"])
    return np.minimum(action, policy["action_high"])  # in spite of rounding


# torch.export, because TorchScript (torch.jit) is deprecated in the versions of torch that rlopt runs with
def _write_torch(policy: PlainPolicy, about: Mapping[str, str]) -> bytes:
    import torch

    file = io.BytesIO()
    with _quiet():
        program = torch.export.export(policy, _example(policy), dynamic_shapes=_any_batch())
        torch.export.save(program, file, extra_files={"about.json": json.dumps(dict(about))})
    return file.getvalue()


def _run_torch(content: bytes, observation: np.ndarray) -> np.ndarray:
    import torch

    with _quiet():
        program = torch.export.load(io.BytesIO(content))
    return program.module()(torch.from_numpy(observation)).numpy()


def _write_onnx(policy: PlainPolicy, about: Mapping[str, str]) -> bytes:
    import torch

    names: dict[str, Any] = {"input_names": ["observation"], "output_names": ["action"], "verbose": False}
    with _quiet():
        program = torch.onnx.export(policy, _example(policy), dynamo=True, dynamic_shapes=_any_batch(), **names)
    assert program is not None
    model = program.model_proto
    for key, value in about.items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString()


def _run_onnx(content: bytes, observation: np.ndarray) -> np.ndarray:
    if find_spec("onnxruntime") is not None:
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        return session.run(None, {"observation": observation})[0]
    import onnx
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(onnx.load_from_string(content)).run(None, {"observation": observation})[0]


def _example(policy: PlainPolicy) -> tuple[Any]:
    """Observations to trace the policy with. Two of them: a batch of one would be taken for a constant."""
    return (policy.mean.expand(2, -1).clone(),)


def _any_batch() -> dict[str, Any]:
    import torch

    return {"observation": {0: torch.export.Dim("batch")}}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporter says of itself: deprecations of its own, and packages that it would look into."""
    names = ("torch.onnx", "torch.export")
    before = {name: logging.getLogger(name).level for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for name in names:
                logging.getLogger(name).setLevel(logging.ERROR)
            yield
        finally:
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)


FORMATS = {
    "onnx": Format(".onnx", _write_onnx, _run_onnx, ("onnx", "onnxscript")),
    "torch": Format(".pt2", _write_torch, _run_torch),
    "numpy": Format(".npz", _write_numpy, _run_numpy),
}
