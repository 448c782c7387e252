#!/usr/bin/env bash
# TorchRL 0.14.1 loads Ray 2.60.0 whenever it is installed, and Ray, where JupyterLab is installed, too, builds a grammar.
#
# A good guess: a program that uses TorchRL's replay buffers and no Ray does not pay for Ray. But torchrl.data imports its RayReplayBuffer with
# the others, and that module imports Ray if Ray can be found. Ray imports jsonschema, and jsonschema looks for libraries that check formats.
# JupyterLab brings them (jsonschema[format-nongpl]), among them rfc3987-syntax, which builds a parser for addresses when it is imported. So
# the start of every program that trains with TorchRL gets longer by the import of Ray and of that parser, though it uses neither: 2.3 of
# 7.2 seconds on one busy core here, 1.9 of them for the parser. Each of the packages alone is harmless. Training programs start
# faster in an environment without JupyterLab.
#
# Run: bash findings/torchrl_loads_ray_and_its_grammar.sh    (needs the package index; some minutes, 1.5 GB in a temporary folder)
# Output seen (the seconds differ, and are not checked):
#     torchrl.data without Ray: ray False, rfc3987_syntax False
#     torchrl.data with Ray: ray True, rfc3987_syntax False
#     torchrl.data with Ray and jsonschema's formats: ray True, rfc3987_syntax True, of which the parser took 1.9 s
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" -q install)
cd "$folder"
cat > look.py <<'PYTHON'
import subprocess
import sys

what, *expected = sys.argv[1:]
code = "import sys, torchrl.data; print(*(name in sys.modules for name in ('ray', 'rfc3987_syntax')))"
done = subprocess.run([sys.executable, "-W", "ignore", "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
seen = done.stdout.split()
took = [line.split("|")[1] for line in done.stderr.splitlines() if line.split("|")[-1].strip() == "rfc3987_syntax"]
parser = f", of which the parser took {int(took[0]) / 1e6:.1f} s" if seen[1] == "True" else ""
print(f"torchrl.data {what}: ray {seen[0]}, rfc3987_syntax {seen[1]}{parser}")
assert seen == expected
PYTHON
"${pip[@]}" torch==2.13.0 torchrl==0.14.1 tensordict==0.14.3 numpy==2.4.6
"$folder/venv/bin/python" look.py "without Ray" False False
"${pip[@]}" ray==2.60.0
"$folder/venv/bin/python" look.py "with Ray" True False
"${pip[@]}" "jsonschema[format-nongpl]==4.26.0" rfc3987-syntax==1.1.0
"$folder/venv/bin/python" look.py "with Ray and jsonschema's formats" True True
