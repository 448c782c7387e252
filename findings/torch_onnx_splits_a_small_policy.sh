#!/usr/bin/env bash
# torch 2.13.0: torch.onnx.export writes a policy of five kilobytes as two files, and the one that was named does not work alone.
#
# A good guess: torch.onnx.export(policy, (observation,), "policy.onnx") writes policy.onnx, to be copied to the robot. External data are for
# models above 2 GB. But external_data is True by default, and weights of more than 256 bytes go to policy.onnx.data: of a policy
# with one hidden layer, the first matrix alone. The session on the other machine then fails with "External data path does not
# exist". Nothing is printed of a second file. external_data=False writes one file, as does ONNXProgram.save(path).
#
# Run: bash findings/torch_onnx_splits_a_small_policy.sh    (needs the package index; two minutes, 1 GB in a temporary folder)
# Output seen:
#     default: policy.onnx (holds 0.bias, 2.weight, 2.bias), policy.onnx.data of 768 bytes; policy.onnx alone: Fail
#     external_data=False: policy.onnx (holds all); policy.onnx alone: works
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
cat > ask.py <<'PYTHON'
import shutil
from pathlib import Path

import onnx
import onnxruntime
import torch

policy = torch.nn.Sequential(torch.nn.Linear(3, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1), torch.nn.Tanh())
found = []
for number, options in enumerate(({}, {"external_data": False})):
    here, there = Path(f"here{number}"), Path(f"there{number}")
    here.mkdir(), there.mkdir()
    torch.onnx.export(policy, (torch.ones(1, 3),), here / "policy.onnx", input_names=["observation"], verbose=False, **options)
    files = {file.name: file.stat().st_size for file in sorted(here.iterdir())}
    model = onnx.load(here / "policy.onnx", load_external_data=False)
    inside = [item.name for item in model.graph.initializer if item.data_location != onnx.TensorProto.EXTERNAL]
    shutil.copy(here / "policy.onnx", there)
    try:
        onnxruntime.InferenceSession(there / "policy.onnx")
        alone = "works"
    except Exception as error:
        alone = type(error).__name__
    holds = "all" if len(inside) == len(model.graph.initializer) else ", ".join(inside)
    data = "".join(f", {name} of {size} bytes" for name, size in files.items() if name != "policy.onnx")
    name = "external_data=False" if options else "default"
    print(f"{name}: policy.onnx (holds {holds}){data}; policy.onnx alone: {alone}")
    found.append((len(files), alone))
assert found == [(2, "Fail"), (1, "works")], found
PYTHON
"$folder/venv/bin/python" -W ignore ask.py 2> errors || { cat errors; exit 1; }
